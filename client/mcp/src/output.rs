//! A part of a worker's output, within a number of lines and of bytes. Reads files, so that it may block.

use crate::call::{Call, Shared};
use crate::link::is_unknown;
use crate::refusal::{Refusal, shortened};
use crate::words::within;
use gob_client::call::Get;
use gob_client::logs::{self, Pattern, Piece, Run, Stream};
use gob_client::protocol::{ErrorCode, Timestamp};
use gob_client::screen::text::output as safe;
use gob_client::{Dirs, Name, View};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of a line that are searched and shown.
const LINE: usize = 2 << 10;
/// Time for a search through a whole run.
const SEARCH: Duration = Duration::from_secs(8);

/// Looks for output that an end was told of before it was in the files, and the time between them.
const LOOKS: usize = 20;
const LOOK: Duration = Duration::from_millis(25);

/// The output that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Another run than the latest.
    pub(crate) run: Option<u64>,
    /// A run without files is one that wrote nothing, and not refused.
    pub(crate) may_lack: bool,
    pub(crate) streams: Vec<Stream>,
    /// The last lines.
    pub(crate) tail: usize,
    pub(crate) grep: Option<Pattern>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) bytes: usize,
}

impl Wanted {
    /// The end of the latest run.
    pub(crate) fn end(tail: usize, bytes: usize) -> Self {
        let streams = vec![Stream::Stdout, Stream::Stderr];
        Self { run: None, may_lack: false, streams, tail, grep: None, since: None, bytes }
    }
}

/// A part of a run's output.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// The number of the run; none where there was none yet.
    pub(crate) run: Option<u64>,
    /// The lines, safe to show.
    pub(crate) lines: Vec<String>,
    /// There are lines before them that were asked for.
    pub(crate) is_cut: bool,
    /// The bytes that are shown of a line, where one is longer.
    pub(crate) cut_at: Option<usize>,
    /// The search ended before the end of the run.
    pub(crate) is_unsearched: bool,
    /// Bytes of the run in its files.
    pub(crate) total: u64,
    /// The time of the latest write that was read.
    pub(crate) written_until: Option<Timestamp>,
    /// The run was read to its end, so that this is the time of the last write in its files.
    pub(crate) is_at_end: bool,
}

/// Returns the directory of a worker's logs.
pub(crate) fn directory(dirs: &Dirs, worker: &View) -> PathBuf {
    let told = worker.stdout_path.as_deref().and_then(|path| Path::new(path).parent()).map(Path::to_owned);
    told.unwrap_or_else(|| dirs.logs().join(worker.name.on_disk()))
}

/// Returns the directory of a worker's logs, and the worker. One that the supervisor has forgotten, such as a job of the queue,
/// may have left its files.
pub(crate) async fn find(shared: &Shared, name: &Name) -> Result<(PathBuf, Option<View>), Refusal> {
    let error = match shared.link.ask(Get { name: name.clone() }).await {
        Ok(data) => return Ok((directory(shared.dirs(), &data.worker), Some(data.worker))),
        Err(error) => error,
    };
    let dir = shared.dirs().logs().join(name.on_disk());
    let left = dir.clone();
    let has_left = || Call::read_log(move || Ok(logs::runs(&left).is_ok_and(|runs| !runs.is_empty())));
    if is_unknown(&error) && has_left().await.unwrap_or(false) {
        return Ok((dir, None));
    }
    Err(shared.link.refused(name, error).await)
}

/// Reads a part of a worker's output. The supervisor tells of an end before the last bytes are in the files.
pub(crate) async fn read_of(dir: &Path, worker: Option<&View>, wanted: Wanted) -> Result<Output, Refusal> {
    for _ in 0..LOOKS {
        let (dir, wanted) = (dir.to_owned(), wanted.clone());
        let output = Call::read_log(move || read(&dir, &wanted)).await?;
        if worker.is_none_or(|worker| !output.lacks_end_of(worker)) {
            return Ok(output);
        }
        tokio::time::sleep(LOOK).await;
    }
    let dir = dir.to_owned();
    Call::read_log(move || read(&dir, &wanted)).await
}

/// Reads a part of the output in a worker's log directory.
pub(crate) fn read(dir: &Path, wanted: &Wanted) -> Result<Output, Refusal> {
    let unreadable = |error: io::Error| {
        let code = ErrorCode::LogUnavailable.as_str();
        Refusal::new(code, "the log can't be read", "call status to see whether the worker exists")
            .cause(Some(error.to_string()))
    };
    let runs = logs::runs(dir).map_err(unreadable)?;
    let number = match (wanted.run, runs.last()) {
        (Some(run), _) if wanted.may_lack && !runs.contains(&run) => return Ok(Output::default()),
        (Some(run), _) if !runs.contains(&run) => {
            let all: Vec<String> = runs.iter().rev().take(20).map(u64::to_string).collect();
            let hint = match all.is_empty() {
                true => "there is no log yet; call status for the worker's state".to_owned(),
                false => format!("call logs without run, or with one of: {}", all.join(", ")),
            };
            return Err(Refusal::new(
                ErrorCode::LogUnavailable.as_str(),
                format!("there is no log of run {run}"),
                hint,
            ));
        }
        (Some(run), _) => run,
        (None, Some(run)) => *run,
        (None, None) => return Ok(Output::default()),
    };
    let mut run = Run::open(dir, number, &wanted.streams).map_err(unreadable)?;
    let selects = wanted.grep.is_some() || wanted.since.is_some();
    let found = if selects { search(&mut run, wanted) } else { last(&mut run, wanted) };
    let output = found.map_err(unreadable)?;
    let total = size(dir, number, &wanted.streams);
    // Lines that were skipped for their time have no time here.
    let is_at_end = !output.is_unsearched && wanted.since.is_none();
    Ok(Output { run: Some(number), total, written_until: run.written_until(), is_at_end, ..output })
}

/// Returns the bytes of a run in its files, the rotated ones too.
fn size(dir: &Path, run: u64, streams: &[Stream]) -> u64 {
    let prefixes: Vec<String> =
        streams.iter().map(|stream| format!("{run}.{}.log", stream.as_str())).collect();
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let own = entries.filter(|entry| {
        entry
            .file_name()
            .to_str()
            .is_some_and(|name| prefixes.iter().any(|prefix| name.starts_with(prefix.as_str())))
    });
    own.filter_map(|entry| entry.metadata().ok()).map(|stat| stat.len()).sum()
}

fn last(run: &mut Run, wanted: &Wanted) -> io::Result<Output> {
    let (pieces, is_cut) = run.last_within(wanted.tail, wanted.bytes.saturating_mul(2))?;
    let mut kept = Kept::new(wanted);
    kept.is_cut = is_cut;
    let mut lines = Lines::default();
    for piece in &pieces {
        lines.push(piece, &mut |line, whole| kept.push(line, whole));
    }
    lines.finish(&mut |line, whole| kept.push(line, whole));
    Ok(kept.into_output())
}

/// Reads the whole run, or what was written since a time, and keeps the last lines that are wanted.
fn search(run: &mut Run, wanted: &Wanted) -> io::Result<Output> {
    run.end_here()?;
    if let Some(since) = wanted.since {
        run.skip_to_time(since)?;
    }
    let (until, mut kept, mut lines) = (Instant::now() + SEARCH, Kept::new(wanted), Lines::default());
    let mut found = |line: &str, whole: bool| {
        if wanted.grep.as_ref().is_none_or(|pattern| pattern.is_in(line)) {
            kept.push(line, whole);
        }
    };
    let is_late =
        |piece: &Piece| wanted.since.is_none_or(|since| piece.time.is_none_or(|time| time >= since));
    let mut is_unsearched = false;
    'run: loop {
        while let Some(piece) = run.next_piece()? {
            if Instant::now() >= until {
                is_unsearched = true;
                break 'run;
            }
            if is_late(&piece) {
                lines.push(&piece, &mut found);
            }
        }
        if !run.take_rest()? {
            break;
        }
    }
    for piece in run.unfinished() {
        lines.push(&piece, &mut found);
    }
    lines.finish(&mut found);
    Ok(Output { is_unsearched, ..kept.into_output() })
}

/// Puts the parts of long lines together, each stream for itself, as far as a line is shown.
#[derive(Default)]
struct Lines {
    stdout: Option<(Vec<u8>, bool)>,
    stderr: Option<(Vec<u8>, bool)>,
}

impl Lines {
    fn push(&mut self, piece: &Piece, out: &mut impl FnMut(&str, bool)) {
        let held = match piece.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        // The beginning of the first line may not be there.
        let (line, is_whole) = held.get_or_insert_with(|| (Vec::new(), piece.starts_line));
        let room = LINE.saturating_sub(line.len());
        line.extend(piece.bytes.iter().take(room));
        *is_whole &= piece.bytes.len() <= room;
        if piece.ends_line() {
            give(held.take(), out);
        }
    }

    fn finish(self, out: &mut impl FnMut(&str, bool)) {
        give(self.stdout, out);
        give(self.stderr, out);
    }
}

fn give(line: Option<(Vec<u8>, bool)>, out: &mut impl FnMut(&str, bool)) {
    let Some((bytes, is_whole)) = line else { return };
    let text = String::from_utf8_lossy(&bytes);
    out(text.trim_end_matches(['\n', '\r']), is_whole);
}

/// The last lines within a number and a budget.
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
    tail: usize,
    budget: usize,
    is_cut: bool,
    cut_at: Option<usize>,
}

impl Kept {
    fn new(wanted: &Wanted) -> Self {
        let (lines, tail, budget) = (VecDeque::new(), wanted.tail, wanted.bytes);
        Self { lines, bytes: 0, tail, budget, is_cut: false, cut_at: None }
    }

    fn push(&mut self, line: &str, is_whole: bool) {
        let (room, safe) = (self.budget.min(LINE), safe(line));
        let mut line = shortened(&safe, room);
        if !is_whole {
            line.push_str(" [cut]");
        }
        if !is_whole || safe.len() > room {
            self.cut_at = Some(room);
        }
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.lines.len() > self.tail || self.bytes > self.budget && self.lines.len() > 1 {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len() + 1);
            self.is_cut = true;
        }
    }

    fn into_output(self) -> Output {
        Output { lines: self.lines.into(), is_cut: self.is_cut, cut_at: self.cut_at, ..Output::default() }
    }
}

impl Output {
    /// Returns whether a worker at rest has written what is not in the files of its latest run, as on a full disk.
    pub(crate) fn lacks_end_of(&self, worker: &View) -> bool {
        let is_its = self.run.is_none_or(|run| run == worker.run && self.is_at_end);
        is_its && worker.run > 0 && !worker.state.goes_on() && self.written_until < worker.last_output_at
    }

    /// Says where lines were cut; nothing where none was.
    pub(crate) fn cut_words(&self) -> String {
        self.cut_at.map(|at| format!(", lines longer than {at} bytes are cut")).unwrap_or_default()
    }

    /// Returns the lines as they are shown.
    pub(crate) fn text(&self, bytes: usize) -> String {
        within(self.lines.clone(), bytes.saturating_add(LINE), "call logs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(lines: &[(&str, bool)], tail: usize, bytes: usize) -> (Vec<String>, bool) {
        let mut kept = Kept::new(&Wanted::end(tail, bytes));
        lines.iter().for_each(|(line, whole)| kept.push(line, *whole));
        let output = kept.into_output();
        (output.lines, output.is_cut)
    }

    #[test]
    fn the_last_lines_are_kept_within_both_bounds() {
        let lines = [("aaaa", true), ("bbbb", true), ("cccc", true)];
        assert_eq!(kept(&lines, 9, 99), (vec!["aaaa".into(), "bbbb".into(), "cccc".into()], false));
        assert_eq!(kept(&lines, 2, 99), (vec!["bbbb".into(), "cccc".into()], true));
        assert_eq!(kept(&lines, 9, 10), (vec!["bbbb".into(), "cccc".into()], true));
        assert_eq!(kept(&[("\u{1b}[31mred", false)], 9, 99).0, ["red [cut]"]);
    }

    #[test]
    fn a_line_in_parts_is_one_line_and_its_end_is_cut() {
        let piece = |text: &str, starts_line| Piece {
            stream: Stream::Stdout,
            time: None,
            bytes: text.into(),
            starts_line,
        };
        let (mut lines, mut got) = (Lines::default(), Vec::new());
        let long = "x".repeat(LINE);
        for piece in [piece(&long, true), piece("y\n", false), piece("z\r\n", true), piece("end", true)] {
            lines.push(&piece, &mut |line, whole| got.push((line.len(), whole)));
        }
        lines.finish(&mut |line, whole| got.push((line.len(), whole)));
        assert_eq!(got, [(LINE, false), (1, true), (3, true)]);
    }

    #[test]
    fn a_worker_that_never_ran_has_no_output_and_no_run() {
        assert_eq!(read(Path::new("/nowhere/at/all"), &Wanted::end(5, 100)), Ok(Output::default()));
        let wanted = Wanted { run: Some(3), ..Wanted::end(5, 100) };
        let refusal = read(Path::new("/nowhere/at/all"), &wanted).unwrap_err().text();
        assert!(refusal.contains("there is no log of run 3") && refusal.contains("call status"), "{refusal}");
    }
}

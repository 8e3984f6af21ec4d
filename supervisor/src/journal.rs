//! `journal` in the state directory: the identities of what the supervisor starts, for the one that comes after it.
//!
//! Lines of JSON that are only ever appended: who this supervisor is, then a line for each run's leader. It is read once,
//! at boot, when its writer is dead (`recovery`), and then begins anew. It decides nothing alone: a process has to carry a
//! run's tag or an instance's marker too, and what is lost here is still known by its tag. Emptied at the orderly end; a
//! journal that can't be written is removed, since an empty one says that nothing was left.

use crate::sys::tag::Tag;
use gob_core::RunKey;
use gob_protocol::{Name, ProcessId};
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The file's name in the state directory.
pub(crate) const JOURNAL: &str = "journal";

/// A journal that has grown to so many bytes is written anew with the runs that live.
const LARGE: usize = 1 << 20;

/// So much of an earlier journal is read; whatever wrote more was not us.
const READ_BYTES: u64 = 4 * LARGE as u64;

/// A supervisor, as its journal begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// Its name, which its workers carry in their environment.
    pub(crate) instance: String,
    /// The boot of the machine in which it lives; process ids mean nothing in another one.
    pub(crate) boot_id: String,
    /// Its process.
    pub(crate) pid: i32,
    /// When that was started; none of its workers was earlier.
    pub(crate) start_time: u64,
    /// The keeper above it, which clears up after it.
    pub(crate) keeper: ProcessId,
    /// Its first tag, less one.
    pub(crate) tag: u64,
    /// Where it makes control groups.
    #[serde(default)]
    pub(crate) cgroups: Option<PathBuf>,
}

/// A run's leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leader {
    pub(crate) name: Name,
    pub(crate) run: u64,
    pub(crate) pid: i32,
    pub(crate) start_time: u64,
    pub(crate) tag: u64,
}

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Instance(Instance),
    Leader(Leader),
}

/// What an earlier supervisor of this boot has left word of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// Whether it said so at its end that nothing was left.
    pub(crate) ended_in_order: bool,
    /// Who it was, and before it those of whom it could not end everything.
    pub(crate) instances: Vec<Instance>,
    /// The leaders of their runs.
    pub(crate) leaders: Vec<Leader>,
}

/// The journal of this supervisor.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    /// Not when there is none to be had.
    file: Option<File>,
    own: Option<Instance>,
    bytes: usize,
    /// How often it could not be written.
    failures: Arc<AtomicU64>,
}

impl Journal {
    /// Opens the journal and tells what it says of the past.
    pub(crate) fn open(state_dir: &Path, boot_id: &str) -> (Self, Past) {
        let path = state_dir.join(JOURNAL);
        let (file, past) = match open(&path) {
            Ok((file, text)) => (Some(file), Past::read(&text, boot_id)),
            Err(e) => {
                tracing::warn!(path = %path.display(), error = %e, "no journal");
                (None, Past::default())
            }
        };
        (Self { path, file, own: None, bytes: 0, failures: Arc::default() }, past)
    }

    /// How often it could not be written, now and later on (PROTOCOL 9).
    pub(crate) fn failures(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.failures)
    }

    /// Begins anew as this instance. What is still left of earlier ones stays told.
    pub(crate) fn begin(&mut self, own: Instance, past: Past) {
        let kept = past.instances.into_iter().map(Line::Instance);
        let mut lines: Vec<Line> = kept.chain(past.leaders.into_iter().map(Line::Leader)).collect();
        lines.push(Line::Instance(own.clone()));
        self.own = Some(own);
        self.rewrite(&lines);
    }

    /// Notes a run's leader. It has been started already, so a failure changes nothing for it.
    pub(crate) fn note(&mut self, key: &RunKey, id: ProcessId, tag: Tag) {
        self.append(&[leader(key, id, tag)]);
    }

    /// Whether it is not where the next supervisor will look for it, and could be made anew there.
    pub(crate) fn is_lost(&mut self) -> bool {
        let identity = |found: Metadata| (found.dev(), found.ino());
        let there = std::fs::symlink_metadata(&self.path).map(identity).ok();
        let ours = self.file.as_ref().and_then(|file| file.metadata().map(identity).ok());
        if there.is_some() && there == ours {
            return false;
        }
        match open(&self.path) {
            Ok((file, _)) => self.file = Some(file),
            Err(e) => tracing::warn!(path = %self.path.display(), error = %e, "no journal"),
        }
        self.file.is_some()
    }

    /// Whether it has become large.
    pub(crate) fn is_large(&self) -> bool {
        self.bytes > LARGE
    }

    /// Writes it anew with these runs alone.
    pub(crate) fn shrink<'a>(&mut self, live: impl Iterator<Item = (&'a RunKey, ProcessId, Tag)>) {
        let own = self.own.clone().map(Line::Instance);
        let lines: Vec<Line> =
            own.into_iter().chain(live.map(|(key, id, tag)| leader(key, id, tag))).collect();
        self.rewrite(&lines);
    }

    /// Says that nothing is left: the orderly end.
    pub(crate) fn end(&mut self) {
        if let Some(file) = &self.file
            && let Err(e) = file.set_len(0)
        {
            tracing::warn!(path = %self.path.display(), error = %e, "cannot empty the journal");
        }
    }

    fn rewrite(&mut self, lines: &[Line]) {
        self.bytes = 0;
        if self.file.as_ref().is_none_or(|file| file.set_len(0).is_ok()) {
            self.append(lines);
        } else {
            self.failed();
        }
        // An empty journal would say that nothing is left.
        if self.bytes == 0 && self.file.take().is_some() {
            std::fs::remove_file(&self.path).unwrap_or_default();
        }
    }

    fn append(&mut self, lines: &[Line]) {
        let Some(mut file) = self.file.as_ref() else { return self.failed() };
        // What was cut off before must not spoil the next line.
        let has_failed = self.failures.load(Ordering::Relaxed) > 0;
        let mut text = if has_failed { vec![b'\n'] } else { Vec::new() };
        let mut write = || {
            for line in lines {
                serde_json::to_writer(&mut text, line)?;
                text.push(b'\n');
            }
            file.write_all(&text)
        };
        match write() {
            Ok(()) => self.bytes += text.len(),
            Err(e) => {
                if !has_failed {
                    tracing::warn!(path = %self.path.display(), error = %e, "the journal can't be written");
                }
                self.failed();
            }
        }
    }

    fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

fn leader(key: &RunKey, id: ProcessId, tag: Tag) -> Line {
    let (name, run) = (key.name.clone(), key.run);
    Line::Leader(Leader { name, run, pid: id.pid, start_time: id.start_time, tag: tag.0 })
}

/// Opens the journal, which may be anything by now; without a text when there was none.
fn open(path: &Path) -> io::Result<(File, Option<Vec<u8>>)> {
    let flags = libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600).custom_flags(flags);
    let file = match options.open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Ok((options.create_new(true).open(path)?, None));
        }
        other => other?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = Vec::new();
    (&file).take(READ_BYTES).read_to_end(&mut text)?;
    Ok((file, Some(text)))
}

impl Past {
    /// Reads what can be read; lines that make no sense are passed over.
    fn read(text: &Option<Vec<u8>>, boot_id: &str) -> Self {
        let mut past = Self { ended_in_order: text.as_ref().is_some_and(Vec::is_empty), ..Self::default() };
        for line in text.iter().flat_map(|text| text.split(|b| *b == b'\n')) {
            match serde_json::from_slice(line) {
                Ok(Line::Instance(instance)) => past.instances.push(instance),
                Ok(Line::Leader(leader)) => past.leaders.push(leader),
                Err(_) => {}
            }
        }
        past.instances.retain(|instance| instance.boot_id == boot_id);
        if past.instances.is_empty() {
            past.leaders.clear();
        }
        past
    }

    /// The worker of whose run a process is that carries this tag.
    pub(crate) fn worker_of(&self, tag: Tag) -> Option<&Name> {
        self.leaders.iter().rev().find(|leader| leader.tag == tag.0).map(|leader| &leader.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("gob-journal-{}-{name}", std::process::id()));
        fs::remove_dir_all(&dir).ok();
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn instance(name: &str) -> Instance {
        let keeper = ProcessId { pid: 6, start_time: 60 };
        Instance {
            instance: name.into(),
            boot_id: "b".into(),
            pid: 7,
            start_time: 70,
            keeper,
            tag: 8 << 18,
            cgroups: None,
        }
    }

    fn key(run: u64) -> RunKey {
        RunKey { name: Name::graph("g").unwrap(), run }
    }

    fn id(pid: i32) -> ProcessId {
        ProcessId { pid, start_time: 71 }
    }

    #[test]
    fn the_next_one_reads_what_was_noted() {
        use std::os::unix::fs::PermissionsExt;
        let dir = scratch("noted");
        let (mut journal, past) = Journal::open(&dir, "b");
        assert_eq!(past, Past::default());
        journal.begin(instance("one"), past);
        journal.note(&key(1), id(100), Tag(8));
        journal.note(&key(2), id(101), Tag(9));
        assert_eq!(fs::metadata(dir.join(JOURNAL)).unwrap().permissions().mode() & 0o777, 0o600);
        let (mut next, past) = Journal::open(&dir, "b");
        assert!(!past.ended_in_order);
        assert_eq!(past.instances, [instance("one")]);
        assert_eq!(past.leaders.iter().map(|leader| leader.pid).collect::<Vec<_>>(), [100, 101]);
        assert_eq!(past.worker_of(Tag(9)), Some(&key(1).name));
        assert_eq!(past.worker_of(Tag(10)), None);
        next.begin(instance("two"), Past::default());
        assert_eq!(Journal::open(&dir, "b").1.instances, [instance("two")]);
        assert_eq!(Journal::open(&dir, "another boot").1, Past::default());
        next.end();
        assert!(Journal::open(&dir, "b").1.ended_in_order);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn garbage_and_cut_off_lines_are_passed_over() {
        let dir = scratch("garbage");
        let path = dir.join(JOURNAL);
        let (mut journal, past) = Journal::open(&dir, "b");
        journal.begin(instance("one"), past);
        journal.note(&key(1), id(100), Tag(8));
        let whole = fs::read(&path).unwrap();
        for end in 0..whole.len() - 1 {
            let (text, boot) = (Some(whole[..end].to_vec()), "b");
            let past = Past::read(&text, boot);
            assert!(past.leaders.is_empty() && past.instances.len() <= 1, "{end}");
        }
        let text = [b"\xff\x00{}\n[1]\n".as_slice(), &whole, b"{\"name\":"].concat();
        let past = Past::read(&Some(text), "b");
        assert_eq!((past.instances.len(), past.leaders.len()), (1, 1));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let dir = scratch("large");
        let (mut journal, past) = Journal::open(&dir, "b");
        journal.begin(instance("one"), past);
        let mut run = 0;
        while !journal.is_large() {
            run += 1;
            journal.note(&key(run), id(100), Tag(run));
        }
        journal.shrink([(&key(run), id(100), Tag(run))].into_iter());
        assert!(!journal.is_large());
        journal.note(&key(run + 1), id(100), Tag(run + 1));
        let past = Journal::open(&dir, "b").1;
        assert_eq!((past.instances.len(), past.leaders.len()), (1, 2));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_full_disk_is_counted_and_leaves_no_empty_journal() {
        let dir = scratch("full");
        let (mut journal, past) = Journal::open(&dir, "b");
        let failures = journal.failures();
        journal.begin(instance("one"), past);
        assert_eq!(failures.load(Ordering::Relaxed), 0);
        // Every write to it fails, and so does making it shorter.
        journal.file = Some(OpenOptions::new().append(true).open("/dev/full").unwrap());
        journal.note(&key(1), id(100), Tag(8));
        assert_eq!(failures.load(Ordering::Relaxed), 1);
        journal.shrink(std::iter::empty());
        assert!(!dir.join(JOURNAL).exists(), "an empty one would say that nothing is left");
        journal.note(&key(2), id(101), Tag(9));
        assert_eq!(failures.load(Ordering::Relaxed), 3);
        assert!(journal.is_lost(), "it can be made anew");
        journal.shrink(std::iter::empty());
        assert_eq!((failures.load(Ordering::Relaxed), Journal::open(&dir, "b").1.instances.len()), (3, 1));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let dir = scratch("link");
        let target = dir.join("target");
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, dir.join(JOURNAL)).unwrap();
        let (mut journal, past) = Journal::open(&dir, "b");
        journal.begin(instance("one"), past);
        journal.note(&key(1), id(100), Tag(8));
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        assert_eq!(journal.failures().load(Ordering::Relaxed), 2, "its beginning and a line");
        fs::remove_dir_all(dir).unwrap();
    }
}

//! `last.json`: the workers' last known state, for clients that find no supervisor.
//!
//! Written a second after a change, once for all changes meanwhile; sooner for a change that the next
//! supervisor must know, since it lists these workers as `idle`; and at the orderly end. It is read once, at
//! boot, before any client is served.

use crate::disks::Disks;
use gob_core::{Core, Remembered, RememberedWorker, ToRemember};
use gob_protocol::request::RestartOn;
use gob_protocol::{Owner, Timestamp, View};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The file's name in the state directory.
pub(crate) const LAST: &str = "last.json";

/// Time in which changes are gathered.
const GATHER: Duration = Duration::from_secs(1);

/// Time in which changes of the roster are gathered, per worker: writing a thousand takes its time.
const GATHER_ROSTER: Duration = Duration::from_millis(5);
const GATHER_WORKER: Duration = Duration::from_millis(1);

/// Number of workers up to which the first such change is written at once, beside the start that caused it.
const AT_ONCE: usize = 64;

/// Limit of a file that is read; a larger file is not a supervisor's.
const READ_BYTES: u64 = gob_protocol::limits::MAX_RESPONSE_BYTES as u64;

/// The times of the file's writes; a slow disk has one writer at a time.
#[derive(Debug, Default)]
pub(crate) struct Last {
    due: Option<Instant>,
    written_seq: u64,
    /// The begin of the last write.
    begun: Option<Instant>,
    /// The [`Core::roster`](gob_core::Core::roster) that the file has.
    written_roster: u64,
    is_being_written: bool,
}

/// The content of the file.
#[derive(serde::Serialize)]
pub(crate) struct Snapshot {
    pub(crate) workers: Vec<View>,
    #[serde(flatten)]
    pub(crate) told: ToRemember,
    pub(crate) seq: u64,
    pub(crate) instance: String,
    pub(crate) time: Timestamp,
    /// The supervisor has ended in order, and its workers before it.
    pub(crate) ended: bool,
}

/// The same content for reading: each worker by itself, so that a malformed one does not cost the others.
#[derive(serde::Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    workers: Vec<&'a RawValue>,
    #[serde(default)]
    last_owners: BTreeMap<String, String>,
    #[serde(default)]
    last_ports: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    served: BTreeSet<String>,
    #[serde(default)]
    restarts: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    highest_job: serde_json::Value,
    #[serde(default)]
    queued: BTreeSet<String>,
    #[serde(default)]
    ended: bool,
}

/// Reads the file of the previous supervisor. Damage is logged, and no reason not to start.
pub(crate) fn remembered(state_dir: &Path) -> Remembered {
    let path = state_dir.join(LAST);
    let damaged = |what: &dyn std::fmt::Display| {
        tracing::warn!(path = %path.display(), "workers of the supervisor before this one are not known: {what}");
    };
    let text = match read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Remembered::default(),
        Err(e) => {
            damaged(&e);
            return Remembered::default();
        }
    };
    match serde_json::from_slice::<Written<'_>>(&text) {
        Ok(written) => written.remembered(damaged),
        Err(e) => {
            damaged(&e);
            Remembered::default()
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // The path may be any kind of file by now.
    let flags = libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = Vec::new();
    file.take(READ_BYTES).read_to_end(&mut text)?;
    Ok(text)
}

impl Written<'_> {
    fn remembered(self, damaged: impl Fn(&dyn std::fmt::Display)) -> Remembered {
        let Self { workers, last_owners, last_ports, served, restarts, highest_job, queued, ended } = self;
        let workers = workers.into_iter().filter_map(|worker| {
            let view = serde_json::from_str::<View>(worker.get()).inspect_err(|e| damaged(e)).ok()?;
            let last_owner = last_owners.get(view.name.as_str()).and_then(|owner| Owner::new(owner).ok());
            let last_port = last_ports.get(view.name.as_str()).and_then(serde_json::Value::as_u64);
            let last_port = last_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
            let was_served = served.contains(view.name.as_str());
            let restart = restarts.get(view.name.as_str()).and_then(|on| RestartOn::deserialize(on).ok());
            // The store has it.
            let is_queued = queued.contains(view.name.as_str());
            (!is_queued).then_some(RememberedWorker { view, last_owner, last_port, was_served, restart })
        });
        Remembered {
            workers: workers.collect(),
            ended_in_order: ended,
            highest_job: highest_job.as_u64().unwrap_or_default(),
            has_queue: false,
        }
    }
}

impl Last {
    /// The remembered workers are in the file already.
    pub(crate) fn new(core: &Core) -> Self {
        Self { written_seq: core.seq(), written_roster: core.roster().changes, ..Self::default() }
    }

    /// Notes the supervisor's progress.
    ///
    /// A start does not wait for this write: a state directory that hangs would delay every start on every
    /// disk. The write begins with the start, and is done while the process is spawned, unless its disk is
    /// slow.
    pub(crate) fn changed(&mut self, seq: u64, roster: u64, workers: usize) {
        if seq == self.written_seq || self.is_being_written {
            return;
        }
        let now = Instant::now();
        let due = if roster == self.written_roster {
            now + GATHER
        } else {
            let each = GATHER_WORKER.saturating_mul(u32::try_from(workers).unwrap_or(u32::MAX));
            let gather = GATHER_ROSTER.saturating_add(each).min(GATHER);
            let before = if workers <= AT_ONCE {
                self.begun.map_or(now, |begun| begun + gather)
            } else {
                now + gather
            };
            before.max(now)
        };
        self.due = Some(self.due.map_or(due, |at| at.min(due)));
    }

    /// Returns the time of the next write.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Notes that everything up to this event is being written.
    pub(crate) fn begin(&mut self, seq: u64, roster: u64) {
        self.due = None;
        self.written_seq = seq;
        self.written_roster = roster;
        self.is_being_written = true;
        self.begun = Some(Instant::now());
    }

    /// Notes that the write has ended, or never will. Later changes are noted next.
    pub(crate) fn end(&mut self) {
        self.is_being_written = false;
    }
}

impl Snapshot {
    /// Writes the file after all earlier writes. The receiver hears when that is done.
    pub(crate) fn begin(self, disks: &Disks, state_dir: &str) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        let dir = PathBuf::from(state_dir);
        disks.begin(LAST, vec![state_dir.to_owned()], move |at| {
            at.go("write", &dir.join(LAST).to_string_lossy());
            if let Err(e) = self.write(&dir) {
                tracing::warn!(error = %e, "cannot write last.json");
            }
            // The receiver may be gone.
            done.send(()).unwrap_or_default();
        });
        is_done
    }

    /// Replaces the file in one step. Readers see the old one or the new one.
    fn write(&self, state_dir: &Path) -> io::Result<()> {
        let temporary: PathBuf = state_dir.join(format!("{LAST}.new"));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
        let mut file = io::BufWriter::new(options.open(&temporary)?);
        serde_json::to_writer(&mut file, self)?;
        file.into_inner()?;
        std::fs::rename(temporary, state_dir.join(LAST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::mpsc;

    #[test]
    fn one_writer_at_a_time_and_the_last_word_last() {
        let mut last = Last::default();
        last.changed(1, 0, 0);
        assert!(last.due().is_some());
        last.begin(1, 0);
        last.changed(2, 0, 0);
        assert_eq!(last.due(), None, "it is being written, however long that takes");
        last.end();
        last.changed(2, 0, 0);
        assert!(last.due().is_some());

        let dir = std::env::temp_dir().join(format!("gob-last-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (disks, state_dir) = (Disks::new(), dir.to_str().unwrap());
        let (release, hung) = mpsc::channel::<()>();
        // The disk hangs for the first write, and the write of the end waits for it.
        disks.begin(LAST, Vec::new(), move |_| {
            hung.recv().unwrap_err();
        });
        let snapshot = |seq| Snapshot {
            workers: Vec::new(),
            told: ToRemember::default(),
            seq,
            instance: "i".into(),
            time: Timestamp(0),
            ended: false,
        };
        let written: Vec<_> = (1..=50).map(|seq| snapshot(seq).begin(&disks, state_dir)).collect();
        assert!(!dir.join(LAST).exists());
        drop(release);
        written.into_iter().for_each(|written| written.blocking_recv().unwrap());
        let text = std::fs::read_to_string(dir.join(LAST)).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["seq"], 50);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn changes_of_the_roster_are_written_soon_and_less_often_with_a_thousand_workers() {
        let wait = |roster, workers| {
            let mut last = Last::default();
            last.changed(1, roster, workers);
            last.due().unwrap().duration_since(Instant::now())
        };
        assert!(wait(1, 3) < Duration::from_millis(20));
        let [many, other] = [wait(1, 1_000), wait(0, 1)];
        assert!(many > Duration::from_millis(900) && other > Duration::from_millis(900));
        let mut last = Last::default();
        last.changed(1, 0, 1);
        last.changed(2, 1, 1);
        assert!(last.due().unwrap().duration_since(Instant::now()) < Duration::from_millis(20), "sooner");
    }

    #[test]
    fn the_first_of_a_few_workers_is_written_at_once_and_the_next_ones_together() {
        let mut last = Last::default();
        let is_due = |last: &Last| last.due().is_some_and(|due| due <= Instant::now());
        last.changed(1, 1, 3);
        assert!(is_due(&last));
        last.begin(1, 1);
        last.end();
        last.changed(2, 2, 3);
        assert!(last.due().is_some_and(|due| due > last.begun.unwrap()), "not all the time");
        let mut many = Last::default();
        many.changed(1, 1, 1_000);
        assert!(!is_due(&many), "all their views at once take their time");
    }

    #[test]
    fn a_damaged_file_costs_the_workers_that_it_damages_and_no_start() {
        let dir = std::env::temp_dir().join(format!("gob-remembered-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let found = |text: &[u8]| {
            std::fs::write(dir.join(LAST), text).unwrap();
            let Remembered { workers, ended_in_order, .. } = remembered(&dir);
            let names: Vec<String> = workers.iter().map(|worker| worker.view.name.to_string()).collect();
            (names, ended_in_order)
        };
        let golden = include_str!("../../protocol/golden/response-get.jsonl");
        let golden: serde_json::Value = serde_json::from_str(golden.lines().next().unwrap()).unwrap();
        let good = golden["data"]["worker"].clone();
        let name = good["name"].as_str().unwrap().to_owned();
        let text =
            serde_json::json!({"workers": [{"name": 1}, good], "last_owners": {"x": "Y"}, "ended": true});
        assert_eq!(found(text.to_string().as_bytes()), (vec![name.clone()], true));
        for (port, read) in
            [(json!(81), Some(81)), (json!(0), None), (json!(70_000), None), (json!("81"), None)]
        {
            let text = json!({"workers": [good], "last_ports": {&name: port}, "ended": true});
            std::fs::write(dir.join(LAST), text.to_string()).unwrap();
            assert_eq!(remembered(&dir).workers[0].last_port, read, "{text}");
        }
        for bad in [&b""[..], b"{", b"[]", b"{\"workers\":[", b"\xff\x00", b"{\"workers\":7}"] {
            assert_eq!(found(bad), (Vec::new(), false), "{bad:?}");
        }
        std::fs::remove_file(dir.join(LAST)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.join(LAST)).unwrap();
        assert!(remembered(&dir).workers.is_empty());
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(remembered(&dir).workers.is_empty());
    }
}

//! `journal` in the state directory: the identities of this supervisor's processes, for its successor.
//!
//! Lines of JSON that are only ever appended: this supervisor, then a line for each run's leader, and at the
//! orderly end a last line; only that line means that nothing was left. It is read once, at boot, when its
//! writer is dead (`recovery`), and then begins anew, as another file in its place. It decides nothing alone:
//! a process must carry a run's tag or an instance's marker too, and a process whose line was lost is still
//! known by its tag.
//!
//! Written beside the loop, since its disk may hang; but the first line, about this supervisor, is
//! written before any worker is started.

mod file;

use crate::disks::Disks;
use crate::sys::tag::Tag;
use crate::upgrade::{Bytes, Inherited, Named, Unfit};
use file::{JournalFile, JournalFileState};
use gob_core::RunKey;
use gob_protocol::{Name, ProcessId};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// The file's name in the state directory.
pub(crate) const JOURNAL: &str = "journal";

/// Size at which a journal is written anew with the live runs, in bytes.
const LARGE: usize = 1 << 20;

/// Limit of bytes that wait for a stuck disk; later lines are lost.
const WAITING_BYTES: usize = LARGE;

/// A supervisor, as its journal begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// Its name, which its workers carry in their environment.
    pub(crate) instance: String,
    /// The boot of the machine in which it lives; process ids have no meaning in another one.
    pub(crate) boot_id: String,
    /// Its process id.
    pub(crate) pid: i32,
    /// The start of its process; all its workers started later.
    pub(crate) start_time: u64,
    /// The keeper above it, which cleans up after it.
    pub(crate) keeper: ProcessId,
    /// Base of this instance's tags.
    pub(crate) tag: u64,
    /// The place of its control groups.
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
    Ended(Ended),
}

/// The last line: nothing was left.
#[derive(Serialize, Deserialize)]
struct Ended {
    ended: bool,
}

/// The records of earlier supervisors of this boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Past {
    /// The last of them recorded at its end that nothing was left.
    pub(crate) ended_in_order: bool,
    /// The last supervisor, and before it those that left processes which could not be ended yet.
    pub(crate) instances: Vec<Instance>,
    /// The leaders of their runs.
    pub(crate) leaders: Vec<Leader>,
}

/// The journal as data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JournalState {
    head: Bytes,
    bytes: usize,
    failures: u64,
    file: JournalFileState,
}

/// The journal of this supervisor.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Arc<Mutex<JournalFile>>,
    disks: Disks,
    /// The line of this supervisor, and those of earlier ones with processes left.
    head: Vec<u8>,
    /// The present size in bytes.
    bytes: usize,
    /// The bytes that wait to be written.
    waiting: Arc<AtomicUsize>,
    /// The number of failed writes.
    failures: Arc<AtomicU64>,
}

impl Journal {
    /// Opens the journal and returns the records of the past. `disks` writes it.
    pub(crate) fn open(state_dir: &Path, boot_id: &str, disks: Disks) -> (Self, Past) {
        let failures = Arc::default();
        let (file, text) = JournalFile::open(state_dir.join(JOURNAL), Arc::clone(&failures));
        let past = Past::read(&text, boot_id);
        let (file, waiting) = (Arc::new(Mutex::new(file)), Arc::default());
        (Self { file, disks, head: Vec::new(), bytes: 0, waiting, failures }, past)
    }

    /// Begins anew as this instance. Earlier instances with processes left are kept. When this returns, the
    /// journal is on the disk, or there is none.
    pub(crate) fn begin(&mut self, own: Instance, past: Past) {
        let (own, past) = (Line::Instance(own), past.lines());
        self.head = text(&[own]);
        self.head.splice(0..0, text(&past));
        self.bytes = self.head.len();
        self.file.lock().unwrap_or_else(PoisonError::into_inner).replace(&self.head);
    }

    /// Returns what another program needs to go on with it. Nothing may wait to be written.
    pub(crate) fn hand_over(&self, named: &mut Named) -> JournalState {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner).hand_over(named);
        let failures = self.failures.load(Ordering::Relaxed);
        JournalState { head: Bytes(self.head.clone()), bytes: self.bytes, failures, file }
    }

    /// Appends where another program has.
    pub(crate) fn resume(
        state: JournalState,
        state_dir: &Path,
        disks: Disks,
        inherited: &mut Inherited,
    ) -> Result<Self, Unfit> {
        let JournalState { head, bytes, failures, file } = state;
        let failures = Arc::new(AtomicU64::new(failures));
        let file = JournalFile::resume(file, state_dir.join(JOURNAL), Arc::clone(&failures), inherited)?;
        let (file, waiting) = (Arc::new(Mutex::new(file)), Arc::default());
        Ok(Self { file, disks, head: head.0, bytes, waiting, failures })
    }

    /// Returns the number of failed writes, now and later on (PROTOCOL 9).
    pub(crate) fn failures(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.failures)
    }

    /// Returns the threads that write it.
    pub(crate) const fn disks(&self) -> &Disks {
        &self.disks
    }

    /// Drops the lines of earlier instances: nothing is left of them.
    pub(crate) fn past_is_over(&mut self) {
        // The last line of the head is our own.
        let ends = self.head.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let own = ends.rev().nth(1).map_or(0, |(at, _)| at + 1);
        self.head.drain(..own);
    }

    /// Notes a run's leader. The process runs already, so a failure does not affect it.
    pub(crate) fn note(&mut self, key: &RunKey, id: ProcessId, tag: Tag) {
        let line = text(&[leader(key, id, tag)]);
        self.bytes += line.len();
        self.write(line, JournalFile::append);
    }

    /// Returns whether the journal has become large.
    pub(crate) fn is_large(&self) -> bool {
        self.bytes > LARGE
    }

    /// Writes the journal anew with these runs alone.
    pub(crate) fn shrink<'a>(&mut self, live: impl Iterator<Item = (&'a RunKey, ProcessId, Tag)>) {
        let whole = self.whole(live);
        self.bytes = whole.len();
        self.write(whole, JournalFile::replace);
    }

    /// Writes the journal anew with these runs where it has left its place, in which the next supervisor will
    /// read it.
    pub(crate) fn heal<'a>(&mut self, live: impl Iterator<Item = (&'a RunKey, ProcessId, Tag)>) {
        let whole = self.whole(live);
        self.write(whole, |file, whole| {
            if !file.is_in_its_place() {
                file.replace(whole);
            }
        });
    }

    /// Notes that nothing is left: the orderly end. The receiver hears when that is written.
    pub(crate) fn end(&mut self) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        self.write(text(&[Line::Ended(Ended { ended: true })]), |file, line| {
            file.append(line);
            // The receiver may be gone.
            done.send(()).unwrap_or_default();
        });
        is_done
    }

    fn whole<'a>(&self, live: impl Iterator<Item = (&'a RunKey, ProcessId, Tag)>) -> Vec<u8> {
        let runs: Vec<Line> = live.map(|(key, id, tag)| leader(key, id, tag)).collect();
        [self.head.clone(), text(&runs)].concat()
    }

    /// Writes these bytes after all earlier ones.
    fn write(&mut self, bytes: Vec<u8>, how: impl FnOnce(&mut JournalFile, &[u8]) + Send + 'static) {
        let (len, waiting) = (bytes.len(), Arc::clone(&self.waiting));
        if waiting.fetch_add(len, Ordering::Relaxed) > WAITING_BYTES {
            waiting.fetch_sub(len, Ordering::Relaxed);
            if self.failures.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!("the disk of the journal does not answer; runs are known by their tags alone");
            }
            return;
        }
        let file = Arc::clone(&self.file);
        self.disks.begin(JOURNAL, Vec::new(), move |_| {
            how(&mut file.lock().unwrap_or_else(PoisonError::into_inner), &bytes);
            waiting.fetch_sub(len, Ordering::Relaxed);
        });
    }
}

/// Serialises lines.
fn text(lines: &[Line]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        // A line of names and numbers can always be serialised, and memory takes it.
        serde_json::to_writer(&mut text, line).unwrap_or_default();
        text.push(b'\n');
    }
    text
}

fn leader(key: &RunKey, id: ProcessId, tag: Tag) -> Line {
    let (name, run) = (key.name.clone(), key.run);
    Line::Leader(Leader { name, run, pid: id.pid, start_time: id.start_time, tag: tag.0 })
}

impl Past {
    /// Parses the readable lines; malformed ones are passed over.
    fn read(text: &[u8], boot_id: &str) -> Self {
        let mut past = Self::default();
        for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let line = serde_json::from_slice(line);
            // Only the last line counts.
            past.ended_in_order = matches!(line, Ok(Line::Ended(Ended { ended: true })));
            match line {
                Ok(Line::Instance(instance)) => past.instances.push(instance),
                Ok(Line::Leader(leader)) => past.leaders.push(leader),
                Ok(Line::Ended(_)) | Err(_) => {}
            }
        }
        past.instances.retain(|instance| instance.boot_id == boot_id);
        if past.instances.is_empty() {
            past.leaders.clear();
        }
        past
    }

    fn lines(self) -> Vec<Line> {
        let instances = self.instances.into_iter().map(Line::Instance);
        instances.chain(self.leaders.into_iter().map(Line::Leader)).collect()
    }

    /// Returns the worker whose run a process with this tag belongs to.
    pub(crate) fn worker_of(&self, tag: Tag) -> Option<&Name> {
        self.leaders.iter().rev().find(|leader| leader.tag == tag.0).map(|leader| &leader.name)
    }
}

#[cfg(test)]
mod tests;

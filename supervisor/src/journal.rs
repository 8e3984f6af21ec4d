//! `journal` in the state directory: the identities of what the supervisor starts, for the one that comes after it.
//!
//! Lines of JSON that are only ever appended: who this supervisor is, then a line for each run's leader, and at the orderly
//! end one that says so: nothing else means that nothing was left. It is read once, at boot, when its writer is dead
//! (`recovery`), and then begins anew, as another file that takes the place of the old one. It decides nothing alone: a
//! process has to carry a run's tag or an instance's marker too, and what is lost here is still known by its tag.
//!
//! Written beside the main thread, for its disk may hang; but the line that says who we are is there before anything is started.

mod file;

use crate::disks::Disks;
use crate::sys::tag::Tag;
use file::JournalFile;
use gob_core::RunKey;
use gob_protocol::{Name, ProcessId};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// The file's name in the state directory.
pub(crate) const JOURNAL: &str = "journal";

/// A journal that has grown to so many bytes is written anew with the runs that live.
const LARGE: usize = 1 << 20;

/// So many bytes may wait for a disk that does not take them; what comes then is lost.
const WAITING_BYTES: usize = LARGE;

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
    Ended(Ended),
}

/// The last line: nothing was left.
#[derive(Serialize, Deserialize)]
struct Ended {
    ended: bool,
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
    file: Arc<Mutex<JournalFile>>,
    disks: Disks,
    /// Who this is, and what is told on of earlier ones of which something is left.
    head: Vec<u8>,
    /// How many bytes it has by now.
    bytes: usize,
    /// How many of them wait to be written.
    waiting: Arc<AtomicUsize>,
    /// How often it could not be written.
    failures: Arc<AtomicU64>,
}

impl Journal {
    /// Opens the journal and tells what it says of the past. It is written on these threads.
    pub(crate) fn open(state_dir: &Path, boot_id: &str, disks: Disks) -> (Self, Past) {
        let failures = Arc::default();
        let (file, text) = JournalFile::open(state_dir.join(JOURNAL), Arc::clone(&failures));
        let past = Past::read(&text, boot_id);
        let (file, waiting) = (Arc::new(Mutex::new(file)), Arc::default());
        (Self { file, disks, head: Vec::new(), bytes: 0, waiting, failures }, past)
    }

    /// Begins anew as this instance. What is still left of earlier ones stays told. It is on the disk when this returns,
    /// or there is no journal.
    pub(crate) fn begin(&mut self, own: Instance, past: Past) {
        let (own, past) = (Line::Instance(own), past.lines());
        self.head = text(&[own]);
        self.head.splice(0..0, text(&past));
        self.bytes = self.head.len();
        self.file.lock().unwrap_or_else(PoisonError::into_inner).replace(&self.head);
    }

    /// How often it could not be written, now and later on (PROTOCOL 9).
    pub(crate) fn failures(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.failures)
    }

    /// Where it is written.
    pub(crate) const fn disks(&self) -> &Disks {
        &self.disks
    }

    /// Nothing is left of earlier instances.
    pub(crate) fn past_is_over(&mut self) {
        // The last line of the head is our own.
        let ends = self.head.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let own = ends.rev().nth(1).map_or(0, |(at, _)| at + 1);
        self.head.drain(..own);
    }

    /// Notes a run's leader. It has been started already, so a failure changes nothing for it.
    pub(crate) fn note(&mut self, key: &RunKey, id: ProcessId, tag: Tag) {
        let line = text(&[leader(key, id, tag)]);
        self.bytes += line.len();
        self.write(line, JournalFile::append);
    }

    /// Whether it has become large.
    pub(crate) fn is_large(&self) -> bool {
        self.bytes > LARGE
    }

    /// Writes it anew with these runs alone.
    pub(crate) fn shrink<'a>(&mut self, live: impl Iterator<Item = (&'a RunKey, ProcessId, Tag)>) {
        let whole = self.whole(live);
        self.bytes = whole.len();
        self.write(whole, JournalFile::replace);
    }

    /// Writes it anew with these runs where it is not in its place any more, where the next supervisor will look for it.
    pub(crate) fn heal<'a>(&mut self, live: impl Iterator<Item = (&'a RunKey, ProcessId, Tag)>) {
        let whole = self.whole(live);
        self.write(whole, |file, whole| {
            if !file.is_in_its_place() {
                file.replace(whole);
            }
        });
    }

    /// Says that nothing is left: the orderly end. The receiver hears when that is written.
    pub(crate) fn end(&mut self) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        self.write(text(&[Line::Ended(Ended { ended: true })]), |file, line| {
            file.append(line);
            // Whoever waits may have gone.
            done.send(()).unwrap_or_default();
        });
        is_done
    }

    fn whole<'a>(&self, live: impl Iterator<Item = (&'a RunKey, ProcessId, Tag)>) -> Vec<u8> {
        let runs: Vec<Line> = live.map(|(key, id, tag)| leader(key, id, tag)).collect();
        [self.head.clone(), text(&runs)].concat()
    }

    /// Has this written after all that was to be written before.
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

/// Lines as they are written.
fn text(lines: &[Line]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        // What is made of names and numbers can be written; memory takes it.
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
    /// Reads what can be read; lines that make no sense are passed over.
    fn read(text: &[u8], boot_id: &str) -> Self {
        let mut past = Self::default();
        for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let line = serde_json::from_slice(line);
            // The last word counts.
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

    /// The worker of whose run a process is that carries this tag.
    pub(crate) fn worker_of(&self, tag: Tag) -> Option<&Name> {
        self.leaders.iter().rev().find(|leader| leader.tag == tag.0).map(|leader| &leader.name)
    }
}

#[cfg(test)]
mod tests;

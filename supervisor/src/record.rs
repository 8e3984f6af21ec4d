//! The records of graphs on the disk (core `record`): read and written beside the graphs' locks, by the
//! holder of the lock.
//!
//! A damaged record is logged and counts as none; a file that gob has not written is neither believed nor
//! replaced.

use crate::beside::{Beside, NotUsed, is_missing};
use gob_core::{Keep, MAX_RECORD_BYTES, New, Place, Record, Unfit};
use gob_protocol::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{OFlag, renameat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// The beginning of each record.
const BEGINS: &[u8] = b"{\"gob_record\":";

/// The record of a graph while a run serves it.
#[derive(Debug)]
pub(crate) struct Served {
    keep: Keep,
    /// It has served, so that its end is recorded too.
    has_served: AtomicBool,
    /// Its end is being recorded, or was.
    leaves: AtomicBool,
    /// Its end is recorded, and nothing that happens until then can change the record.
    has_left: AtomicBool,
}

/// A record as data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServedState {
    keep: Keep,
    has_served: bool,
    leaves: bool,
    has_left: bool,
}

impl Served {
    /// Returns what another program needs to go on with it.
    pub(crate) fn hand_over(&self) -> ServedState {
        ServedState {
            keep: self.keep.clone(),
            has_served: self.has_served.load(Ordering::Relaxed),
            leaves: self.leaves.load(Ordering::Relaxed),
            has_left: self.has_left(),
        }
    }

    /// Goes on with a record.
    pub(crate) fn resume(ServedState { keep, has_served, leaves, has_left }: ServedState) -> Self {
        Self {
            keep,
            has_served: AtomicBool::new(has_served),
            leaves: AtomicBool::new(leaves),
            has_left: AtomicBool::new(has_left),
        }
    }

    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            keep,
            has_served: AtomicBool::new(false),
            leaves: AtomicBool::new(false),
            has_left: AtomicBool::new(false),
        }
    }

    /// Decides from the record whether the run may begin.
    ///
    /// # Errors
    /// When the record can't be read now.
    pub(crate) fn judge(&self) -> io::Result<Result<New, Unfit>> {
        let known = known(&self.keep.path)?;
        let (mut copy, mut elsewhere) = (None, None);
        if known.is_none() {
            copy = self.copy()?;
            elsewhere = self.keep.elsewhere.iter().find_map(|path| read(path));
        }
        Ok(self.keep.judge(known.as_ref(), copy.as_ref(), elsewhere.as_ref(), holds))
    }

    fn copy(&self) -> io::Result<Option<Record>> {
        self.keep.pointer.as_deref().map_or(Ok(None), known)
    }

    /// Records that the run serves.
    pub(crate) fn begin(&self) {
        self.has_served.store(true, Ordering::Relaxed);
        self.remember();
    }

    /// Returns true once, for a run whose end can be recorded before it: what is remembered of a single file stays true,
    /// whatever becomes of that.
    pub(crate) fn begins_to_leave(&self) -> bool {
        let can = self.has_served.load(Ordering::Relaxed) && matches!(self.keep.record.data, Place::File(_));
        can && !self.leaves.swap(true, Ordering::Relaxed)
    }

    /// Records the end of a run that was asked to end.
    pub(crate) fn leave(&self) {
        let is_final = self.remember();
        self.has_left.store(is_final, Ordering::Release);
    }

    /// Returns whether nothing is left to record.
    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Acquire)
    }

    /// Records that the run has ended, if it served.
    pub(crate) fn end(&self) {
        if self.has_served.load(Ordering::Relaxed) && !self.has_left() {
            self.remember();
        }
    }

    /// Writes the record; true if it was written and says that the graph held data.
    fn remember(&self) -> bool {
        // Where the root went with its record, the copy still tells of its data.
        let known =
            known(&self.keep.path).and_then(|known| known.map_or_else(|| self.copy(), |it| Ok(Some(it))));
        let known = match known {
            Ok(known) => known,
            // Its report of lost data must not be lost.
            Err(e) => {
                tracing::warn!(path = %self.keep.path, error = %e, "a graph's record stays as it was");
                return false;
            }
        };
        let record = Record {
            last_used_at: now(),
            held_data: is_held(&self.keep.record.data, known.as_ref()),
            ..self.keep.record.clone()
        };
        // A power cut would only lose a time.
        let is_news =
            known.is_none_or(|known| Record { last_used_at: record.last_used_at, ..known } != record);
        let mut is_written = true;
        for path in [&self.keep.path].into_iter().chain(&self.keep.pointer) {
            if let Err(e) = write(path, &record, is_news) {
                tracing::warn!(path = %path, error = %e, "cannot remember of which kind the graph is");
                is_written = false;
            }
        }
        is_written && record.held_data
    }
}

/// Returns whether the graph holds data. Data that is gone stays remembered, unless its program left the
/// directory empty.
fn is_held(data: &Place, known: Option<&Record>) -> bool {
    let was_held = known.is_some_and(|known| known.held_data);
    match data {
        Place::File(_) => was_held || holds(data),
        Place::Dir(dir) => holds(data) || (was_held && !Path::new(dir).is_dir()),
    }
}

/// Returns whether there is data in a place; also true where that can't be seen.
pub(crate) fn holds(place: &Place) -> bool {
    let is_full = |path: &str| match fs::symlink_metadata(path) {
        Ok(found) => !found.is_file() || found.len() > 0,
        Err(e) => !is_missing(&e),
    };
    match place {
        Place::File(path) => is_full(path) || is_full(&format!("{path}-wal")),
        Place::Dir(dir) => match fs::read_dir(dir) {
            Ok(mut entries) => entries.next().is_some(),
            Err(e) => !is_missing(&e),
        },
    }
}

/// Returns the root and the name of a file beside its graphs.
pub(crate) fn split(path: &str) -> (&Path, &str) {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    (Path::new(dir).parent().unwrap_or(Path::new("/")), name)
}

/// Reads a record; `None`, with a log line, where there is none that can be used.
pub(crate) fn read(path: &str) -> Option<Record> {
    match try_read(path) {
        Ok(read) => read,
        Err(e) => {
            tracing::warn!(path = %path, error = %e, "a graph's record cannot be used");
            None
        }
    }
}

/// As [`read`], but fails where a possibly good record can't be read now: the record decides whether a run
/// may begin.
fn known(path: &str) -> io::Result<Option<Record>> {
    match try_read(path) {
        Err(e) if is_passing(&e) => Err(e),
        Ok(known) => Ok(known),
        Err(_) => Ok(read(path)),
    }
}

/// Returns whether an error is temporary, and tells nothing of the record.
fn is_passing(error: &io::Error) -> bool {
    let not_used = error.get_ref().and_then(|inner| inner.downcast_ref::<NotUsed>());
    let errno = not_used.map(NotUsed::errno).or_else(|| error.raw_os_error().map(Errno::from_raw));
    errno.is_some_and(|errno| {
        use Errno::{EAGAIN, EINTR, EIO, EMFILE, ENFILE, ENOMEM, ESTALE, ETIMEDOUT};
        [EAGAIN, EINTR, EIO, EMFILE, ENFILE, ENOMEM, ESTALE, ETIMEDOUT].contains(&errno)
    })
}

fn try_read(path: &str) -> io::Result<Option<Record>> {
    let (root, name) = split(path);
    let opened = Beside::open(root).and_then(|beside| beside.file(name, OFlag::O_RDONLY));
    match opened {
        Err(e) if e.is_missing() => Ok(None),
        Err(e) => Err(e.into()),
        Ok(file) => parse(&bytes_of(file)?).map(Some),
    }
}

fn bytes_of(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_RECORD_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn parse(bytes: &[u8]) -> io::Result<Record> {
    if bytes.len() as u64 > MAX_RECORD_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_RECORD_BYTES} bytes")));
    }
    serde_json::from_slice(bytes).map_err(|e| io::Error::other(format!("it is damaged: {e}")))
}

/// Replaces a record in one step; with `sync` it is on the disk afterwards.
fn write(path: &str, record: &Record, sync: bool) -> io::Result<()> {
    let (root, name) = split(path);
    let beside = Beside::make(root)?;
    may_replace(&beside, name)?;
    let temporary = format!("{name}.new");
    match unlinkat(beside.dir(), temporary.as_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut file = beside.file(&temporary, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL)?;
    let mut text = serde_json::to_vec(record)?;
    text.push(b'\n');
    file.write_all(&text)?;
    if sync {
        file.sync_all()?;
    }
    renameat(beside.dir(), temporary.as_str(), beside.dir(), name)?;
    Ok(())
}

/// Refuses to replace a file that gob has not written.
fn may_replace(beside: &Beside, name: &str) -> io::Result<()> {
    let file = match beside.file(name, OFlag::O_RDONLY) {
        Err(e) if e.is_missing() => return Ok(()),
        opened => opened?,
    };
    let bytes = bytes_of(file)?;
    let is_blank = bytes.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace());
    if is_blank || bytes.starts_with(BEGINS) {
        return Ok(());
    }
    Err(io::Error::other("what is there is no record of a graph; it stays"))
}

/// Removes a record, if it is one.
pub(crate) fn remove(path: &str) -> io::Result<()> {
    let (root, name) = split(path);
    let beside = match Beside::open(root) {
        Err(e) if e.is_missing() => return Ok(()),
        opened => opened?,
    };
    may_replace(&beside, name)?;
    match unlinkat(beside.dir(), name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
pub(crate) mod tests;

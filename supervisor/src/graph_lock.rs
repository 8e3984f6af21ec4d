//! The lock of a graph: a file beside it, flocked by its server (ARCHITECTURE, "How a graph is held").
//!
//! A run's processes inherit the descriptor and thereby the lock, and the supervisor keeps its own until
//! nothing is left of the run: the lock lives as long as any process of the tree keeps it open, also when the
//! supervisor is dead, and as long as the supervisor knows of any process of the run, even one that has
//! closed it. It works between supervisors with different directories too. The flock alone decides. The
//! content of the file is for people and for other supervisors' answers. No program ever calls LOCK_UN, which
//! would drop the lock of all who share it, or unlinks the file.

mod holder;

use crate::beside::{Beside, NotUsed};
use crate::claims::{Claim, Claims};
use crate::program;
use crate::record::{self, Served, ServedState};
use crate::sys::closing::Slow;
use crate::sys::linux::Linux;
use crate::upgrade::{self, Fd, Inherited, Named};
use gob_core::Claimed;
use gob_core::{Errno, GraphLock, Holder, New, SpawnFailure, SpawnStep, Unfit};
use gob_protocol::{Name, ProcessId};
use holder::holder;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Replacements of the file between open and flock before they are taken for malice.
const TRIES: usize = 100;

/// Limit of the note that is read.
const NOTE_BYTES: usize = 4096;

/// The beginning of each note: its keys are in order.
const NOTE_BEGINS: &[u8] = b"{\"graph\":";

/// A graph's lock, held until this and every descriptor that was inherited from it are closed.
#[derive(Debug)]
pub(crate) struct HeldLock {
    file: File,
    path: String,
    slow: Option<Slow>,
    /// The lock of the graph's directory, where gob would give that directory another name.
    second: Option<Second>,
    /// The claim on the graph's directory.
    claim: Option<Claim>,
    /// The record beside the graph.
    served: Served,
}

/// The lock of a graph's real directory as a graph of its own.
#[derive(Debug)]
struct Second {
    file: File,
    slow: Option<Slow>,
}

/// A held lock as data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HeldLockState {
    file: Fd,
    path: String,
    second: Option<Fd>,
    claim: Option<Claimed>,
    served: ServedState,
}

impl HeldLockState {
    /// Returns the place of its claim in the order of claims, in which they are to be taken in.
    pub(crate) fn order(&self) -> u64 {
        self.claim.as_ref().map_or(0, Claimed::number)
    }
}

/// The reason why a graph's lock was not taken.
pub(crate) enum NoLock {
    /// Another process has it.
    Held(Holder),
    /// The file can't be made or locked.
    Failed(SpawnFailure),
    /// The lock is free, but the record of the graph on disk does not fit.
    Unfit(Unfit),
}

impl From<SpawnFailure> for NoLock {
    fn from(failure: SpawnFailure) -> Self {
        Self::Failed(failure)
    }
}

impl HeldLock {
    /// Returns what another program needs to hold it.
    pub(crate) fn hand_over(&self, named: &mut Named) -> HeldLockState {
        HeldLockState {
            file: named.name(&self.file),
            path: self.path.clone(),
            second: self.second.as_ref().map(|second| named.name(&second.file)),
            claim: self.claim.as_ref().map(|claim| claim.claimed().clone()),
            served: self.served.hand_over(),
        }
    }

    /// Holds a lock that another program took.
    pub(crate) fn resume(
        state: HeldLockState,
        claims: &Claims,
        inherited: &mut Inherited,
    ) -> Result<Self, upgrade::Unfit> {
        let HeldLockState { file, path, second, claim, served } = state;
        let file = File::from(inherited.take(file)?);
        let slow = Slow::of(file.as_fd());
        let second = second.map(|fd| inherited.take(fd)).transpose()?.map(File::from);
        let second = second.map(|file| Second { slow: Slow::of(file.as_fd()), file });
        let claim = claim.map(|claimed| claims.resume(claimed));
        Ok(Self { file, path, slow, second, claim, served: Served::resume(served) })
    }

    /// Takes the lock without waiting. Its file and private directories on the way are made where they are
    /// missing.
    pub(crate) fn take(lock: &GraphLock) -> Result<Self, NoLock> {
        let path = || lock.path.clone();
        let failed = |source: &io::Error| {
            NoLock::Failed(program::failure(SpawnStep::TakeLock { path: path() }, source))
        };
        for _ in 0..TRIES {
            let file = open(&lock.path).map_err(|not_used| {
                let errno = Errno { name: format!("{:?}", not_used.errno()), text: not_used.to_string() };
                NoLock::Failed(SpawnFailure { step: SpawnStep::OpenLock { path: path() }, errno })
            })?;
            match file.try_lock() {
                Ok(()) => {
                    if is_at(&file, Path::new(&lock.path)) {
                        let served = Served::new(lock.keep.clone());
                        let slow = Slow::of(file.as_fd());
                        return Ok(Self {
                            file,
                            path: lock.path.clone(),
                            served,
                            slow,
                            second: None,
                            claim: None,
                        });
                    }
                    // The file was replaced meanwhile: a lock on a file without a name excludes no other
                    // process.
                }
                Err(TryLockError::WouldBlock) => return Err(NoLock::Held(holder(&Linux::new(), file, lock))),
                Err(TryLockError::Error(source)) => return Err(failed(&source)),
            }
        }
        Err(failed(&io::Error::from_raw_os_error(libc::ESTALE)))
    }

    /// Takes the lock for a run of this worker, and claims the directory of the graph: another name may mean
    /// the same directory.
    pub(crate) fn take_for(worker: &Name, lock: &GraphLock, claims: &Claims) -> Result<Self, NoLock> {
        let claim = claims.claim(worker, lock.keep.record.data.dir(), &lock.path).map_err(NoLock::Unfit)?;
        let held = Self::take(lock)?;
        let second = lock_of_real(&claim, lock)?;
        Ok(Self { second, claim: Some(claim), ..held })
    }

    /// Returns the path of its file.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns the descriptor that a process inherits.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Returns the second descriptor that a process inherits.
    pub(crate) fn second_fd(&self) -> Option<BorrowedFd<'_>> {
        self.second.as_ref().map(|second| second.file.as_fd())
    }

    /// Returns whether nothing that may wait for a disk is left to do before it is let go, nor in doing so.
    pub(crate) fn closes_at_once(&self) -> bool {
        let is_slow = self.slow.is_some() || self.second.as_ref().is_some_and(|second| second.slow.is_some());
        !is_slow && self.served.has_left()
    }

    /// Returns the record of the graph.
    pub(crate) const fn served(&self) -> &Served {
        &self.served
    }

    /// Decides from the record of the graph on disk whether a run may begin.
    pub(crate) fn judge(&self) -> Result<New, NoLock> {
        let step = || SpawnStep::ReadRecord { path: self.path.clone() };
        let judged = self.served.judge().map_err(|e| program::failure(step(), &e))?;
        judged.map_err(NoLock::Unfit)
    }

    /// Writes the holder into the file, one line of JSON. Content that is not gob's stays.
    pub(crate) fn note(&self, lock: &GraphLock, leader: ProcessId) {
        let old = read_note(&self.file);
        if !is_note(&old) {
            return tracing::warn!(path = %lock.path, "the lock holds what gob has not written; that stays, and no note is made");
        }
        let mut note = lock.note.clone();
        note.insert("pid".to_owned(), leader.pid.into());
        note.insert("start_time".to_owned(), leader.start_time.into());
        let line = format!("{}\n", serde_json::Value::Object(note));
        // Overwritten first and cut afterwards, so that a full disk takes nothing away.
        let written = self.file.write_all_at(line.as_bytes(), 0);
        let len = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let len_before = self.file.metadata().map_or(u64::MAX, |found| found.len());
        let written = written.and_then(|()| if len_before > len { self.file.set_len(len) } else { Ok(()) });
        if let Err(e) = written {
            // A client that asks for the holder finds it by its descriptor then.
            tracing::warn!(path = %lock.path, error = %e, "cannot note who holds the graph");
        }
    }
}

/// Takes the lock of a graph's real directory as a graph of its own, where another supervisor may serve it:
/// where locks lie beside it.
fn lock_of_real(claim: &Claim, lock: &GraphLock) -> Result<Option<Second>, NoLock> {
    let Some(path) = claim.second_lock() else { return Ok(None) };
    let (root, name) = record::split(path);
    let opened = Beside::open(root).and_then(|beside| beside.file(name, OFlag::O_RDWR | OFlag::O_CREAT));
    // Where no supervisor of this user can have a lock, there is none to meet.
    let Ok(file) = opened else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => {
            let slow = Slow::of(file.as_fd());
            Ok(Some(Second { file, slow }))
        }
        Err(TryLockError::WouldBlock) => Err(NoLock::Held(holder(
            &Linux::new(),
            file,
            &GraphLock { path: path.to_owned(), ..lock.clone() },
        ))),
        Err(TryLockError::Error(source)) => {
            Err(NoLock::Failed(program::failure(SpawnStep::TakeLock { path: path.to_owned() }, &source)))
        }
    }
}

/// Opens the lock's file, making it where it is missing.
fn open(path: &str) -> Result<File, NotUsed> {
    let (root, name) = record::split(path);
    Beside::make(root)?.file(name, OFlag::O_RDWR | OFlag::O_CREAT)
}

/// Returns whether the path still names the file.
fn is_at(file: &File, path: &Path) -> bool {
    let found = file.metadata().and_then(|ours| Ok((ours, std::fs::symlink_metadata(path)?)));
    found.is_ok_and(|(ours, there)| inode(&ours) == inode(&there))
}

fn read_note(file: &File) -> Vec<u8> {
    let mut text = vec![0; NOTE_BYTES];
    let read = file.read_at(&mut text, 0).unwrap_or(0);
    text.truncate(read);
    text
}

/// Returns whether the text is gob's or empty: a whole note, a truncated one, or the remains of a crash.
fn is_note(text: &[u8]) -> bool {
    let is_blank = text.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace());
    let whole =
        || serde_json::from_slice::<serde_json::Map<_, _>>(text).is_ok_and(|note| note.contains_key("pid"));
    is_blank || text.starts_with(NOTE_BEGINS) || whole()
}

fn inode(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use crate::sys::kernel::Kernel;
    use gob_protocol::Owner;
    use std::fs;
    use std::time::{Duration, Instant};

    pub(super) fn lock_in(dir: &Path) -> GraphLock {
        let note = serde_json::json!({"name": "g", "owner": "desktop"});
        let serde_json::Value::Object(note) = note else { unreachable!() };
        let path = |name: &str| dir.join(".gob").join(name).to_str().unwrap().to_owned();
        GraphLock { path: path("g.lock"), note, keep: record::tests::keep(dir) }
    }

    fn me() -> ProcessId {
        Linux::new().seen(i32::try_from(std::process::id()).unwrap()).unwrap().id
    }

    /// Other tests of this process start programs, which have all of our descriptors until they exec.
    fn in_the_end<T>(mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "not by the deadline");
            std::thread::yield_now();
        }
    }

    fn take(lock: &GraphLock) -> HeldLock {
        in_the_end(|| HeldLock::take(lock).ok())
    }

    fn refused(lock: &GraphLock) -> Holder {
        match HeldLock::take(lock) {
            Err(NoLock::Held(holder)) => holder,
            Err(NoLock::Failed(failure)) => panic!("{failure}"),
            Err(NoLock::Unfit(unfit)) => panic!("{unfit:?}"),
            Ok(_) => panic!("taken twice"),
        }
    }

    #[test]
    fn a_second_taker_of_the_lock_is_told_its_holder() {
        use std::os::unix::fs::PermissionsExt;
        let dir = Scratch::new("second");
        let lock = lock_in(&dir);
        let held = take(&lock);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir.join(".gob")), mode(lock.path.as_ref())), (0o700, 0o600));
        let inherited = held.file.try_clone().unwrap();
        held.note(&lock, me());
        let holder = refused(&lock);
        assert_eq!((holder.pid, holder.start_time), (me().pid, me().start_time));
        assert_eq!((holder.owner.as_str(), &holder.path), ("desktop", &lock.path));
        // The lock stays with the run as long as one of its processes has it, and as long as the supervisor
        // does.
        drop(inherited);
        refused(&lock);
        drop(held);
        take(&lock);
    }

    #[test]
    fn a_note_that_gob_did_not_write_is_not_believed() {
        let dir = Scratch::new("note");
        let lock = lock_in(&dir);
        for garbage in ["", "{", "\u{0}\u{1}", "{\"pid\":1,\"start_time\":7,\"owner\":\"NOT ONE\"}", "[1]"] {
            let held = take(&lock);
            held.file.set_len(0).unwrap();
            held.file.write_all_at(garbage.as_bytes(), 0).unwrap();
            // Only this very process has the file open, and the search leaves itself out.
            let holder = in_the_end(|| Some(refused(&lock)).filter(|holder| holder.pid == 0));
            assert_eq!(holder.owner, Owner::unknown(), "{garbage}");
        }
    }

    #[test]
    fn a_file_that_was_deleted_is_made_anew() {
        let dir = Scratch::new("deleted");
        let lock = lock_in(&dir);
        let first = take(&lock);
        fs::remove_file(&lock.path).unwrap();
        let second = take(&lock);
        assert!(!is_at(&first.file, lock.path.as_ref()) && is_at(&second.file, lock.path.as_ref()));
    }

    #[test]
    fn a_path_that_is_no_file_is_refused_with_its_errno() {
        let dir = Scratch::new("link");
        let lock = lock_in(&dir);
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().mode(0o700).create(dir.join(".gob")).unwrap();
        std::os::unix::fs::symlink("/dev/null", &lock.path).unwrap();
        let Err(NoLock::Failed(failure)) = HeldLock::take(&lock) else { panic!("a link was followed") };
        assert_eq!(failure.errno.name, "ELOOP");
        assert!(failure.to_string().contains(&lock.path), "{failure}");
    }
}

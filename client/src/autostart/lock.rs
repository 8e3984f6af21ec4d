//! The client-side start lock: `start.lock` in the runtime directory. It does not decide which supervisor
//! lives.

use super::{LOOK_MS, Notify, after};
use crate::blocking::poll_timeout;
use crate::error::Error;
use crate::holder::{Holder, Stopped, holder};
use nix::fcntl::OFlag;
use nix::poll::poll;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

/// The result of waiting for the lock.
#[derive(Debug)]
pub(super) enum Taken<T> {
    /// The lock, released when the file is dropped.
    Lock(File),
    /// The goal was reached without the lock.
    There(T),
}

/// Takes the lock, unless `look` finds its goal reached during the wait: the lock's holder may be stopped,
/// while the supervisor that it began comes up.
pub(super) fn take<T>(
    path: &Path,
    deadline: Instant,
    notify: Notify<'_>,
    look: impl Fn() -> Result<Option<T>, Error>,
) -> Result<Taken<T>, Error> {
    loop {
        let file = match open(path) {
            // The directory was removed after it was made and checked.
            Err(e) if e.kind() == io::ErrorKind::NotFound && Instant::now() < deadline => {
                make_parent(path).map_err(|source| failed(path, "make the directory of", source))?;
                continue;
            }
            opened => opened.map_err(|source| failed(path, "open", source))?,
        };
        let file = match file.try_lock() {
            Ok(()) => file,
            Err(TryLockError::WouldBlock) => {
                notify("another gobctl is starting the supervisor");
                match wait(file, path, deadline, &look)? {
                    Taken::Lock(file) => file,
                    there @ Taken::There(_) => return Ok(there),
                }
            }
            Err(TryLockError::Error(source)) => return Err(failed(path, "lock", source)),
        };
        // The directory may have been removed during the wait; a lock on a deleted file excludes no other
        // process.
        if is_at(&file, path) {
            return Ok(Taken::Lock(file));
        }
    }
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| DirBuilder::new().recursive(true).mode(0o700).create(dir))
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits())
        .open(path)
}

/// flock(2) has no deadline, so a thread waits in it. After the deadline, the thread releases the lock as
/// soon as it gets it: the file is dropped with the unreceived message.
enum Waiter {
    Thread(mpsc::Receiver<io::Result<File>>),
    /// Without a thread the lock is tried now and then.
    Alone(Option<File>),
}

impl Waiter {
    fn of(file: File) -> io::Result<Self> {
        let own = file.try_clone()?;
        let (send, locked) = mpsc::channel();
        let waits = move || {
            send.send(file.lock().map(|()| file)).ok();
        };
        Ok(match std::thread::Builder::new().spawn(waits) {
            Ok(_) => Self::Thread(locked),
            Err(_) => Self::Alone(Some(own)),
        })
    }

    /// Waits for the lock until then.
    fn wait(&mut self, until: Instant) -> io::Result<Option<File>> {
        match self {
            Self::Thread(locked) => {
                locked.recv_timeout(until.saturating_duration_since(Instant::now())).ok().transpose()
            }
            Self::Alone(file) => {
                poll(&mut [], poll_timeout(Some(until))).ok();
                match file.as_ref().map(File::try_lock) {
                    Some(Ok(())) => Ok(file.take()),
                    None | Some(Err(TryLockError::WouldBlock)) => Ok(None),
                    Some(Err(TryLockError::Error(source))) => Err(source),
                }
            }
        }
    }
}

/// Waits for the lock, or for its goal.
fn wait<T>(
    file: File,
    path: &Path,
    deadline: Instant,
    look: impl Fn() -> Result<Option<T>, Error>,
) -> Result<Taken<T>, Error> {
    let mut waiter = Waiter::of(file).map_err(|source| failed(path, "lock", source))?;
    loop {
        match waiter.wait(deadline.min(after(LOOK_MS))) {
            Ok(Some(file)) => return Ok(Taken::Lock(file)),
            Ok(None) => {}
            Err(source) => return Err(failed(path, "lock", source)),
        }
        if let Some(there) = look()? {
            return Ok(Taken::There(there));
        }
        if Instant::now() >= deadline {
            let text = held_by(path);
            return Err(failed(path, "lock", io::Error::new(io::ErrorKind::TimedOut, text)));
        }
    }
}

/// Names the holder of the lock, as far as /proc/locks shows it, and whether it is stopped.
fn held_by(path: &Path) -> String {
    let Some(Holder { pid, .. }) = holder(path) else {
        return "another process holds it and does not let go".to_owned();
    };
    match Stopped::of(pid) {
        Some(stopped) => format!("pid {pid} holds it and is stopped: {}", stopped.hint()),
        None => format!("pid {pid} holds it and does not let go"),
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn failed(path: &Path, what: &str, source: io::Error) -> Error {
    Error::Start { operation: format!("cannot {what} {}", path.display()), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::Duration;

    fn take(path: &Path, deadline: Instant, notify: Notify<'_>) -> Result<File, Error> {
        match super::take(path, deadline, notify, || Ok(None::<()>))? {
            Taken::Lock(file) => Ok(file),
            Taken::There(()) => panic!("there is nothing"),
        }
    }

    #[test]
    fn a_goal_reached_meanwhile_ends_the_wait_and_the_holder_is_named() {
        let path = std::env::temp_dir().join(format!("gob-start-there-{}", std::process::id()));
        let soon = || Instant::now() + Duration::from_secs(5);
        let held = take(&path, soon(), &|_| {}).unwrap();
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            Ok((looks.get() > 1).then_some("reached"))
        };
        let taken = super::take(&path, soon(), &|_| {}, look).unwrap();
        assert!(matches!(taken, Taken::There("reached")) && looks.get() == 2, "{taken:?}");
        // Some sandboxes show an empty list of locks.
        if std::fs::read_to_string("/proc/locks").is_ok_and(|locks| !locks.is_empty()) {
            assert_eq!(held_by(&path), format!("pid {} holds it and does not let go", std::process::id()));
        }
        drop(held);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_held_lock_is_waited_for_with_a_note_and_given_up() {
        let path = std::env::temp_dir().join(format!("gob-start-lock-{}", std::process::id()));
        let soon = || Instant::now() + Duration::from_millis(50);
        let said = Cell::new(0);
        let notify = |_: &str| said.set(said.get() + 1);
        let held = take(&path, soon(), &notify).unwrap();
        assert_eq!(said.get(), 0);
        assert!(matches!(take(&path, soon(), &notify), Err(Error::Start { .. })));
        assert_eq!(said.get(), 1);
        std::fs::remove_file(&path).unwrap();
        let fresh = take(&path, soon(), &notify).unwrap();
        drop((held, fresh));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_directory_that_was_taken_away_is_made_again() {
        let dir = std::env::temp_dir().join(format!("gob-start-dir-{}", std::process::id()));
        let held = take(&dir.join("start.lock"), Instant::now() + Duration::from_secs(5), &|_| {}).unwrap();
        assert!(is_at(&held, &dir.join("start.lock")));
        assert_eq!(std::fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        std::fs::remove_dir_all(dir).unwrap();
    }
}

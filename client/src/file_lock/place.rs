//! The lock file on its disk: seen, made, taken from a holder that does not count, renewed, removed.
//!
//! There is no system call that removes a file only if it still is the one that was judged. So nothing here removes what it
//! has not looked at afterwards, under a name of its own:
//!
//! - A file is made whole under a temporary name and linked to its place, which fails where there is one already.
//! - A stale file is *exchanged* with a new one, in one step; only then is it judged again, and if it is not the one that was
//!   judged before, both are exchanged back. The place is never empty meanwhile, so that no third program gets in between.
//! - Programs of gob do this under an flock of the directory. Others know nothing of it: between them and gob the exchange
//!   is all there is.

use super::record::{Info, MAX_BYTES, Seen};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, RenameFlags, renameat2};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Begin of the names of temporary files; the host, the pid and a number follow.
const TEMPORARY: &str = ".gob-lock";

/// Most entries of a directory among which the temporary files of dead processes are looked for.
const MOST_ENTRIES: usize = 10_000;

/// Tries for the flock of the directory without a pause: it is held for some system calls.
const TRIES: u32 = 100;
/// Time for it where nothing can be told without it. Only a process that was stopped holds it for longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A lock file that was seen. It is open, so that no other file has its inode.
#[derive(Debug)]
pub(super) struct Sight {
    _file: File,
    pub(super) seen: Seen,
}

/// The place of a lock file.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) dir: PathBuf,
    host: String,
}

impl Place {
    /// The place at a path, for a process of this host.
    pub(super) fn new(path: PathBuf, host: String) -> Self {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let dir = parent.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        Self { path, dir, host }
    }

    /// Looks at the lock file; `None` where there is none.
    ///
    /// # Errors
    /// The file can't be read, or there is something else in its place.
    pub(super) fn look(&self) -> io::Result<Option<Sight>> {
        look_at(&self.path)
    }

    /// Makes the lock file; `None` where there is one already.
    ///
    /// # Errors
    /// It can't be made.
    pub(super) fn create(&self, info: &Info) -> io::Result<Option<File>> {
        let new = Temporary::new(self, info)?;
        match fs::hard_link(&new.path, &self.path) {
            Ok(()) => Ok(Some(new.keep())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) if has_no_such_call(&error) => self.create_in_place(info),
            Err(error) => Err(error),
        }
    }

    /// For file systems without links: others see the file before it is whole.
    fn create_in_place(&self, info: &Info) -> io::Result<Option<File>> {
        match OpenOptions::new().read(true).write(true).create_new(true).open(&self.path) {
            Ok(file) => self.write_in_place(file, info),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the record into a lock file that was just made; `None` where another program has the lock by now.
    ///
    /// A file without a record counts as broken after a second, and the disk may be busy for longer than that. The look
    /// afterwards is under the flock, so that no program of gob has exchanged the file for a moment only.
    ///
    /// # Errors
    /// It can't be written, or not be read afterwards.
    pub(super) fn write_in_place(&self, mut file: File, info: &Info) -> io::Result<Option<File>> {
        file.write_all(&info.bytes())?;
        let Some(_ours_alone) = self.directory(PATIENCE) else {
            give_back(self, &file, info)?;
            return Ok(None);
        };
        Ok((own_file(self, &file, info)? == Own::Kept).then_some(file))
    }

    /// Puts a lock file in the place of one whose holder does not count; `None` where that one has changed meanwhile.
    ///
    /// # Errors
    /// It can't be put there.
    pub(super) fn replace(&self, judged: &Sight, info: &Info) -> io::Result<Option<File>> {
        let Some(_ours_alone) = self.directory(Duration::ZERO) else { return Ok(None) };
        if !self.is_still(judged)? {
            return Ok(None);
        }
        let new = Temporary::new(self, info)?;
        match exchange(&new.path, &self.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if has_no_such_call(&error) => return self.remove_and_create(judged, info),
            Err(error) => return Err(error),
        }
        let taken = look_at(&new.path);
        if matches!(&taken, Ok(Some(taken)) if taken.seen == judged.seen) {
            self.clear_up();
            return Ok(Some(new.keep()));
        }
        // Another program was faster: the file that was taken is its own.
        exchange(&new.path, &self.path)?;
        taken.map(|_| None)
    }

    /// Removes a lock file whose holder does not count; false where it has changed meanwhile.
    ///
    /// # Errors
    /// It can't be removed.
    pub(super) fn remove(&self, judged: &Sight) -> io::Result<bool> {
        let _ours_alone = self.directory(PATIENCE);
        if !self.is_still(judged)? {
            return Ok(false);
        }
        let aside = self.temporary();
        match fs::rename(&self.path, &aside) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        if look_at(&aside)?.is_some_and(|taken| taken.seen == judged.seen) {
            fs::remove_file(&aside)?;
            return Ok(true);
        }
        // The file that was taken is of another program, and goes back unless there is a new one by now.
        if fs::hard_link(&aside, &self.path).is_ok() {
            fs::remove_file(&aside)?;
        }
        Ok(false)
    }

    /// For file systems that can't exchange two files: the place is empty for a moment.
    fn remove_and_create(&self, judged: &Sight, info: &Info) -> io::Result<Option<File>> {
        if self.remove(judged)? { self.create(info) } else { Ok(None) }
    }

    fn is_still(&self, judged: &Sight) -> io::Result<bool> {
        Ok(self.look()?.is_some_and(|now| now.seen == judged.seen))
    }

    /// Returns the directory under an flock, released when it is dropped. `None` where it can't be had within this time.
    fn directory(&self, patience: Duration) -> Option<File> {
        let directory = File::open(&self.dir).ok()?;
        let deadline = Instant::now() + patience;
        for tried in 1.. {
            match directory.try_lock() {
                Ok(()) => return Some(directory),
                Err(TryLockError::WouldBlock) if tried < TRIES => std::thread::yield_now(),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => return None,
                // A file system without flock has one program of gob at most.
                Err(TryLockError::Error(_)) => return Some(directory),
            }
        }
        None
    }

    fn temporary(&self) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (pid, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.dir.join(format!("{TEMPORARY}-{}-{pid}-{number}", self.host_in_names()))
    }

    pub(super) fn host_in_names(&self) -> String {
        self.host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(64).collect()
    }

    /// Removes the temporary files of this host's dead processes. They are left where one was killed in between.
    fn clear_up(&self) {
        let begin = format!("{TEMPORARY}-{}-", self.host_in_names());
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for entry in entries.take(MOST_ENTRIES).flatten() {
            let name = entry.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(&begin));
            let pid = rest.and_then(|rest| rest.split('-').next()).and_then(|pid| pid.parse().ok());
            if pid.is_some_and(|pid| !super::is_alive(pid)) {
                fs::remove_file(entry.path()).unwrap_or_default();
            }
        }
    }
}

/// The state of a lock file that a holder has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// It is the holder's.
    Kept,
    /// There is none, or it is another program's.
    Gone,
    /// Something that is no regular file lies in its place, as no program leaves there for a moment.
    Displaced,
}

/// Writes a holder's record anew, into the file that it made and has open, while that is the lock file. `record` is what is in it,
/// also after an error.
///
/// # Errors
/// It can't be read or written.
pub(super) fn renew(place: &Place, own: &File, record: &mut Info, next: Info) -> io::Result<Own> {
    // Without the directory it is still better to write: silence would lose the lock.
    let _ours_alone = place.directory(Duration::ZERO);
    match own_file(place, own, record)? {
        Own::Kept => {}
        other @ (Own::Gone | Own::Displaced) => return Ok(other),
    }
    own.write_all_at(&next.bytes(), 0)?;
    *record = next;
    own_file(place, own, record)
}

/// Removes a holder's lock file; false if it is not its own any more.
///
/// # Errors
/// It can't be read or removed.
pub(super) fn give_back(place: &Place, own: &File, last: &Info) -> io::Result<bool> {
    match place.look() {
        Ok(Some(sight)) if sight.seen == own_sight(own, last)? => place.remove(&sight),
        Ok(Some(_) | None) => Ok(false),
        Err(error) => match without_a_look(place, own) {
            Some(Own::Gone | Own::Displaced) => Ok(false),
            Some(Own::Kept) | None => Err(error),
        },
    }
}

fn own_file(place: &Place, own: &File, last: &Info) -> io::Result<Own> {
    match place.look() {
        Ok(Some(sight)) if sight.seen == own_sight(own, last)? => Ok(Own::Kept),
        Ok(Some(_) | None) => Ok(Own::Gone),
        Err(error) => without_a_look(place, own).filter(|state| *state != Own::Kept).ok_or(error),
    }
}

/// The state of a lock file that can't be read, by its name alone; `None` where that tells nothing.
fn without_a_look(place: &Place, own: &File) -> Option<Own> {
    match fs::symlink_metadata(&place.path) {
        Ok(found) if !found.is_file() => Some(Own::Displaced),
        Ok(found) if identity(own).ok()? != (found.dev(), found.ino()) => Some(Own::Gone),
        Ok(_) => Some(Own::Kept),
        // The directories on the way to it are others now.
        Err(error) => {
            let ways = [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP];
            ways.iter().any(|errno| error.raw_os_error() == Some(*errno as i32)).then_some(Own::Gone)
        }
    }
}

fn own_sight(own: &File, last: &Info) -> io::Result<Seen> {
    Ok(Seen { file: identity(own)?, bytes: last.bytes() })
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|found| (found.dev(), found.ino()))
}

fn look_at(path: &Path) -> io::Result<Option<Sight>> {
    // A FIFO in its place would make the open wait.
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits();
    let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::ELOOP as i32) => {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link"));
        }
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    if !found.is_file() {
        let what = if found.is_dir() { "it is a directory" } else { "it is no regular file" };
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut bytes = Vec::new();
    (&mut file).take(MAX_BYTES as u64).read_to_end(&mut bytes)?;
    let seen = Seen { file: (found.dev(), found.ino()), bytes };
    Ok(Some(Sight { _file: file, seen }))
}

fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE).map_err(io::Error::from)
}

fn has_no_such_call(error: &io::Error) -> bool {
    let calls = [Errno::EINVAL, Errno::ENOSYS, Errno::EOPNOTSUPP, Errno::EPERM];
    calls.iter().any(|errno| error.raw_os_error() == Some(*errno as i32))
}

/// A file with a record under a temporary name, which goes when this is dropped.
struct Temporary {
    path: PathBuf,
    file: Option<File>,
}

impl Temporary {
    fn new(place: &Place, info: &Info) -> io::Result<Self> {
        let path = place.temporary();
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let mut new = Self { path, file: None };
        new.file.insert(file).write_all(&info.bytes())?;
        Ok(new)
    }

    /// Returns the file, which has another name by now.
    fn keep(mut self) -> File {
        // It is there since `new`.
        self.file.take().unwrap_or_else(|| unreachable!())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        fs::remove_file(&self.path).unwrap_or_default();
    }
}

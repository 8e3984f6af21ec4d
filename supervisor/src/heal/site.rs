//! The files that must exist while the supervisor lives, and how each is made again.
//!
//! Owns the locks and knows which files are the supervisor's own. All of it waits for the disk, so none of it
//! runs on the loop's thread; the new pieces are handed over as [`Mended`].

use super::held::{Held, HeldState, Lost};
use super::watch;
use crate::boot::Boot;
use crate::files::{self, Identity};
use crate::mark::Mark;
use crate::readiness::notify;
use crate::upgrade::{Inherited, Named, Unfit};
use gob_core::Paths;
use gob_host::dirs::{own_runtime, own_state};
use gob_host::lock_file;
use nix::sys::stat::{Mode, fchmod, fstat};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rounds of one check: a program that deletes faster than this is waited out.
const ROUNDS: usize = 3;

/// The existing files of this supervisor.
#[derive(Debug)]
pub(crate) struct Site {
    pub(super) paths: Paths,
    /// The content of the lock file.
    pub(super) lock_line: String,
    /// The content of the pid file.
    pub(super) pid_line: String,
    pub(super) lock: Held,
    pub(super) runtime: Held,
    /// The socket, unless it has no listener.
    pub(super) socket: Option<Identity>,
    pub(super) notify: Identity,
    /// The note that locks are held is to exist.
    pub(super) lock_mark: Arc<Mark>,
    pub(super) job_mark: Arc<Mark>,
    /// Standard error is the supervisor's own log.
    pub(super) has_log: bool,
    /// The directory of logs, if it existed.
    pub(super) logs: Option<Identity>,
    /// The directory of workers' sockets, if it existed.
    pub(super) sockets: Option<Identity>,
}

/// The files as data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SiteState {
    lock: HeldState,
    runtime: HeldState,
    socket: Option<Identity>,
    notify: Identity,
    has_log: bool,
    logs: Option<Identity>,
    sockets: Option<Identity>,
}

/// The files that were made again.
#[derive(Debug, Default)]
pub(crate) struct Mended {
    /// Their names in words, for the log.
    pub(crate) what: Vec<&'static str>,
    /// The files that could not be made again, with the reasons.
    pub(crate) trouble: Vec<String>,
    /// The lock file that is locked now.
    pub(crate) lock: Option<Arc<File>>,
    /// The present runtime directory.
    pub(crate) runtime: Option<Arc<File>>,
    /// The published socket.
    pub(crate) listener: Option<UnixListener>,
    /// The socket for notifications.
    pub(crate) notify: Option<UnixDatagram>,
    /// Log files may be gone.
    pub(crate) logs: bool,
    /// Workers' sockets may be gone.
    pub(crate) sockets: bool,
}

impl Mended {
    fn note(&mut self, what: &'static str, done: io::Result<bool>) {
        match done {
            Ok(true) => self.what.push(what),
            Ok(false) => {}
            Err(error) => self.trouble.push(format!("{what}: {error}")),
        }
    }

    /// Adds the result of a later round. A file that could not be made before may exist now.
    fn then(&mut self, later: Self) {
        self.what.extend(later.what);
        self.trouble = later.trouble;
        self.lock = later.lock.or(self.lock.take());
        self.runtime = later.runtime.or(self.runtime.take());
        self.listener = later.listener.or(self.listener.take());
        self.notify = later.notify.or(self.notify.take());
        self.logs |= later.logs;
        self.sockets |= later.sockets;
    }
}

impl Site {
    /// Makes missing files again. Returns a new watch where the old one, if any, may be on files that are
    /// gone.
    pub(super) fn look(&mut self, is_watched: bool) -> (Mended, Option<io::Result<watch::New>>) {
        let mut mended = self.mend();
        if is_watched && mended.what.is_empty() {
            return (mended, None);
        }
        let mut watch = self.watch();
        for _ in 1..ROUNDS {
            // Losses before the watch was set up are seen now.
            let later = self.mend();
            let is_quiet = later.what.is_empty();
            mended.then(later);
            if is_quiet {
                return (mended, Some(watch));
            }
            watch = self.watch();
        }
        mended.trouble.push("them for good: somebody takes them away again and again".to_owned());
        (mended, Some(watch))
    }

    pub(super) fn hand_over(&self, named: &mut Named) -> SiteState {
        SiteState {
            lock: self.lock.hand_over(named),
            runtime: self.runtime.hand_over(named),
            socket: self.socket,
            notify: self.notify,
            has_log: self.has_log,
            logs: self.logs,
            sockets: self.sockets,
        }
    }

    pub(super) fn resume(state: SiteState, boot: &Boot, inherited: &mut Inherited) -> Result<Self, Unfit> {
        let SiteState { lock, runtime, socket, notify, has_log, logs, sockets } = state;
        Ok(Self {
            paths: boot.paths.clone(),
            lock_line: boot.lock_line(),
            pid_line: boot.pid_line(),
            lock: Held::resume(lock, inherited)?,
            runtime: Held::resume(runtime, inherited)?,
            socket,
            notify,
            lock_mark: Arc::clone(&boot.lock_mark),
            job_mark: Arc::clone(&boot.job_mark),
            has_log,
            logs,
            sockets,
        })
    }

    fn watch(&self) -> io::Result<watch::New> {
        let (runtime, state) = (Path::new(&self.paths.runtime_dir), Path::new(&self.paths.state_dir));
        let [socket, pid] = [files::SOCKET, files::PID_FILE].map(|name| runtime.join(name));
        let (notify, lock) = (self.notify_path(), self.lock_path());
        let (logs, sockets) = (self.logs_path(), self.sockets_path());
        watch::New::over(&watch::Places {
            files: [&socket, &pid, &notify, &lock],
            dirs: [runtime, state, &logs],
            above: [runtime, state],
            sockets: &sockets,
        })
    }

    fn lock_path(&self) -> PathBuf {
        Path::new(&self.paths.state_dir).join(files::LOCK)
    }

    fn logs_path(&self) -> PathBuf {
        Path::new(&self.paths.state_dir).join(files::LOGS)
    }

    fn sockets_path(&self) -> PathBuf {
        gob_core::sockets_dir(&self.paths.runtime_dir).into()
    }

    fn notify_path(&self) -> PathBuf {
        gob_core::notify_socket(&self.paths.runtime_dir).into()
    }

    /// The lock comes first, and the sockets follow even without it: a rival that took the lock meanwhile
    /// releases it again when the socket answers.
    fn mend(&mut self) -> Mended {
        let mut mended = Mended::default();
        match own_state(Path::new(&self.paths.state_dir)) {
            Ok(is_new) => {
                mended.what.extend(is_new.then_some("the state directory"));
                self.mend_state(&mut mended);
            }
            Err(error) => mended.trouble.push(error.with_cause()),
        }
        self.mend_runtime(&mut mended);
        mended
    }

    fn mend_state(&mut self, mended: &mut Mended) {
        match self.mend_lock() {
            Ok(Some(lock)) => {
                mended.what.push("the lock file");
                mended.lock = Some(lock);
            }
            Ok(None) => {}
            Err(error) => mended.trouble.push(format!("{}: {error}", self.lock_path().display())),
        }
        if self.has_log {
            let log = Path::new(&self.paths.state_dir).join(files::LOG);
            mended.note("the supervisor's log", reopen_log(&log));
        }
        match self.mend_logs() {
            Ok(is_new) => mended.what.extend(is_new.then_some("the directory of logs")),
            Err(error) => mended.trouble.push(format!("{}: {error}", self.logs_path().display())),
        }
        // A program that removed one of these may have removed single logs too, or is about to: those have no
        // watch.
        mended.logs = !mended.what.is_empty();
    }

    fn mend_lock(&mut self) -> Result<Option<Arc<File>>, Lost> {
        let path = self.lock_path();
        if let Some(lock) = self.lock.at(&path) {
            if fs::read(&path)? == self.lock_line.as_bytes() {
                return Ok(None);
            }
            lock_file::rewrite(lock, &self.lock_line)?;
            return Ok(Some(Arc::clone(lock)));
        }
        let lock = self.lock.take(&path, || lock_file::open(&path))?;
        lock_file::rewrite(&lock, &self.lock_line)?;
        Ok(Some(lock))
    }

    /// Makes the directory of logs; true when it is a new one.
    fn mend_logs(&mut self) -> io::Result<bool> {
        let path = self.logs_path();
        files::make_private_dirs(&path)?;
        let there = Identity::at(&path)?;
        let was = self.logs.replace(there);
        Ok(was.is_some_and(|was| was != there))
    }

    /// Makes the directory of sockets; true when it is a new one.
    fn mend_sockets(&mut self) -> io::Result<bool> {
        let path = self.sockets_path();
        files::make_private_dirs(&path)?;
        let there = Identity::at(&path)?;
        let was = self.sockets.replace(there);
        Ok(was.is_some_and(|was| was != there))
    }

    fn mend_runtime(&mut self, mended: &mut Mended) {
        let dir = match self.mend_runtime_dir(mended) {
            Ok(dir) => dir,
            Err(error) => return mended.trouble.push(format!("{}: {error}", self.paths.runtime_dir)),
        };
        match self.mend_socket(&dir) {
            Ok(Some(listener)) => {
                mended.what.push("the socket");
                mended.listener = Some(listener);
            }
            Ok(None) => {}
            Err(error) => mended.trouble.push(format!("{}: {error}", self.paths.socket)),
        }
        match self.mend_notify(&dir) {
            Ok(Some(notify)) => {
                mended.what.push("the socket for notifications");
                mended.notify = Some(notify);
            }
            Ok(None) => {}
            Err(error) => mended.trouble.push(format!("{}: {error}", self.notify_path().display())),
        }
        mended.note("the pid file", self.mend_pid(&dir));
        mended.note("the mark that locks are held", self.lock_mark.keep(&dir));
        mended.note("the mark of the numbers of jobs", self.job_mark.keep(&dir));
        let is_new = self.mend_sockets();
        mended.sockets = matches!(is_new, Ok(true));
        mended.note("the directory of workers' sockets", is_new);
    }

    fn mend_runtime_dir(&mut self, mended: &mut Mended) -> Result<Arc<File>, Lost> {
        let path = Path::new(&self.paths.runtime_dir);
        let Some(dir) = self.runtime.at(path).map(Arc::clone) else {
            let dir = self.runtime.take(path, || Ok(own_runtime(path)?))?;
            mended.what.push("the runtime directory");
            mended.runtime = Some(Arc::clone(&dir));
            return Ok(dir);
        };
        // Clients don't enter a directory that others may enter. This one is ours, so its mode is put right.
        let mode = dir.metadata()?.permissions().mode() & 0o7777;
        if mode != 0o700 {
            fchmod(&*dir, Mode::S_IRWXU).map_err(io::Error::from)?;
            mended.what.push("the mode of the runtime directory");
        }
        Ok(dir)
    }

    fn mend_socket(&mut self, dir: &File) -> io::Result<Option<UnixListener>> {
        let path = files::below(dir, files::SOCKET);
        if Identity::at(&path).is_ok_and(|there| self.socket == Some(there)) {
            let mode = fs::symlink_metadata(&path)?.permissions().mode();
            if mode & 0o600 != 0o600 {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            }
            return Ok(None);
        }
        if files::is_answered(dir)? {
            return Err(io::Error::other("another program answers on it"));
        }
        let (listener, identity) = files::publish_socket(dir)?;
        self.socket = Some(identity);
        Ok(Some(listener))
    }

    fn mend_notify(&mut self, dir: &File) -> io::Result<Option<UnixDatagram>> {
        let there = Identity::at(&notify::path(dir));
        if there.is_ok_and(|there| there == self.notify) {
            return Ok(None);
        }
        let (socket, identity) = notify::bind(dir)?;
        self.notify = identity;
        Ok(Some(socket))
    }

    fn mend_pid(&self, dir: &File) -> io::Result<bool> {
        let path = files::below(dir, files::PID_FILE);
        // Any other kind of file in its place is not read.
        let is_file = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && found.len() < 64);
        // A file that can't be read is no reason to write it.
        if is_file && fs::read(&path)? == self.pid_line.as_bytes() {
            return Ok(false);
        }
        files::write_runtime_file(dir, files::PID_FILE, &self.pid_line).map(|()| true)
    }
}

/// Returns whether standard error is the supervisor's own log; it may be a terminal, or another program's
/// file.
pub(super) fn is_logged_to(log: &Path) -> bool {
    let own = fstat(io::stderr()).map(|own| (own.st_dev, own.st_ino));
    fs::symlink_metadata(log).is_ok_and(|log| own == Ok((log.dev(), log.ino())))
}

/// Begins the supervisor's log anew where standard error is another file; true when it did.
fn reopen_log(log: &Path) -> io::Result<bool> {
    if is_logged_to(log) {
        return Ok(false);
    }
    nix::unistd::dup2_stderr(&files::open_log(log)?)?;
    Ok(true)
}

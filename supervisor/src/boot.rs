//! The supervisor's hand-over at its start: arguments, locks, directories (ARCHITECTURE, Directories).

mod args;
mod handing;

pub use args::Args;
pub(crate) use handing::BootState;

use crate::cgroups::Cgroups;
use crate::disks::Disks;
use crate::files::{self, Identity};
use crate::journal::{Instance, Journal};
use crate::last;
use crate::mailbox::Post;
use crate::mark::Mark;
use crate::output::OutputConfig;
use crate::recovery::{Claim, Gone, Leftovers, Recovered};
use crate::settings;
use crate::sys::closing::Slow;
use crate::sys::linux::Linux;
use crate::sys::tag::{self, Tags};
use crate::sys::{fds, process};
use gob_config::{Config as Settings, Logs, Reading};
use gob_core::{Paths, Remembered};
use gob_host::lock_file;
use gob_protocol::answer::{ServerDirs, ServerInfo};
use gob_protocol::limits::{LEASE_GRACE_MS, PROTOCOL};
use gob_protocol::{Env, ProcessId, Timestamp};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The reason why the supervisor does not start.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// An operation failed.
    #[error("cannot {operation} {what}: {source}")]
    Io {
        /// The operation.
        operation: &'static str,
        /// The file, directory or other object.
        what: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another process serves the socket without holding the locks.
    #[error("another program answers on {0}; end it, or choose another GOB_RUNTIME_DIR")]
    Answered(String),
    /// The lock's path names another file, or none: the next supervisor decides who lives.
    #[error("{0} was removed or replaced before this start was through")]
    LockLost(String),
    /// The state of the program before this one can't be gone on with, although it was tried.
    #[error("cannot go on with what the program before has left: {0}")]
    Unfit(String),
    /// A directory is missing from the environment or not absolute.
    #[error("{0} must be an absolute path in UTF-8")]
    Directory(&'static str),
}

impl BootError {
    /// Returns whether another try would end the same way. A disk may be back, or have room again.
    #[must_use]
    pub fn is_for_good(&self) -> bool {
        match self {
            Self::Answered(_) | Self::Directory(_) => true,
            Self::LockLost(_) | Self::Io { .. } | Self::Unfit(_) => false,
        }
    }

    pub(crate) fn io(operation: &'static str, what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, what: what.into(), source }
    }
}

/// Resources that the supervisor holds for its whole life.
pub(crate) struct Boot {
    pub(crate) lock: Arc<File>,
    pub(crate) runtime: Arc<File>,
    pub(crate) keeper_pid: i32,
    pub(crate) paths: Paths,
    pub(crate) server: ServerInfo,
    pub(crate) open_files: libc::rlimit,
    /// The mark in the runtime directory that locks may be held.
    pub(crate) lock_mark: Arc<Mark>,
    /// The mark of the numbers that jobs may have.
    pub(crate) job_mark: Arc<Mark>,
    /// The number of failed writes of the journal.
    pub(crate) journal_failures: Arc<AtomicU64>,
    /// The socket is a service manager's.
    pub(crate) is_activated: bool,
    /// The end was requested by a signal first.
    pub(crate) is_signalled: bool,
    /// Present where closing a log file may take long.
    _slow: Option<Slow>,
}

/// The result of the recovery from dead supervisors.
pub(crate) struct Recovery {
    pub(crate) tags: Tags,
    pub(crate) journal: Journal,
    pub(crate) cgroups: Option<Cgroups>,
    /// The number of ended processes.
    ended: u64,
    /// Processes that could not be ended yet.
    pub(crate) leftovers: Option<Leftovers>,
}

/// The pipe to the client that waits for the supervisor, if one does.
#[derive(Default)]
pub(crate) struct Ready(Option<File>);

impl Ready {
    /// Takes the pipe from the keeper.
    pub(crate) fn new(args: &Args) -> Self {
        Self(args.ready_fd.and_then(|fd| fds::inherited(fd).ok()).map(File::from))
    }

    pub(crate) fn serving(&mut self) {
        // A client that is gone no longer waits.
        self.tell("R");
    }

    /// Writes the reason why there will be no supervisor.
    pub(crate) fn failed(&mut self, error: &BootError) {
        match error {
            // The end without a byte: the client goes on connecting to whoever has the lock, or starts again.
            BootError::LockLost(_) => self.0 = None,
            BootError::Io { .. } | BootError::Answered(_) | BootError::Directory(_) | BootError::Unfit(_) => {
                self.tell(&format!("E{error}\n"));
            }
        }
    }

    fn tell(&mut self, text: &str) {
        if let Some(mut pipe) = self.0.take() {
            pipe.write_all(text.as_bytes()).unwrap_or_default();
        }
    }
}

impl Boot {
    /// Takes the keeper's hand-over.
    pub(crate) fn take(args: &Args, started_at: Timestamp) -> Result<Self, BootError> {
        let keeper_pid = args.keeper_pid.unwrap_or_default();
        fds::bind_to_keeper(keeper_pid).map_err(BootError::io("outlive", "the keeper"))?;
        let open_files =
            fds::raise_open_files().map_err(BootError::io("raise", "the limit of open files"))?;
        let inherit = |fd: Option<i32>, what: &str| {
            fds::inherited(fd.unwrap_or(-1))
                .map(|fd| Arc::new(File::from(fd)))
                .map_err(BootError::io("inherit", what))
        };
        let (lock, runtime) =
            (inherit(args.lock_fd, "the lock")?, inherit(args.runtime_fd, "the runtime directory")?);
        let runtime_dir = directory("GOB_RUNTIME_DIR")?;
        let state_dir = directory("GOB_STATE_DIR")?;
        let data_dir = directory("GOB_DATA_DIR")?;
        has_its_lock(&state_dir, &lock)?;
        files::make_private_dirs(Path::new(&data_dir))
            .map_err(BootError::io("make directory", &*data_dir))?;
        // A graph's identity is its real path, so the default root must be real too.
        let data_dir = real(&data_dir).map_err(BootError::io("resolve directory", &*data_dir))?;
        let socket = format!("{runtime_dir}/{}", files::SOCKET);
        let instance = uuid::Uuid::now_v7().to_string();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        let dirs = ServerDirs {
            home: std::env::var("HOME").ok(),
            state: state_dir.clone(),
            data: data_dir.clone(),
            config: settings::path(),
        };
        let dirs = Some(Arc::new(dirs));
        let server = ServerInfo { version, pid, instance, started_at, dirs, config_invalid: Vec::new() };
        let paths = Paths { runtime_dir, state_dir, data_dir, socket };
        let (journal_failures, slow) = (Arc::default(), Slow::of(lock.as_fd()));
        let (lock_mark, job_mark) = (Arc::new(Mark::of_locks(&runtime)), Arc::new(Mark::of_jobs(&runtime)));
        Ok(Self {
            lock,
            runtime,
            keeper_pid,
            paths,
            server,
            open_files,
            lock_mark,
            job_mark,
            journal_failures,
            is_activated: false,
            is_signalled: false,
            _slow: slow,
        })
    }

    /// Ends the processes of dead supervisors of this state directory, and begins a journal of this one's.
    /// Processes that can't be ended yet are followed; their ends go to `gone`.
    pub(crate) fn recover(&self, disks: Disks, gone: Post<Gone>) -> Result<Recovery, BootError> {
        let dir = Path::new(&self.paths.state_dir);
        let found = dir.metadata().map_err(BootError::io("look at", &*self.paths.state_dir))?;
        let home = tag::home(&found);
        let tags = Tags::new(home, self.random());
        let id = |pid| process::seen(pid).map_or(ProcessId { pid, start_time: 0 }, |found| found.id);
        let (own, keeper) = (id(self.server.pid), id(self.keeper_pid));
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot_id = boot_id.trim_end().to_owned();
        let cgroups = Cgroups::find();
        let (mut journal, past) = Journal::open(dir, &boot_id, disks);
        let own = Instance {
            instance: self.server.instance.clone(),
            boot_id,
            pid: own.pid,
            start_time: own.start_time,
            keeper,
            tag: tags.base(),
            cgroups: cgroups.as_ref().map(|cgroups| cgroups.base().to_owned()),
        };
        let claim = Claim::new(Linux::new(), home, &own, past);
        let Recovered { ended, left } = claim.recover(&own);
        if ended > 0 {
            tracing::warn!(
                ended,
                left = left.len(),
                "ended processes that an earlier supervisor left behind"
            );
        }
        journal.begin(own, claim.still_to_tell(&left));
        let leftovers = Leftovers::follow(claim, left, gone);
        Ok(Recovery { tags, journal, cgroups, ended, leftovers })
    }

    /// Returns bits that no other life of a supervisor has.
    fn random(&self) -> u64 {
        uuid::Uuid::parse_str(&self.server.instance).map_or(0, |id| id.as_u64_pair().1.rotate_left(2))
    }

    /// Returns the core's configuration.
    pub(crate) fn core_config(&self, read: Reading, recovery: &Recovery) -> gob_core::Config {
        let (settings, rejected) = read.settle(&Settings::default());
        let remembered = last::remembered(Path::new(&self.paths.state_dir));
        gob_core::Config {
            server: self.server.clone(),
            settings,
            rejected,
            paths: self.paths.clone(),
            base_env: ["HOME", "USER", "PATH", "LANG"]
                .into_iter()
                .filter_map(|name| Some((name, std::env::var(name).ok()?)))
                .collect::<Env>(),
            lease_grace_ms: LEASE_GRACE_MS,
            leftovers: recovery.leftovers.as_ref().map(Leftovers::all).unwrap_or_default(),
            orphans_recovered: recovery.ended,
            last_runs: files::last_runs(&self.log_dir()),
            remembered: Remembered {
                has_queue: gob_store::has_queue(Path::new(&self.paths.state_dir)),
                highest_job: remembered.highest_job.max(self.job_mark.up_to()),
                ..remembered
            },
            locks_mark: self.lock_mark.get(),
            host: nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned(),
            seed: self.random(),
        }
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        Path::new(&self.paths.state_dir).join(files::LOGS)
    }

    /// Returns the limits of the workers' output; a refused file has no say.
    pub(crate) fn output_config(&self, read: &gob_core::Read) -> OutputConfig {
        let (settings, _) = read.clone().settle(&Settings::default());
        self.output_config_of(&settings)
    }

    /// As [`Boot::output_config`], of settings.
    pub(crate) fn output_config_of(&self, settings: &Settings) -> OutputConfig {
        let Logs { rotate_bytes, keep, budget_bytes, runs } = settings.logs;
        OutputConfig { log_dir: self.log_dir(), rotate_bytes, keep, budget_bytes, runs }
    }

    pub(crate) fn socket_path(&self) -> String {
        self.paths.socket.clone()
    }

    /// Publishes the socket, and its path in the lock file. A service manager's socket is taken over where the path leads to it.
    pub(crate) fn publish(&mut self, args: &Args) -> Result<(UnixListener, Identity), BootError> {
        let socket = self.socket_path();
        let look = |error| BootError::io("look at", &*socket)(error);
        let handed = args.listen_fd.map(fds::inherited).transpose();
        let handed = handed.map_err(BootError::io("inherit", &*socket))?.map(UnixListener::from);
        let adopted = handed.map(|handed| files::adopt_socket(&self.runtime, handed)).transpose();
        let published = match adopted.map_err(look)?.flatten() {
            Some(adopted) => {
                self.is_activated = true;
                adopted
            }
            None if files::is_answered(&self.runtime).map_err(look)? => {
                return Err(BootError::Answered(socket));
            }
            None => {
                let published = files::publish_socket(&self.runtime);
                published.map_err(BootError::io("publish socket", socket))?
            }
        };
        if let Err(e) = lock_file::rewrite(&self.lock, &self.lock_line()) {
            // The line is for clients with other directories; on a full disk all other clients are still
            // served.
            tracing::warn!(error = %e, "cannot write gobd.lock");
        }
        if let Err(e) = files::write_runtime_file(&self.runtime, files::PID_FILE, &self.pid_line()) {
            // The pid file decides nothing.
            tracing::warn!(error = %e, "cannot write {}", files::PID_FILE);
        }
        Ok(published)
    }

    /// Returns whether the socket's file outlives the supervisor. A service manager goes on listening there when it ends or restarts
    /// the supervisor itself. After a request of a client the file goes: the next connection of any client would undo it.
    pub(crate) const fn leaves_socket(&self) -> bool {
        self.is_activated && self.is_signalled
    }

    /// Returns the content of the lock file: the holder and the socket's path.
    pub(crate) fn lock_line(&self) -> String {
        let ServerInfo { pid, instance, started_at, .. } = &self.server;
        let line = serde_json::json!({
            "pid": pid, "instance": instance, "started_at": started_at, "socket": self.paths.socket, "protocol": PROTOCOL,
        });
        format!("{line}\n")
    }

    /// Returns the content of the pid file.
    pub(crate) fn pid_line(&self) -> String {
        format!("{}\n", self.server.pid)
    }
}

/// Checks that the lock's path still names the locked file. A rival that made the file anew, and scanned the
/// processes before this one was among them, made it before this check; so one of the two sees the other.
fn has_its_lock(state_dir: &str, lock: &File) -> Result<(), BootError> {
    let path = Path::new(state_dir).join(files::LOCK);
    let own = Identity::of_file(lock).map_err(BootError::io("look at", "the lock"))?;
    match Identity::at(&path) {
        Ok(there) if there == own => Ok(()),
        Ok(_) | Err(_) => Err(BootError::LockLost(path.display().to_string())),
    }
}

fn directory(variable: &'static str) -> Result<String, BootError> {
    let text = std::env::var(variable).map_err(|_| BootError::Directory(variable))?;
    if !text.starts_with('/') {
        return Err(BootError::Directory(variable));
    }
    let trimmed = text.trim_end_matches('/');
    Ok(if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() })
}

fn real(dir: &str) -> io::Result<String> {
    let path = Path::new(dir).canonicalize()?;
    path.into_os_string()
        .into_string()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

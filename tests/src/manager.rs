//! A stand-in for a service manager: a socket for notifications, and one that it listens on for the supervisor.

use crate::Gob;
use crate::wait;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The first descriptor of a unit's sockets (sd_listen_fds(3)).
const FIRST: i32 = 3;

/// The manager of one world.
#[derive(Debug)]
pub struct Manager {
    told: UnixDatagram,
    path: PathBuf,
    /// The standard error of its unit.
    pub journal: PathBuf,
}

impl Manager {
    /// Listens for notifications.
    ///
    /// # Panics
    /// When it can't.
    #[must_use]
    pub fn new(gob: &Gob) -> Self {
        let path = gob.dir().join("manager.sock");
        let told = UnixDatagram::bind(&path).expect("a socket for notifications");
        Self { told, path, journal: gob.dir().join("journal.txt") }
    }

    /// Returns the socket that `NOTIFY_SOCKET` names.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.to_str().expect("a path in UTF-8")
    }

    /// Starts the keeper as a unit does, with these sockets.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start(&self, gob: &Gob, sockets: &[BorrowedFd<'_>]) -> Child {
        self.start_with(gob, sockets, &[])
    }

    /// As [`Manager::start`], with other variables.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start_with(&self, gob: &Gob, sockets: &[BorrowedFd<'_>], variables: &[(&str, &str)]) -> Child {
        let journal = OpenOptions::new().create(true).append(true).open(&self.journal).expect("a file");
        let mut command = Command::new("/bin/sh");
        // The variable names the process that the descriptors are for.
        command
            .arg("-c")
            .arg("export LISTEN_PID=${LISTEN_PID:-$$}; exec \"$0\" --log")
            .arg(gob.bin("gob-keeper"));
        command.env_clear().envs(gob.env()).env("NOTIFY_SOCKET", &self.path);
        if !sockets.is_empty() {
            command.env("LISTEN_FDS", sockets.len().to_string());
        }
        command.envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(journal);
        // Out of the way of the places that they get.
        let far: Vec<File> =
            sockets.iter().map(|fd| File::from(fd.try_clone_to_owned().expect("a copy"))).collect();
        let numbers: Vec<i32> = far.iter().map(AsRawFd::as_raw_fd).collect();
        // SAFETY: only duplicates descriptors between fork and exec, without memory of its own.
        unsafe {
            command.pre_exec(move || {
                let copied = numbers.iter().map(|number| libc::fcntl(*number, libc::F_DUPFD, 100));
                for (at, copy) in (FIRST..).zip(copied) {
                    if libc::dup2(copy, at) < 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
        let child = command.spawn().expect("the keeper");
        drop(far);
        child
    }

    /// Returns the next notification, a line each.
    ///
    /// # Panics
    /// When there is none by the deadline.
    #[must_use]
    pub fn next(&self) -> Vec<String> {
        self.next_within(wait::DEADLINE).expect("a notification")
    }

    /// Returns the next notification, if one comes in this time.
    ///
    /// # Panics
    /// When the socket fails.
    #[must_use]
    pub fn next_within(&self, limit: Duration) -> Option<Vec<String>> {
        let mut text = [0; 4096];
        self.told.set_read_timeout(Some(limit)).expect("a time limit");
        let length = self.told.recv(&mut text).ok()?;
        let text = std::str::from_utf8(&text[..length]).expect("UTF-8");
        Some(text.lines().map(ToOwned::to_owned).collect())
    }
}

/// Listens where the supervisor does, as a socket unit, with this mode.
///
/// # Panics
/// When it can't.
#[must_use]
pub fn listen(gob: &Gob, mode: u32) -> UnixListener {
    match DirBuilder::new().mode(0o700).create(gob.runtime_dir()) {
        Ok(()) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "{error}"),
    }
    listen_at(&gob.socket(), mode)
}

/// Listens at a path, in the place of what lies there.
///
/// # Panics
/// When it can't.
#[must_use]
pub fn listen_at(path: &Path, mode: u32) -> UnixListener {
    drop(fs::remove_file(path));
    let listener = UnixListener::bind(path).expect("a socket");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
    listener
}

//! A home of its own for every test: a keeper with a shell script as its supervisor, and its directories.
//!
//! Scripts report through a FIFO, so that tests wait for events and never for a length of time. All processes
//! of a home are killed by pid when it is dropped.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longest wait for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A fork of another test between a script's open for writing and its close would make the script's exec fail
/// with ETXTBSY, so scripts are written and keepers are started under this lock.
static FORKS: Mutex<()> = Mutex::new(());

fn no_forks() -> MutexGuard<'static, ()> {
    FORKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One test's keeper, supervisor and directories.
pub(crate) struct Home {
    pub(crate) dir: PathBuf,
    events: File,
    unread: Vec<u8>,
    keepers: Vec<Pid>,
}

impl Home {
    /// Makes a home whose supervisor is the shell script `script`. In it `$DIR` is the home, `say WORDS…`
    /// sends an event, `stay` never returns, and a trap leaves it by `end CODE`.
    pub(crate) fn new(script: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        nix::sys::prctl::set_child_subreaper(true).unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("gob-keeper-test-{}-{number}", std::process::id()));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir.join("bin")).unwrap();
        // A link, so that the keeper's siblings are this home's; a copy where that crosses file systems.
        let (built, own) = (env!("CARGO_BIN_EXE_gob-keeper"), dir.join("bin/gob-keeper"));
        let guard = no_forks();
        fs::hard_link(built, &own).or_else(|_| fs::copy(built, &own).map(drop)).unwrap();
        drop(guard);
        nix::unistd::mkfifo(&dir.join("events"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        let events = OpenOptions::new().read(true).write(true).open(dir.join("events")).unwrap();
        let home = Self { dir, events, unread: Vec::new(), keepers: Vec::new() };
        home.write_script(script);
        home
    }

    /// Replaces the supervisor's program.
    pub(crate) fn write_script(&self, script: &str) {
        let dir = self.dir.display();
        let head = format!(
            "#!/bin/sh\nDIR={dir}\nsay() {{ echo \"$*\" > $DIR/events; }}\nend() {{ kill -9 $!; exit $1; }}\n\
             stay() {{ while :; do sleep 1000 > /dev/null 2>&1 & wait $!; kill -9 $!; done; }}\n"
        );
        let _guard = no_forks();
        let path = self.dir.join("bin/gobd");
        fs::write(&path, head + script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        self.dir.join("run")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.state().join("gobd.lock")
    }

    /// Returns the keeper's command line, with nothing but this home in its environment.
    pub(crate) fn keeper(&self) -> Command {
        let mut command = Command::new(self.dir.join("bin/gob-keeper"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.dir);
        command.env("GOB_RUNTIME_DIR", self.runtime()).env("GOB_STATE_DIR", self.state());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Starts a keeper.
    pub(crate) fn spawn(&mut self, command: &mut Command) -> Child {
        let _guard = no_forks();
        let child = command.spawn().unwrap();
        self.keepers.push(Pid::from_raw(child.id().cast_signed()));
        child
    }

    /// Starts an ordinary keeper, owned by this home.
    pub(crate) fn start(&mut self) -> Pid {
        let mut command = self.keeper();
        Pid::from_raw(self.spawn(command.stderr(Stdio::null())).id().cast_signed())
    }

    /// Starts a keeper with a ready pipe and returns its read end too.
    pub(crate) fn spawn_with_ready(&mut self, command: &mut Command) -> (Child, File) {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let number = write.as_raw_fd();
        command.args(["--ready-fd", &number.to_string()]);
        // SAFETY: fcntl may be called between fork and exec; the number is open in the child.
        unsafe { command.pre_exec(move || inherit(number)) };
        (self.spawn(command), File::from(read))
    }

    /// Adds a keeper that was not started by `spawn`, such as a detached one, to those that end with this
    /// home.
    pub(crate) fn adopt(&mut self, keeper: i32) {
        self.keepers.push(Pid::from_raw(keeper));
    }

    /// Waits for the next event.
    pub(crate) fn event(&mut self) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(end) = self.unread.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return String::from_utf8_lossy(&line).trim_end().to_owned();
            }
            wait_readable(&self.events, until, "an event");
            let mut bytes = [0; 4096];
            let n = self.events.read(&mut bytes).unwrap();
            self.unread.extend_from_slice(&bytes[..n]);
        }
    }

    /// Returns whether an event is waiting.
    pub(crate) fn has_event(&self) -> bool {
        !self.unread.is_empty() || ready_within(&self.events, Duration::ZERO)
    }

    /// Makes a pipe whose end shows that every process that opened or inherited it is gone.
    pub(crate) fn leash(&self, name: &str) -> Leash {
        let path = self.dir.join(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        Leash(OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        for keeper in &self.keepers {
            end_tree(*keeper);
        }
        fs::remove_dir_all(&self.dir).ok();
    }
}

fn inherit(number: i32) -> std::io::Result<()> {
    // SAFETY: changes a flag of a descriptor of this process.
    if unsafe { libc::fcntl(number, libc::F_SETFD, 0) } == -1 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

/// Ends a keeper that is still our child, with its whole tree.
fn end_tree(keeper: Pid) {
    let is_ours = |pid: Pid| parent(pid) == Some(std::process::id().cast_signed());
    if !is_ours(keeper) {
        return;
    }
    // A stopped keeper reaps nothing, so its tree keeps its pids; parents die before they can fork again. A
    // process that changes its parent during a scan escapes it, so two scans in a row must be clean.
    kill(keeper, Signal::SIGSTOP).ok();
    let mut clean = 0;
    while clean < 2 {
        let mut below = children(keeper);
        let mut at = 0;
        while let Some(parent) = below.get(at).copied() {
            below.extend(children(parent));
            at += 1;
        }
        // State Z with other threads is only a main thread that has ended.
        below.retain(|pid| stat(*pid).is_some_and(|fields| fields[0] != "Z" || fields[17] != "1"));
        clean = if below.is_empty() { clean + 1 } else { 0 };
        for pid in below {
            kill(pid, Signal::SIGKILL).ok();
        }
    }
    kill(keeper, Signal::SIGKILL).ok();
    nix::sys::wait::waitpid(keeper, None).ok();
}

/// Returns the parent of a process.
pub(crate) fn parent(pid: Pid) -> Option<i32> {
    stat(pid)?[1].parse().ok()
}

/// Returns the fields of `/proc/PID/stat` after the name: state, parent and so on.
fn stat(pid: Pid) -> Option<Vec<String>> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    Some(
        String::from_utf8_lossy(&stat)
            .rsplit_once(')')?
            .1
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect(),
    )
}

/// Returns the children of a process, zombies too.
pub(crate) fn children(of: Pid) -> Vec<Pid> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let all = all.filter_map(|e| e.file_name().to_str()?.parse().ok().map(Pid::from_raw));
    all.filter(|pid| parent(*pid) == Some(of.as_raw())).collect()
}

/// See [`Home::leash`].
pub(crate) struct Leash(File);

impl Leash {
    /// Waits until no process holds the other end any more.
    pub(crate) fn wait(&self) {
        wait_readable(&self.0, Instant::now() + DEADLINE, "the end of a tree");
    }
}

/// Reads a pipe to its end, which must come before the deadline.
pub(crate) fn read_to_end(mut pipe: impl Read + AsFd) -> String {
    let (mut all, until) = (Vec::new(), Instant::now() + DEADLINE);
    loop {
        wait_readable(&pipe, until, "the end of a pipe");
        let mut bytes = [0; 4096];
        match pipe.read(&mut bytes).unwrap() {
            0 => return String::from_utf8_lossy(&all).into_owned(),
            n => all.extend_from_slice(&bytes[..n]),
        }
    }
}

/// Waits for a keeper's end and returns its exit code and its output.
pub(crate) fn finish(mut child: Child) -> (Option<i32>, String) {
    let text = child.stderr.take().map(read_to_end).unwrap_or_default();
    let status = child.wait().unwrap();
    (status.code(), text)
}

fn wait_readable(fd: impl AsFd, until: Instant, what: &str) {
    assert!(ready_within(fd, until.saturating_duration_since(Instant::now())), "no {what} by the deadline");
}

fn ready_within(fd: impl AsFd, limit: Duration) -> bool {
    let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    let limit = PollTimeout::try_from(limit).unwrap();
    poll(&mut polled, limit).unwrap() > 0
}

/// Returns the mode bits of a path, without following links.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

//! Runs a user's command to its end: standard streams, directory and signal mask unchanged; INT, QUIT, TERM and HUP
//! passed on, unless the command got them already; the exit code as a shell would give it.

use crate::ending::code_of_exit;
use crate::failure::Failure;
use gob_client::protocol::exit::{Exit, StartStep};
use gob_host::script::missing_interpreter;
use gob_host::siblings::is_program;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpgid, getpgrp, pipe2};
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};

/// Exit code for a failure of gob itself.
pub(crate) const GOB_FAILED: u8 = 125;
/// A signal that ended the command is added to this.
const SIGNALLED: i32 = 128;

/// The signals that are passed on to a command, blocked before it exists, so that none of them can end us and leave it alone, and
/// until what was made for it is gone.
#[derive(Debug)]
pub(crate) struct Blocked {
    arrived: SignalFd,
    before: SigSet,
}

impl Blocked {
    /// Blocks them for this thread and those that it starts.
    pub(crate) fn begin() -> Result<Self, Failure> {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP] {
            signals.add(signal);
        }
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let arrived =
            SignalFd::with_flags(&signals, flags).map_err(|errno| failed("wait for signals", errno))?;
        let before = SigSet::thread_get_mask().map_err(|errno| failed("read the signal mask", errno))?;
        signals.thread_block().map_err(|errno| failed("block signals", errno))?;
        Ok(Self { arrived, before })
    }

    /// Takes the next one that has come: the exit code of a program that it ends.
    pub(crate) fn next(&self) -> Option<u8> {
        let signal = self.arrived.read_signal().ok().flatten()?;
        u8::try_from(SIGNALLED + i32::try_from(signal.ssi_signo).ok()?).ok()
    }
}

impl AsFd for Blocked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.arrived.as_fd()
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        self.before.thread_set_mask().ok();
    }
}

/// A connection beside the command.
pub(crate) struct Beside<'a> {
    pub(crate) connection: BorrowedFd<'a>,
    /// Reads what has come; false when nothing more will.
    pub(crate) read: &'a mut dyn FnMut() -> bool,
}

/// Runs a command with further variables and returns the exit code.
pub(crate) fn run(
    command: &[OsString],
    more: &[(String, String)],
    beside: Option<Beside<'_>>,
) -> Result<u8, Failure> {
    run_with(command, more, beside, Vec::new())
}

/// As [`run`], with descriptors of this program under the numbers that they have in the command.
pub(crate) fn run_with(
    command: &[OsString],
    more: &[(String, String)],
    beside: Option<Beside<'_>>,
    moves: Vec<(OwnedFd, RawFd)>,
) -> Result<u8, Failure> {
    run_blocked(&Blocked::begin()?, command, more, beside, moves)
}

/// As [`run_with`], with signals that are blocked already.
pub(crate) fn run_blocked(
    Blocked { arrived, before }: &Blocked,
    command: &[OsString],
    more: &[(String, String)],
    mut beside: Option<Beside<'_>>,
    moves: Vec<(OwnedFd, RawFd)>,
) -> Result<u8, Failure> {
    // Made before the command: a running command without a waiting thread could be passed no signal.
    let (told, ended) = end_of()?;
    let raw: Vec<_> = moves.iter().map(|(from, to)| (from.as_raw_fd(), *to)).collect();
    let pid = spawn(command, more, before, &raw).map_err(|errno| not_run(command, errno))?;
    // They are the command's alone from here.
    drop(moves);
    told.send(pid).ok();
    loop {
        let signal = PollFd::new(arrived.as_fd(), PollFlags::POLLIN);
        let end = PollFd::new(ended.as_fd(), PollFlags::POLLIN);
        let connection = beside.as_ref().map(|beside| PollFd::new(beside.connection, PollFlags::POLLIN));
        let mut fds = vec![signal, end];
        fds.extend(connection);
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(failed("wait for the command", errno)),
        }
        let has_come = |at: usize| fds.get(at).and_then(PollFd::any) == Some(true);
        if has_come(1) {
            // Those that came with its end were meant for it, and are not to end us with something left to do.
            while let Ok(Some(_)) = arrived.read_signal() {}
            return reap(pid);
        }
        if has_come(2) {
            beside = beside.and_then(|beside| (beside.read)().then_some(beside));
        }
        while let Ok(Some(signal)) = arrived.read_signal() {
            pass_on(pid, signal.ssi_signo, signal.ssi_code);
        }
    }
}

fn failed(what: &str, errno: Errno) -> Failure {
    Failure::own("command-failed", GOB_FAILED, format!("cannot {what}")).cause(errno.to_string())
}

/// Makes a pipe that ends with the command whose pid is sent. A thread waits for that without reaping, so
/// that the command's pid stays its own for as long as signals are passed on to it.
fn end_of() -> Result<(Sender<Pid>, OwnedFd), Failure> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| failed("make a pipe", errno))?;
    let (told, pid) = channel();
    let waits = move || {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        // A command that could not be run has no end.
        if let Ok(pid) = pid.recv() {
            while waitid(Id::Pid(pid), flags) == Err(Errno::EINTR) {}
        }
        drop(writer);
    };
    let thread = std::thread::Builder::new().spawn(waits);
    thread.map_err(|error| Failure::no_thread(GOB_FAILED, "the command is waited for", &error))?;
    Ok((told, reader))
}

fn reap(pid: Pid) -> Result<u8, Failure> {
    match waitpid(pid, None) {
        Ok(status) => Ok(code_of(status)),
        // Real-time signals have no name, which is what this error means.
        Err(Errno::EINVAL) => Ok(u8::MAX),
        Err(errno) => Err(failed("wait for the command", errno)),
    }
}

/// Returns the exit code of a command that has ended, as a shell would give it.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other states are none of a command that has ended")]
pub(crate) fn code_of(status: WaitStatus) -> u8 {
    let code = match status {
        WaitStatus::Exited(_, code) => code,
        WaitStatus::Signaled(_, signal, _) => SIGNALLED + signal as i32,
        _ => return u8::MAX,
    };
    u8::try_from(code & 0xff).unwrap_or(u8::MAX)
}

/// Passes a signal on to the command, from any sender, unless the command got it as well: a terminal sends
/// its keys to a whole process group, but the hang-up to the leader of its session alone, which may be
/// this program. The command is an unreaped child, so its pid is its own.
pub(crate) fn pass_on(pid: Pid, signal: u32, code: i32) {
    let Some(signal) = i32::try_from(signal).ok().and_then(|signal| Signal::try_from(signal).ok()) else {
        return;
    };
    let by_the_terminal = code > 0 && matches!(signal, Signal::SIGINT | Signal::SIGQUIT);
    if !by_the_terminal || getpgid(Some(pid)) != Ok(getpgrp()) {
        kill(pid, signal).ok();
    }
}

/// Begins a command. `moves` are descriptors of this program and their numbers in the command.
pub(crate) fn spawn(
    command: &[OsString],
    more: &[(String, String)],
    mask: &SigSet,
    moves: &[(RawFd, RawFd)],
) -> Result<Pid, Errno> {
    let c_string = |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| Errno::EINVAL);
    let args = command.iter().map(|word| c_string(word)).collect::<Result<Vec<_>, _>>()?;
    let program = args.first().ok_or(Errno::ENOENT)?;
    let mut vars: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    vars.retain(|(name, _)| more.iter().all(|(other, _)| name != other.as_str()));
    vars.extend(more.iter().map(|(name, value)| (name.into(), value.into())));
    let env = vars
        .into_iter()
        .map(|(mut var, value)| {
            var.push("=");
            var.push(value);
            CString::new(var.into_vec()).map_err(|_| Errno::EINVAL)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut attributes = PosixSpawnAttr::init()?;
    // The runtime ignores SIGPIPE; the command expects its default.
    let mut pipe = SigSet::empty();
    pipe.add(Signal::SIGPIPE);
    attributes.set_sigdefault(&pipe)?;
    attributes.set_sigmask(mask)?;
    attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK)?;
    let mut actions = PosixSpawnFileActions::init()?;
    for (from, to) in moves {
        actions.add_dup2(*from, *to)?;
        if from != to {
            actions.add_close(*from)?;
        }
    }
    posix_spawnp(program, &actions, &attributes, &args, &env)
}

pub(crate) fn not_run(command: &[OsString], errno: Errno) -> Failure {
    let program = command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let flaw = command.first().and_then(|word| path_of(word)).and_then(|path| missing_interpreter(&path));
    let is_about_another = errno == Errno::ENOEXEC || flaw.is_some();
    let step = if is_about_another { StartStep::Interpreter } else { StartStep::Exec };
    let exit = Exit::SpawnFailed { spawn_error: format!("{errno:?}"), step: Some(step) };
    let cause = match flaw {
        Some(flaw) => format!("its interpreter {:?} is no program that can be executed", flaw.name),
        None => errno.to_string(),
    };
    let failure =
        Failure::own("command-failed", code_of_exit(&exit), format!("cannot run {program}")).cause(cause);
    if errno == Errno::EAGAIN { failure.hint(crate::failure::FEWER_PROCESSES) } else { failure }
}

/// Returns the path of a program that could not be executed, where there is such a file.
fn path_of(program: &OsStr) -> Option<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| is_program(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(words: &[&str]) -> u8 {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        run(&words, &[("GOB_TEST".to_owned(), "x".to_owned())], None)
            .unwrap_or_else(|failure| failure.exit_code())
    }

    #[test]
    fn a_command_without_a_process_is_not_said_to_be_no_program() {
        let failure = not_run(&["true".into()], Errno::EAGAIN);
        assert_eq!(failure.exit_code(), GOB_FAILED);
        assert!(format!("{failure:?}").contains("ulimit -u"), "{failure:?}");
        assert_eq!(not_run(&["true".into()], Errno::EMFILE).exit_code(), GOB_FAILED);
        assert_eq!(not_run(&["true".into()], Errno::EACCES).exit_code(), 126);
    }

    #[test]
    fn codes_are_a_shells() {
        assert_eq!(code(&["sh", "-c", "exit 7"]), 7);
        assert_eq!(code(&["sh", "-c", "test $GOB_TEST = x"]), 0);
        assert_eq!(code(&["sh", "-c", "kill -TERM $$"]), 143);
        assert_eq!(code(&["/nowhere/at/all"]), 127);
        assert_eq!(code(&["/etc/passwd"]), 126);
    }
}

//! An ssh that runs: waited for by a thread of its own, ended by the connection's end or by a signal before its first answer.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Time that an ssh has to end once its connection has.
const END_WITHIN: Duration = Duration::from_secs(2);
/// Time for its last words after its end; a shared connection may keep the pipe open for long.
const WORDS_WITHIN: Duration = Duration::from_millis(200);
/// Lines that are kept of what it says, and the length of each.
const LINES: usize = 8;
const LINE_BYTES: u64 = 400;

/// See the module.
#[derive(Debug)]
pub(crate) struct Process {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pid: Option<Pid>,
    status: Option<ExitStatus>,
    said: VecDeque<String>,
    says_no_more: bool,
}

impl Process {
    /// Starts it.
    pub(super) fn start(mut command: Command) -> io::Result<Arc<Self>> {
        let mut child = command.spawn()?;
        let pid = i32::try_from(child.id()).map(Pid::from_raw).map_err(io::Error::other)?;
        let stderr = child.stderr.take();
        let state = State { pid: Some(pid), says_no_more: stderr.is_none(), ..State::default() };
        let process = Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() });
        let waiting = Arc::clone(&process);
        thread(move || waiting.reap(child, pid)).inspect_err(|_| process.end())?;
        if let Some(stderr) = stderr {
            let listening = Arc::clone(&process);
            thread(move || listening.listen(stderr)).inspect_err(|_| process.end())?;
        }
        Ok(process)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reap(&self, mut child: Child, pid: Pid) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(pid), flags) == Err(Errno::EINTR) {}
        // Reaped under the lock, so that a signal never goes to another process of this number.
        let mut state = self.state();
        state.status = child.wait().ok();
        state.pid = None;
        self.changed.notify_all();
    }

    fn listen(&self, stderr: ChildStderr) {
        let mut lines = BufReader::new(stderr);
        loop {
            let mut line = Vec::new();
            match lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            let mut state = self.state();
            if !text.is_empty() {
                state.said.push_back(text.to_owned());
            }
            if state.said.len() > LINES {
                state.said.pop_front();
            }
        }
        self.state().says_no_more = true;
        self.changed.notify_all();
    }

    /// Ends it once the reader of this stream is gone: an ssh that waits for a network would notice that much later.
    pub(super) fn end_with(self: &Arc<Self>, stream: impl AsFd + Send + 'static) -> io::Result<()> {
        let process = Arc::clone(self);
        thread(move || {
            // Nothing is asked for, so that an error and a hang-up are all that comes.
            let mut fds = [PollFd::new(stream.as_fd(), PollFlags::empty())];
            while poll(&mut fds, PollTimeout::NONE) == Err(Errno::EINTR) {}
            process.end();
        })
    }

    /// Ends it.
    pub(crate) fn end(&self) {
        if let Some(pid) = self.state().pid {
            kill(pid, Signal::SIGTERM).ok();
        }
    }

    /// Returns whether it has failed to carry a connection that has ended: it waits a while for the reason.
    pub(crate) fn has_failed(&self) -> bool {
        self.ended().0 != Some(0)
    }

    /// Waits until it has ended, as long as that takes; its exit code.
    pub(super) fn wait(&self) -> Option<i32> {
        let waited = self.changed.wait_while(self.state(), |state| state.pid.is_some());
        waited.unwrap_or_else(PoisonError::into_inner).status.and_then(|status| status.code())
    }

    /// Waits until it has ended, for a while; its exit code, and its last words.
    pub(super) fn ended(&self) -> (Option<i32>, String) {
        let wait = |state, within, done: fn(&State) -> bool| {
            let waited = self.changed.wait_timeout_while(state, within, |state| !done(state));
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        let state = wait(self.state(), END_WITHIN, |state| state.pid.is_none());
        let state = wait(state, WORDS_WITHIN, |state| state.says_no_more);
        let said: Vec<&str> = state.said.iter().map(String::as_str).collect();
        (state.status.and_then(|status| status.code()), said.join("\n"))
    }
}

/// Starts a thread that takes no signals: one that the program blocks elsewhere, to handle it, would end the program here.
fn thread(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let started = std::thread::Builder::new().name("ssh".to_owned()).spawn(work).map(drop);
    before.thread_set_mask()?;
    started
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;

    fn shell(script: &str) -> Arc<Process> {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stderr(Stdio::piped());
        Process::start(command).unwrap()
    }

    #[test]
    fn the_end_has_a_code_and_the_last_words() {
        let script = "for n in 1 2 3 4 5 6 7 8 9; do echo line $n >&2; done; exit 255";
        let (code, said) = shell(script).ended();
        assert_eq!(code, Some(255));
        assert_eq!(said.lines().count(), LINES);
        assert!(said.ends_with("line 9"), "{said}");
    }

    #[test]
    fn a_process_ends_with_its_reader() {
        let process = shell("exec sleep 100");
        let (reader, writer) = std::io::pipe().unwrap();
        process.end_with(writer).unwrap();
        assert!(process.state().pid.is_some());
        drop(reader);
        assert_eq!(process.wait(), None);
    }

    #[test]
    fn a_process_that_goes_on_is_ended() {
        let process = shell("exec sleep 100");
        process.end();
        assert_eq!(process.ended().0, None);
        process.end();
    }
}

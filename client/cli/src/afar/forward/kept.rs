//! The ssh of forwarded endpoints: started, and started again at the same addresses here when it is lost, as long as the command runs.

use crate::command::Blocked;
use crate::context::Context;
use crate::failure::Failure;
use gob_client::Error;
use gob_client::ssh::{NoWay, Ssh, Why};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for ssh to be connected: a person may have to type a password.
const WITHIN: Duration = Duration::from_secs(60);
/// The pause between attempts to forward again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(10);

/// An ssh that is kept until this is dropped.
#[derive(Debug)]
pub(super) struct Kept(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// ssh ends with it.
    stdin: Option<ChildStdin>,
    is_over: bool,
}

/// The end of a start.
pub(super) enum Started {
    Kept(Kept),
    /// A signal came first; the exit code that it makes.
    Interrupted(u8),
}

impl Kept {
    /// Starts ssh, waits until it says that everything is forwarded, and keeps it so.
    pub(super) fn start(
        (context, blocked): (&Context, &Blocked),
        ssh: &Ssh,
        pairs: Vec<(String, String)>,
    ) -> Result<Started, Failure> {
        let mut child = match start(ssh, &pairs, Some(blocked))? {
            Forwards::Yes(child) => child,
            Forwards::Interrupted(code) => return Ok(Started::Interrupted(code)),
        };
        let state = State { stdin: child.stdin.take(), is_over: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        // The terminal is the command's: nobody is asked for a password any more.
        let keeper = Keeper {
            context: context.clone(),
            ssh: ssh.clone().asks(false).shows_errors(false),
            pairs,
            shared: Arc::clone(&shared),
        };
        let kept = Self(shared);
        std::thread::Builder::new().spawn(move || keeper.keep(child)).map_err(|error| {
            Failure::no_thread(crate::command::GOB_FAILED, "the forwarding is kept", &error)
        })?;
        Ok(Started::Kept(kept))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_over = true;
        // Its end, by the end of its input, takes a moment; without a network it takes longer, and is not waited for.
        drop(state.stdin.take());
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end of the whole, for a while; returns whether it has come.
    fn is_over_within(&self, pause: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), pause, |state| !state.is_over);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }
}

/// The thread that waits for ssh, and all that it has.
struct Keeper {
    context: Context,
    ssh: Ssh,
    pairs: Vec<(String, String)>,
    shared: Arc<Shared>,
}

impl Keeper {
    fn keep(self, mut child: Child) {
        let address = self.ssh.address();
        loop {
            child.wait().ok();
            if self.shared.state().is_over {
                return;
            }
            self.context.note(&format!(
                "the connection to {address} that forwards the endpoints was lost; connecting again"
            ));
            let Some(again) = self.again() else { return };
            child = again;
            self.context.note(&format!("the endpoints are forwarded to {address} again"));
        }
    }

    /// Starts ssh until it works; nothing once the whole is over.
    fn again(&self) -> Option<Child> {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Ok(Forwards::Yes(mut child)) = start(&self.ssh, &self.pairs, None) {
                let mut state = self.shared.state();
                // Without its input it ends.
                state.stdin = child.stdin.take().filter(|_| !state.is_over);
                return (!state.is_over).then_some(child);
            }
            if self.shared.is_over_within(pause) {
                return None;
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}

enum Forwards {
    Yes(Child),
    Interrupted(u8),
}

/// Starts ssh and waits until it says that everything is forwarded, or a signal comes.
fn start(ssh: &Ssh, pairs: &[(String, String)], blocked: Option<&Blocked>) -> Result<Forwards, Failure> {
    let no_way = |why| {
        let address = ssh.address().clone();
        Failure::from(Error::Ssh(Box::new(NoWay { address, why, said: String::new() })))
    };
    let mut command = ssh.forward(pairs);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    if blocked.is_none() {
        // Each attempt would say the same; the loss was told.
        command.stderr(Stdio::null());
    }
    let mut child = command.spawn().map_err(|source| no_way(Why::NoSsh(source)))?;
    let said = child.stdout.take().map_or(Said::Nothing, |output| said(output, blocked));
    if let Said::Forwarded = said {
        return Ok(Forwards::Yes(child));
    }
    child.kill().ok();
    child.wait().ok();
    match said {
        Said::Interrupted(code) => Ok(Forwards::Interrupted(code)),
        Said::Late => Err(no_way(Why::Silent(WITHIN))),
        Said::Nothing | Said::Forwarded => Err(no_way(Why::Refused)),
    }
}

enum Said {
    Forwarded,
    /// Its output has ended.
    Nothing,
    Late,
    Interrupted(u8),
}

/// Waits for the first byte of ssh.
fn said(mut output: ChildStdout, blocked: Option<&Blocked>) -> Said {
    let until = Instant::now() + WITHIN;
    loop {
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        let mut fds = vec![PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        fds.extend(blocked.map(|blocked| PollFd::new(blocked.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Said::Late,
            Err(Errno::EINTR) => continue,
            Ok(_) | Err(_) => {}
        }
        if let Some(code) = blocked.and_then(Blocked::next) {
            return Said::Interrupted(code);
        }
        let has_said = fds.first().and_then(PollFd::any) != Some(false);
        drop(fds);
        if has_said {
            let is_forwarded = output.read(&mut [0; 64]).is_ok_and(|count| count > 0);
            return if is_forwarded { Said::Forwarded } else { Said::Nothing };
        }
    }
}

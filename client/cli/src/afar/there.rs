//! Runs a verb there: gobctl over there gets the words of the verb (`receive.rs`).
//!
//! On a terminal the verb gets one of its own over there: keys, widths and colours are as at home. Elsewhere its standard
//! streams are pipes, and ssh forwards no signals: this program sends them over the standard input of gobctl over there. When this program is killed, or the connection is lost, the verb gets a SIGHUP. A terminal is left as it
//! was also where the verb that has changed it can't be reached any more.

use super::frames::{Frame, MAX_BYTES};
use super::receive::{self, RUN, WHOLE};
use super::{Input, Passed, words};
use crate::command::spawn;
use crate::context::{Context, Host};
use crate::exit;
use crate::failure::Failure;
use crate::out;
use crate::signals::Signals;
use crate::verbs::Verb;
use gob_client::Error;
use gob_client::ssh::{NoWay, Tty, Why, encode};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::json;
use std::ffi::OsString;
use std::io::{self, IsTerminal, PipeReader, Read, Write, pipe};
use std::os::fd::AsFd;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The exit code of ssh for its own failures.
const SSH_FAILED: u8 = 255;
/// A signal that ended a program is added to this.
const SIGNALLED: u8 = 128;
/// Interrupts after which ssh is ended: the verb may never come to be told of them.
const PATIENCE: u32 = 3;

/// The end of ssh.
enum Ended {
    /// With the exit code of the verb.
    Code(u8),
    /// It failed by itself.
    Failed,
    /// This program has ended it, at this signal.
    By(Signal),
}

impl Ended {
    fn of(code: Option<i32>, signal: Option<Signal>) -> Self {
        let code = code.and_then(|code| u8::try_from(code).ok());
        match (code.filter(|code| *code != SSH_FAILED), signal) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::By(signal),
            (None, None) => Self::Failed,
        }
    }
}

/// Runs the verb, which may draw a screen, and returns its exit code.
pub(super) fn run(
    context: &Context,
    (verb, draws): (&Verb, bool),
    input: Input,
    args: &[OsString],
) -> Result<u8, Failure> {
    let Some(Host { ssh, .. }) = &context.host else { return Ok(exit::USAGE) };
    let words = words::of(context, verb, args);
    let with = |way: &str| -> Vec<String> {
        let words = words.iter().map(|word| encode(word));
        [receive::WORD, way].into_iter().map(str::to_owned).chain(words).collect()
    };
    let missing = missing(context, ssh.address().host());
    let on_terminal = io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal();
    let ended = match input {
        Input::Stream => whole(&ssh.gobctl(Tty::None, &with(WHOLE), Some(&missing)))?,
        Input::None | Input::Dash(_) if on_terminal => {
            let terminal = Lent::of(draws && !context.json);
            let ended = whole(&ssh.gobctl(Tty::Own, &with(WHOLE), Some(&missing)))?;
            if !matches!(ended, Ended::Code(_)) {
                terminal.restore();
            }
            ended
        }
        Input::None | Input::Dash(_) => {
            let ssh = ssh.clone().keeps_interrupts(true);
            let command = ssh.gobctl(Tty::None, &with(RUN), Some(&missing));
            framed(command, matches!(input, Input::Dash(_)))?
        }
    };
    match ended {
        Ended::Code(code) => return Ok(code),
        Ended::By(signal) => return Ok(SIGNALLED + Passed::number(signal)),
        Ended::Failed => {}
    }
    let no_way = NoWay { address: ssh.address().clone(), why: Why::Refused, said: String::new() };
    if verb.has_command || verb.path == crate::verbs::wait::VERB.path {
        let message =
            format!("{no_way}; or a command over there has ended with 255, which can't be told apart");
        let failure = Failure::own("supervisor-unreachable", 7, message);
        return Err(failure.hint(no_way.hint().unwrap_or_default()));
    }
    Err(Error::Ssh(Box::new(no_way)).into())
}

/// Returns what the shell over there prints where it finds no gobctl.
fn missing(context: &Context, host: &str) -> String {
    let message = format!("gobctl not found on {host}: install gob there");
    let hint =
        "it is searched on the PATH of ssh commands there, in ~/.local/bin, ~/.cargo/bin and /usr/local/bin";
    if context.json {
        let error = json!({"error": {"code": "supervisor-unreachable", "message": message, "hint": hint}});
        return format!("{error}\\n");
    }
    format!("error: {message}\\nhint: {hint}\\n")
}

/// The terminal that ssh joins to that of the verb.
struct Lent {
    mode: Option<Termios>,
    draws: bool,
}

impl Lent {
    /// Notes its mode. The verb may draw a screen on it.
    fn of(draws: bool) -> Self {
        Self { mode: tcgetattr(io::stdin()).ok(), draws }
    }

    /// Restores what ssh, or the verb, can't restore any more.
    fn restore(&self) {
        if self.draws {
            gob_tui::leave();
        }
        let now = tcgetattr(io::stdin()).ok();
        // Setting it would stop a program in the background.
        if let Some(mode) = self.mode.as_ref().filter(|mode| now.as_ref() != Some(mode)) {
            tcsetattr(io::stdin(), SetArg::TCSANOW, mode).ok();
        }
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::own("supervisor-unreachable", 7, "cannot run ssh".to_owned()).cause(error.to_string())
}

/// Runs ssh with the standard streams of this program. It ends at the signals that end this program.
fn whole(command: &Command) -> Result<Ended, Failure> {
    let words: Vec<OsString> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(OsString::from).collect();
    // Before ssh exists: a signal would end this program, and leave ssh with the terminal.
    let signals = Signals::of(&Passed::ALL)?;
    let ssh = spawn(&words, &[], signals.before(), &[]).map_err(|errno| failed(errno.into()))?;
    let mut last = None;
    let code = wait(
        move || code_of(waitpid(ssh, None)),
        &signals,
        |signal| {
            kill(ssh, signal).ok();
            last = Some(signal);
        },
    )?;
    Ok(Ended::of(code, last))
}

fn code_of(status: nix::Result<WaitStatus>) -> Option<i32> {
    if let Ok(WaitStatus::Exited(_, code)) = status { Some(code) } else { None }
}

/// Runs ssh with frames as its standard input.
fn framed(mut command: Command, reads: bool) -> Result<Ended, Failure> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let ssh =
        i32::try_from(child.id()).map(Pid::from_raw).map_err(|error| failed(io::Error::other(error)))?;
    let frames = Sender::of(child.stdin.take());
    // A signal before this line ends this program, and with it the connection.
    let signals = Signals::of(&Passed::ALL)?;
    if reads {
        let sender = frames.clone();
        thread(move || sender.copy(io::stdin())).map_err(failed)?;
    }
    let output = child.stdout.take();
    let (wrote, written) = channel();
    thread(move || drop(wrote.send(output.map_or(Ok(()), print)))).map_err(failed)?;
    let (mut interrupts, mut last) = (0, None);
    let waits = move || child.wait().ok().and_then(|status| status.code());
    let code = wait(waits, &signals, |signal| {
        frames.send(&Frame::Signal(Passed::number(signal)));
        interrupts += 1;
        if interrupts >= PATIENCE {
            kill(ssh, Signal::SIGTERM).ok();
            last = Some(signal);
        }
    })?;
    match written.recv() {
        Ok(Err(failure @ Failure::Own { .. })) => Err(failure),
        // A reader that went away is no error.
        Ok(_) | Err(_) => Ok(Ended::of(code, last)),
    }
}

/// Prints what comes, until its end. ssh itself would say nothing of a disk that is full, and the verb has no part in it.
fn print(mut from: impl Read) -> Result<(), Failure> {
    let mut bytes = vec![0; MAX_BYTES];
    loop {
        match from.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return Ok(()),
            Ok(count) => out::print_bytes(bytes.get(..count).unwrap_or_default())?,
        }
    }
}

/// Waits for the end of ssh on a thread, and handles signals until then. Returns its exit code.
fn wait(
    waits: impl FnOnce() -> Option<i32> + Send + 'static,
    signals: &Signals,
    mut handle: impl FnMut(Signal),
) -> Result<Option<i32>, Failure> {
    let (ended, status) = end_of(waits).map_err(failed)?;
    loop {
        let mut fds = [signals.as_fd(), ended.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
        while let Some(signal) = signals.next() {
            handle(signal);
        }
        if let Ok(status) = status.try_recv() {
            return Ok(status);
        }
    }
}

/// Waits on a thread; a descriptor that becomes readable with the end, and the exit code then.
fn end_of(
    waits: impl FnOnce() -> Option<i32> + Send + 'static,
) -> io::Result<(PipeReader, Receiver<Option<i32>>)> {
    let ((reader, writer), (tell, told)) = (pipe()?, channel());
    thread(move || {
        tell.send(waits()).ok();
        drop(writer);
    })?;
    Ok((reader, told))
}

fn thread(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().spawn(work).map(drop)
}

/// The standard input of ssh, to which two threads write.
#[derive(Clone)]
struct Sender(Arc<Mutex<Option<ChildStdin>>>);

impl Sender {
    fn of(stdin: Option<ChildStdin>) -> Self {
        Self(Arc::new(Mutex::new(stdin)))
    }

    /// Sends a frame; false when nobody reads any more.
    fn send(&self, frame: &Frame) -> bool {
        let mut stdin = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stdin.as_mut().is_some_and(|stdin| stdin.write_all(&frame.write()).is_ok())
    }

    fn copy(&self, mut from: impl Read) {
        let mut bytes = vec![0; MAX_BYTES];
        loop {
            match from.read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    if !self.send(&Frame::Bytes(bytes.get(..count).unwrap_or_default().to_vec())) {
                        return;
                    }
                }
            }
        }
        self.send(&Frame::End);
    }
}

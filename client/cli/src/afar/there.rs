//! Runs a verb there: gobctl over there gets the words of the verb (`receive.rs`).
//!
//! On a terminal the verb gets one of its own over there: keys, widths and colours are as at home. Elsewhere its standard
//! streams are pipes, and ssh forwards no signals: this program sends them over the standard input of gobctl over there. When this program is killed, or the connection is lost, the verb gets a SIGHUP.

use super::frames::{Frame, MAX_BYTES};
use super::receive::{self, EXEC, RUN};
use super::{Input, Passed, words};
use crate::command;
use crate::context::{Context, Host};
use crate::exit;
use crate::failure::Failure;
use crate::signals::Signals;
use crate::verbs::Verb;
use gob_client::Error;
use gob_client::ssh::{NoWay, Tty, Why, encode};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::json;
use std::ffi::OsString;
use std::io::{self, IsTerminal, PipeReader, Read, Write, pipe};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The exit code of ssh for its own failures.
const SSH_FAILED: u8 = 255;
/// Interrupts after which ssh is ended: the verb may never come to be told of them.
const PATIENCE: u32 = 3;

/// Runs the verb and returns its exit code.
pub(super) fn run(context: &Context, verb: &Verb, input: Input, args: &[OsString]) -> Result<u8, Failure> {
    let Some(Host { ssh, .. }) = &context.host else { return Ok(exit::USAGE) };
    let words = words::of(context, verb, args);
    let with = |way: &str| -> Vec<String> {
        let words = words.iter().map(|word| encode(word));
        [receive::WORD, way].into_iter().map(str::to_owned).chain(words).collect()
    };
    let missing = missing(context, ssh.address().host());
    let on_terminal = io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal();
    let code = match input {
        Input::Stream => whole(&ssh.gobctl(Tty::None, &with(EXEC), Some(&missing)))?,
        Input::None | Input::Dash(_) if on_terminal => {
            whole(&ssh.gobctl(Tty::Own, &with(EXEC), Some(&missing)))?
        }
        Input::None | Input::Dash(_) => {
            let ssh = ssh.clone().keeps_interrupts(true);
            let command = ssh.gobctl(Tty::None, &with(RUN), Some(&missing));
            framed(command, matches!(input, Input::Dash(_)))?
        }
    };
    if code != SSH_FAILED {
        return Ok(code);
    }
    let no_way = NoWay { address: ssh.address().clone(), why: Why::Refused, said: String::new() };
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

/// Runs ssh with the standard streams of this program.
fn whole(command: &Command) -> Result<u8, Failure> {
    let words: Vec<OsString> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(OsString::from).collect();
    command::run(&words, &[], None)
}

/// Runs ssh with frames as its standard input.
fn framed(mut command: Command, reads: bool) -> Result<u8, Failure> {
    let failed = |error: io::Error| {
        Failure::own("supervisor-unreachable", 7, "cannot run ssh".to_owned()).cause(error.to_string())
    };
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(failed)?;
    let ssh = child.id();
    let frames = Sender::of(child.stdin.take());
    // A signal before this line ends this program, and with it the connection.
    let signals = Signals::of(&Passed::ALL)?;
    if reads {
        let sender = frames.clone();
        thread(move || sender.copy(io::stdin())).map_err(failed)?;
    }
    let (ended, status) = end_of(child).map_err(failed)?;
    let mut interrupts = 0;
    loop {
        let mut fds = [signals.as_fd(), ended.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
        while let Some(signal) = signals.next() {
            frames.send(&Frame::Signal(Passed::number(signal)));
            interrupts += 1;
            if interrupts >= PATIENCE {
                end(ssh);
            }
        }
        if let Ok(status) = status.try_recv() {
            return Ok(code_of(status));
        }
    }
}

/// Ends ssh, which has not been waited for while this program goes on.
fn end(ssh: u32) {
    if let Ok(pid) = i32::try_from(ssh) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).ok();
    }
}

/// Waits for ssh on a thread; a descriptor that becomes readable with its end, and its status then.
fn end_of(mut child: Child) -> io::Result<(PipeReader, Receiver<Option<ExitStatus>>)> {
    let ((reader, writer), (tell, told)) = (pipe()?, channel());
    thread(move || {
        tell.send(child.wait().ok()).ok();
        drop(writer);
    })?;
    Ok((reader, told))
}

fn thread(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().spawn(work).map(drop)
}

fn code_of(status: Option<ExitStatus>) -> u8 {
    let code = status.and_then(|status| status.code());
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(SSH_FAILED)
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

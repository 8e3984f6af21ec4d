//! A verb that another machine's gobctl runs here: its words are encoded, its caller is elsewhere.
//!
//! `run` reads frames from standard input: bytes for the verb, and the caller's signals. `whole` gives the verb the standard streams
//! as they are. Neither is a verb of its own: only `gobctl --host` calls them.

use super::{Frame, Frames, Passed};
use crate::exit;
use crate::failure::{Failure, Telling};
use gob_client::ssh::decode;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};

/// The first word of a command line that runs a verb for another machine, and the second one.
pub(super) const WORD: &str = "verb-from-afar";
pub(super) const RUN: &str = "run";
pub(super) const WHOLE: &str = "whole";

/// The variable that leads to another machine, which may be set here.
const HOST: &str = "GOB_HOST";
/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;
/// A signal that ended the verb is added to this.
const SIGNALLED: i32 = 128;

/// Returns the rest of a command line that runs a verb for another machine.
pub(crate) fn words(args: &[OsString]) -> Option<&[OsString]> {
    args.get(1).filter(|word| *word == OsStr::new(WORD)).and_then(|_| args.get(2..))
}

/// Takes those words: the way, and the words of the verb.
pub(crate) fn main(words: &[OsString]) -> u8 {
    let decoded = |words: &[OsString]| words.iter().map(|word| decode(word)).collect::<Option<Vec<_>>>();
    let way = words.split_first().and_then(|(way, words)| Some((way.to_str()?, decoded(words)?)));
    let ran = match way {
        Some((WHOLE, _)) if std::env::var_os(HOST).is_some() => again(words),
        Some((WHOLE, words)) => whole(words),
        Some((RUN, words)) => command(&words).and_then(run_verb),
        Some(_) | None => return exit::USAGE,
    };
    ran.unwrap_or_else(|failure| failure.report(Telling::default()))
}

/// Returns this program with the words of a verb. Of this machine it is the supervisor that is meant.
fn command(words: &[OsString]) -> Result<Command, Failure> {
    let mut command = Command::new(this()?);
    command.args(words).env_remove(HOST);
    Ok(command)
}

fn this() -> Result<OsString, Failure> {
    std::env::current_exe().map(OsString::from).map_err(|error| not_run(&error))
}

/// Becomes this program once more, without the variable.
fn again(words: &[OsString]) -> Result<u8, Failure> {
    let mut command = command(&[])?;
    Err(not_run(&command.arg(WORD).args(words).exec()))
}

/// Runs a verb with the standard streams of this program. It is waited for: the end of a program by a signal would be a failure of ssh
/// to the caller.
fn whole(words: Vec<OsString>) -> Result<u8, Failure> {
    let words: Vec<OsString> = std::iter::once(this()?).chain(words).collect();
    crate::command::run(&words, &[], None)
}

fn not_run(error: &io::Error) -> Failure {
    Failure::own("command-failed", 1, "cannot run gobctl again".to_owned()).cause(error.to_string())
}

/// Runs a verb, whose caller is elsewhere, and passes on what the caller sends.
fn run_verb(mut command: Command) -> Result<u8, Failure> {
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(|error| not_run(&error))?;
    let (stdin, verb) = (child.stdin.take(), child.id());
    let pid = i32::try_from(verb).map(Pid::from_raw).map_err(|error| not_run(&io::Error::other(error)))?;
    // The verb is waited for by this thread, and then this program ends: its pid is its own as long as the other one signals.
    let passes = std::thread::Builder::new().spawn(move || pass_on(pid, stdin));
    passes.map_err(|error| not_run(&error))?;
    child.wait().map(code_of).map_err(|error| not_run(&error))
}

fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| SIGNALLED + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Passes the caller's frames on to the verb, until the caller is gone.
fn pass_on(verb: Pid, mut input: Option<ChildStdin>) {
    let (mut frames, mut bytes) = (Frames::default(), vec![0; READ_BYTES]);
    let mut stdin = io::stdin().lock();
    loop {
        match stdin.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => break,
            Ok(count) => frames.extend(bytes.get(..count).unwrap_or_default()),
        }
        loop {
            match frames.next() {
                Ok(Some(Frame::Bytes(bytes))) => {
                    // A verb that reads no more says why by its exit.
                    input.as_mut().and_then(|input| input.write_all(&bytes).ok());
                }
                Ok(Some(Frame::End)) => input = None,
                Ok(Some(Frame::Signal(number))) => {
                    Passed::of(number).and_then(|signal| kill(verb, signal).ok());
                }
                Ok(None) => break,
                Err(()) => {
                    kill(verb, Signal::SIGHUP).ok();
                    return;
                }
            }
        }
    }
    // As at the end of a terminal. What the verb reads ends without being whole: it must not take it for all.
    kill(verb, Signal::SIGHUP).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_no_caller_are_refused() {
        for args in [&["gobctl", WORD][..], &["gobctl", WORD, RUN, "%"], &["gobctl", WORD, "x", "list"]] {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            assert_eq!(main(words(&args).unwrap()), exit::USAGE, "{args:?}");
        }
        assert_eq!(words(&["gobctl".into(), "list".into()]), None);
    }
}

//! `gob-keeper`: the tiny process above the supervisor.
//!
//! It takes the two locks that decide which supervisor lives, is a child subreaper, starts gobd, and when
//! gobd dies it kills every process that gobd left behind and starts gobd again. It owns the locks and the
//! life of one child, nothing else: no socket, no configuration, no thread, and no time but the pause before
//! a restart and the limit of a trial. It is this small so that there is next to nothing in it that could fail.
//!
//! The way through: arguments → paths → let go of the caller → directories → locks → keep.
//! Another program of the keeper goes on with what this one has, in the same process (`successor`).
//! A service manager may be the caller; its socket goes on to gobd (`activation`), and so does its wish to be told (`paths`).

#[cfg(not(target_os = "linux"))]
compile_error!("gob-keeper is built on child subreapers, PR_SET_CHILD_SUBREAPER of Linux");

mod activation;
mod args;
mod attributes;
mod error;
mod fault;
mod handed;
mod keep;
mod living;
mod locks;
mod log;
mod paths;
mod program;
mod ready;
mod shed;
mod successor;
mod sweep;
mod sys;

use args::Args;
use error::Error;
use gob_host::dirs::own_state;
use keep::Keeper;
use locks::Locks;
use paths::Paths;
use ready::Ready;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::time::Duration;

/// Retries after a directory vanished between its making and its use.
const TRIES: usize = 10;
/// Pauses, two seconds in all, in which the keeper of a supervisor that has ended lets go of the locks.
const RESTS: u32 = 100;
const REST: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let first = std::env::args_os().nth(1);
    if let Some(text) = first.as_deref().and_then(|word| args::about(word.to_str()?)) {
        return match writeln!(std::io::stdout(), "{text}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(code) = successor::begin(&words) {
        return code;
    }
    let args = match Args::parse(words.into_iter()) {
        Ok(args) => args,
        Err(error) => {
            log::plain(&format!("error: {error}\nhint: gob-keeper --help"));
            return ExitCode::from(2);
        }
    };
    if args.unlocked {
        return tell_unlocked();
    }
    if args.detach {
        match sys::fork_away() {
            Ok(true) => {}
            Ok(false) => return ExitCode::SUCCESS,
            Err(source) => {
                log::plain(&format!("error: cannot fork: {source}"));
                return ExitCode::FAILURE;
            }
        }
    }
    // A client that waits on the pipe is no service manager.
    let handed = if args.detach || args.ready_fd.is_some() { Vec::new() } else { activation::take() };
    let mut ready = args.ready_fd.map(Ready::new);
    let mut listener = None;
    let how = How { detached: args.detach, logs: args.detach || args.log };
    match run(how, &mut ready, handed, &mut listener) {
        Ok(code) => code,
        Err(Error::AlreadyRunning { pid, .. }) => {
            // Not an error: the caller has a supervisor. The ready pipe ends without a byte.
            let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
            let said = format!("gob is already running{pid}");
            log::plain(&said);
            if !args.detach {
                activation::give_way(listener.as_ref(), &said);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            let message = error.line();
            log::event(&message);
            if let Some(ready) = ready {
                ready.fail(&message);
            }
            ExitCode::FAILURE
        }
    }
}

/// The part of the command line that is about this process itself.
#[derive(Clone, Copy)]
struct How {
    /// It leaves the caller's session.
    detached: bool,
    /// Its log is a file.
    logs: bool,
}

fn run(
    How { detached, logs }: How,
    ready: &mut Option<Ready>,
    handed: Vec<OwnedFd>,
    listener: &mut Option<UnixListener>,
) -> Result<ExitCode, Error> {
    let paths = Paths::resolve(|name| std::env::var_os(name).filter(|_| !detached || name != paths::NOTIFY));
    let kept = ready.iter().map(Ready::as_fd).chain(handed.iter().map(OwnedFd::as_fd));
    shed::let_go_of_the_caller(detached, kept.collect())?;
    let paths = paths?;
    *listener = activation::choose(handed, &paths.dirs.socket());
    paths.dirs.check_owners(|name| std::env::var_os(name))?;
    let (mut tries, mut rests) = (TRIES, if detached { 0 } else { RESTS });
    let locks = loop {
        match settle(&paths, logs) {
            // A directory was removed after it was made.
            Err(error) if error.is_not_found() && tries > 0 => tries -= 1,
            // An empty lock file: a supervisor has ended in order, and its keeper is about to go. A client would try again by itself.
            Err(Error::AlreadyRunning { pid: None, .. }) if rests > 0 => {
                rests -= 1;
                sys::wait_for_child_signal(REST);
            }
            settled => break settled?,
        }
    };
    if logs {
        log::cap(&paths.dirs.state)?;
    }
    Keeper::begin(paths, locks, How { detached, logs }, ready, listener.as_ref())?.keep()
}

/// Tells whether a supervisor could start here: a socket unit takes the place of any other socket.
fn tell_unlocked() -> ExitCode {
    let paths = Paths::resolve(|name| std::env::var_os(name));
    match paths.and_then(|paths| settle(&paths, false)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            log::plain(&error.line());
            ExitCode::FAILURE
        }
    }
}

/// Makes the directories and the log, and takes the locks.
fn settle(paths: &Paths, logs: bool) -> Result<Locks, Error> {
    own_state(&paths.dirs.state)?;
    if logs {
        log::to_file(&paths.dirs.state)?;
    }
    Locks::acquire(paths)
}

//! `gob-keeper`: the tiny process above the supervisor.
//!
//! It takes the two locks that decide which supervisor lives, is a child subreaper, starts gobd, and when
//! gobd dies it kills every process that gobd left behind and starts gobd again. It owns the locks and the
//! life of one child, nothing else: no socket, no configuration, no thread, and no time but the pause before
//! a restart. It is this small so that there is next to nothing in it that could fail.
//!
//! The way through: arguments → paths → let go of the caller → directories → locks → keep.

#[cfg(not(target_os = "linux"))]
compile_error!("gob-keeper is built on child subreapers, PR_SET_CHILD_SUBREAPER of Linux");

mod args;
mod attributes;
mod error;
mod keep;
mod living;
mod locks;
mod log;
mod paths;
mod program;
mod ready;
mod shed;
mod sweep;
mod sys;

use args::Args;
use error::Error;
use gob_host::dirs::own_state;
use locks::Locks;
use paths::Paths;
use ready::Ready;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// Retries after a directory vanished between its making and its use.
const TRIES: usize = 10;

fn main() -> ExitCode {
    let first = std::env::args_os().nth(1);
    if let Some(text) = first.as_deref().and_then(|word| args::about(word.to_str()?)) {
        return match writeln!(std::io::stdout(), "{text}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let args = match Args::parse(std::env::args_os().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            log::plain(&format!("error: {error}\nhint: gob-keeper --help"));
            return ExitCode::from(2);
        }
    };
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
    let mut ready = args.ready_fd.map(Ready::new);
    match run(args.detach, &mut ready) {
        Ok(code) => code,
        Err(Error::AlreadyRunning { pid, .. }) => {
            // Not an error: the caller has a supervisor. The ready pipe ends without a byte.
            let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
            log::plain(&format!("gob is already running{pid}"));
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

fn run(detached: bool, ready: &mut Option<Ready>) -> Result<ExitCode, Error> {
    let paths = Paths::resolve(|name| std::env::var_os(name));
    shed::let_go_of_the_caller(detached, ready.as_ref().map(|ready| ready.as_fd()))?;
    let paths = paths?;
    paths.dirs.check_owners(|name| std::env::var_os(name))?;
    let mut tries = TRIES;
    let locks = loop {
        match settle(&paths, detached) {
            // A directory was removed after it was made.
            Err(error) if error.is_not_found() && tries > 0 => tries -= 1,
            settled => break settled?,
        }
    };
    if detached {
        log::cap(&paths.dirs.state)?;
    }
    keep::keep(paths, locks, ready)
}

/// Makes the directories and the log, and takes the locks.
fn settle(paths: &Paths, detached: bool) -> Result<Locks, Error> {
    own_state(&paths.dirs.state)?;
    if detached {
        log::to_file(&paths.dirs.state)?;
    }
    Locks::acquire(paths)
}

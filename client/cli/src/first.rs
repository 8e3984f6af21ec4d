//! gobctl as the first process of a PID namespace, as in a container: the kernel drops TERM and INT for such
//! a process unless it handles them, so that a verb without an end would have to be killed.

use crate::verbs::Verb;
use clap::ArgMatches;
use nix::sys::signal::{SigSet, Signal};

/// A signal that ended the program is added to this.
const SIGNALLED: i32 = 128;

/// Makes INT, TERM and HUP end this program with 128 and their number, where the kernel would not.
pub(crate) fn end_by_signals(verb: &Verb, matches: &ArgMatches) {
    let has_its_own = verb.passes_signals || verb.signals_with.is_some_and(|flag| matches.get_flag(flag));
    if std::process::id() != 1 || has_its_own {
        return;
    }
    let mut signals = SigSet::empty();
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().for_each(|signal| signals.add(signal));
    // Blocked signals are kept, also for the first process, until the thread takes them.
    if signals.thread_block().is_err() {
        return;
    }
    let waits = move || {
        if let Ok(signal) = signals.wait() {
            end(SIGNALLED + signal as i32);
        }
    };
    if std::thread::Builder::new().spawn(waits).is_err() {
        // Unblocked again: no thread would take them.
        signals.thread_unblock().ok();
    }
}

#[expect(clippy::exit, reason = "a signal ends a program wherever it is")]
fn end(code: i32) -> ! {
    std::process::exit(code)
}

//! Verbs with `--host`: the supervisor is that of another machine, or of another user of this one.
//!
//! A verb that only talks to the supervisor runs here, and its connection goes through `ssh HOST gobctl proxy`. A verb that
//! reads files, directories or variables runs there, as `ssh HOST gobctl VERB`: its directory and its environment are those
//! of a login over there, and nothing of this program's environment is sent. A few verbs are about this machine alone.

pub(crate) mod forward;
mod frames;
pub(crate) mod receive;
mod signals;
mod there;
mod words;

use frames::{Frame, Frames};
use signals::Passed;

use crate::context::Context;
use crate::failure::Failure;
use crate::verbs::Verb;
use clap::ArgMatches;
use clap::parser::ValueSource;
use std::ffi::OsString;

/// The place where a verb works for the supervisor of another machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afar {
    /// Here, over a connection; there with one of these flags.
    Here(&'static [&'static str]),
    /// Here, with the flag alone: the variable may be set over there as well, and would lead on from there.
    HereByFlag,
    /// There.
    There(Input),
    /// It is about this machine, which is the reason that is told.
    Never(&'static str),
}

impl Afar {
    /// Returns whether the variable says nothing to the verb.
    pub(crate) const fn is_by_flag_alone(self) -> bool {
        matches!(self, Self::HereByFlag | Self::Never(_))
    }
}

/// The standard input of a verb that runs there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// It reads none, and none is taken from a loop of a shell around it.
    None,
    /// It reads it where this argument is a dash.
    Dash(&'static str),
    /// It is a stream of requests, and has no terminal.
    Stream,
}

/// Runs a verb there, if that is its place; `None` where it goes on here.
pub(crate) fn run(
    context: &mut Context,
    verb: &'static Verb,
    matches: &ArgMatches,
    args: &[OsString],
) -> Result<Option<u8>, Failure> {
    let Some(host) = &mut context.host else { return Ok(None) };
    let draws = verb.path == crate::verbs::tui::VERB.path || is_set(matches, "watch");
    let passes = verb.passes_signals || verb.signals_with.is_some_and(|flag| matches.get_flag(flag));
    match verb.afar {
        Afar::HereByFlag => {}
        Afar::Never(why) => {
            let message = format!("{} works on this machine alone: {why}", verb.path.join(" "));
            return Err(Failure::usage(message).hint("leave out --host"));
        }
        Afar::Here(flags) if !flags.iter().any(|flag| is_set(matches, flag)) => {
            host.ssh = host.ssh.clone().keeps_interrupts(passes);
        }
        Afar::Here(_) => return there::run(context, (verb, draws), Input::None, args).map(Some),
        Afar::There(Input::Dash(id)) => {
            let reads = matches.try_get_one::<String>(id).ok().flatten().is_some_and(|word| word == "-");
            let input = if reads { Input::Dash(id) } else { Input::None };
            return there::run(context, (verb, draws), input, args).map(Some);
        }
        Afar::There(input) => return there::run(context, (verb, draws), input, args).map(Some),
    }
    Ok(None)
}

/// Returns whether a flag was given, or an option.
fn is_set(matches: &ArgMatches, id: &str) -> bool {
    let is_known = matches.try_contains_id(id).unwrap_or(false);
    is_known && matches.value_source(id) == Some(ValueSource::CommandLine)
}

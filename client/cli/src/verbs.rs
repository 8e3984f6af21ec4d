//! The verbs, one file each. A verb defines its command line and its work; it returns the exit code.

pub(crate) mod cleanup;
pub(crate) mod config;
pub(crate) mod daemon;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod get;
pub(crate) mod graphs;
pub(crate) mod hand_over;
pub(crate) mod invoke;
pub(crate) mod lease;
pub(crate) mod list;
pub(crate) mod list_watch;
pub(crate) mod logs;
pub(crate) mod nuke;
pub(crate) mod overview;
pub(crate) mod ping;
pub(crate) mod remove;
pub(crate) mod restart;
pub(crate) mod shutdown;
pub(crate) mod signal;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod who;
pub(crate) mod with;

use crate::context::Context;
use crate::failure::Failure;
use clap::{ArgMatches, Command};

/// One verb.
pub(crate) struct Verb {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its other names.
    pub(crate) aliases: &'static [&'static str],
    /// Its heading in the help.
    pub(crate) group: &'static str,
    /// Its work, in a line.
    pub(crate) about: &'static str,
    /// The beginning of its help.
    pub(crate) examples: &'static str,
    /// Adds its arguments.
    pub(crate) command: fn(Command) -> Command,
    /// Runs it.
    pub(crate) run: fn(&Context, &ArgMatches) -> Result<u8, Failure>,
}

const WORKERS: &str = "Workers";
const LOOKING: &str = "Looking";
const SUPERVISOR: &str = "The supervisor";

/// The headings of help, in order.
pub(crate) const GROUPS: &[&str] = &[WORKERS, LOOKING, SUPERVISOR];

/// All working verbs.
pub(crate) const VERBS: &[Verb] = &[
    start::VERB,
    stop::VERB,
    restart::VERB,
    signal::VERB,
    invoke::VERB,
    with::VERB,
    lease::VERB,
    hand_over::VERB,
    remove::VERB,
    cleanup::VERB,
    list::VERB,
    status::VERB,
    get::VERB,
    graphs::VERB,
    who::VERB,
    events::VERB,
    logs::VERB,
    logs::STDOUT,
    logs::STDERR,
    ping::VERB,
    daemon::VERB,
    config::VERB,
    doctor::VERB,
    shutdown::VERB,
    nuke::VERB,
];

/// Finds a verb by any of its names.
pub(crate) fn find(word: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == word || verb.aliases.contains(&word))
}

//! The table of verbs. Each has a file; the verbs of a noun have a folder of its name.

pub(crate) mod add;
pub(crate) mod blame;
pub(crate) mod brief;
pub(crate) mod cleanup;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod daemon;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod graphs;
pub(crate) mod hand_over;
pub(crate) mod invoke;
pub(crate) mod lease;
pub(crate) mod list;
pub(crate) mod list_watch;
pub(crate) mod lock;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod mcp;
pub(crate) mod nuke;
pub(crate) mod overview;
pub(crate) mod ping;
pub(crate) mod ports;
pub(crate) mod proxy;
pub(crate) mod queue;
pub(crate) mod remove;
pub(crate) mod restart;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod shutdown;
pub(crate) mod signal;
pub(crate) mod skill;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod trust;
pub(crate) mod tui;
pub(crate) mod up;
mod verb;
pub(crate) mod wait;
pub(crate) mod who;
pub(crate) mod with;

pub(crate) use verb::{Effect, Timeout, Verb, timeout};

const WORKERS: &str = "Workers";
const JOBS: &str = "Jobs";
const QUEUE: &str = "The queue";
const PROJECT: &str = "The project file";
const LOCKS: &str = "Locks";
const LOOKING: &str = "Looking";
const AGENTS: &str = "Agents";
const SUPERVISOR: &str = "The supervisor";
const SHELL: &str = "The shell";

/// The headings of help, in order.
pub(crate) const GROUPS: &[&str] =
    &[WORKERS, JOBS, QUEUE, PROJECT, LOCKS, LOOKING, AGENTS, SUPERVISOR, SHELL];

/// Every verb. Those of a noun follow it, in the order of its help.
pub(crate) static VERBS: &[&Verb] = &[
    &start::VERB,
    &stop::VERB,
    &restart::VERB,
    &signal::VERB,
    &invoke::VERB,
    &with::VERB,
    &lease::VERB,
    &hand_over::VERB,
    &remove::VERB,
    &cleanup::VERB,
    &add::VERB,
    &run::VERB,
    &wait::VERB,
    &add::CREATE,
    &queue::NOUN,
    &queue::add::VERB,
    &queue::list::VERB,
    &queue::wait::VERB,
    &queue::logs::VERB,
    &queue::manage::CANCEL,
    &queue::manage::RETRY,
    &queue::lanes::PAUSE,
    &queue::lanes::RESUME,
    &queue::lanes::CLEAR,
    &queue::lanes::WIDTH,
    &queue::schedules::EVERY,
    &queue::schedules::VERB,
    &queue::schedules::UNSCHEDULE,
    &up::VERB,
    &down::VERB,
    &trust::VERB,
    &lock::NOUN,
    &lock::run::VERB,
    &lock::status::VERB,
    &lock::broken::VERB,
    &overview::VERB,
    &tui::VERB,
    &list::VERB,
    &status::VERB,
    &get::VERB,
    &ports::VERB,
    &graphs::VERB,
    &graphs::delete::VERB,
    &who::VERB,
    &events::VERB,
    &runs::VERB,
    &runs::delete::VERB,
    &stats::VERB,
    &blame::VERB,
    &brief::VERB,
    &logs::VERB,
    &logs::STDOUT,
    &logs::STDERR,
    &mcp::VERB,
    &skill::VERB,
    &ping::VERB,
    &daemon::NOUN,
    &daemon::start::VERB,
    &daemon::stop::VERB,
    &daemon::restart::VERB,
    &daemon::upgrade::VERB,
    &daemon::status::VERB,
    &daemon::logs::VERB,
    &daemon::install::VERB,
    &daemon::install::UNINSTALL,
    &config::NOUN,
    &config::path::VERB,
    &config::show::VERB,
    &config::check::VERB,
    &config::init::VERB,
    &config::reload::VERB,
    &export::NOUN,
    &export::SYSTEMD,
    &export::COMPOSE,
    &doctor::VERB,
    &shutdown::VERB,
    &nuke::VERB,
    &completion::VERB,
    &man::VERB,
    &proxy::VERB,
];

/// Returns the verbs and nouns that may stand first on a command line.
pub(crate) fn first_words() -> impl Iterator<Item = &'static Verb> {
    VERBS.iter().copied().filter(|verb| verb.path.len() == 1)
}

/// Finds the verb or noun of one word by its name or another one it has.
pub(crate) fn find(word: &str) -> Option<&'static Verb> {
    first_words().find(|verb| verb.name() == word || verb.aliases.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_is_reached_by_its_words_alone_and_can_be_run() {
        let mut seen = BTreeSet::new();
        for verb in VERBS {
            assert!(seen.insert(verb.path), "{:?} twice", verb.path);
            assert!(!verb.about.is_empty(), "{:?}", verb.path);
            assert!(verb.run.is_some() || verb.below().count() > 1, "{:?} does nothing", verb.path);
            let mut at = find(verb.name()).unwrap();
            for word in verb.path.iter().skip(1) {
                at = at.below().find(|below| below.last_word() == *word).unwrap();
            }
            assert_eq!(at.path, verb.path);
            let is_first = verb.path.len() == 1;
            assert!(is_first == GROUPS.contains(&verb.group), "{:?}: {}", verb.path, verb.group);
        }
    }

    /// A row says of itself that it has `--owner`, takes the time limit into its requests, or passes signals on.
    #[test]
    fn a_row_says_what_is_special_about_its_verb() {
        let all = |has: fn(&Verb) -> bool| {
            VERBS.iter().filter(|verb| has(verb)).map(|verb| verb.path).collect::<Vec<_>>()
        };
        assert_eq!(all(|verb| verb.timeout.is_of_readiness), [&["start"], &["restart"], &["with"]]);
        assert_eq!(all(|verb| verb.passes_signals), [&["with"][..], &["run"], &["lock", "run"]]);
        for verb in VERBS {
            let command = (verb.command)(clap::Command::new("a verb"));
            let has_owner = command.get_arguments().any(|arg| arg.get_long() == Some("owner"));
            assert_eq!(verb.filters_by_owner, has_owner, "{:?}", verb.path);
        }
    }

    #[test]
    fn a_noun_is_as_bad_as_the_worst_verb_below_it() {
        let effect = |word: &str| find(word).unwrap().effect();
        assert_eq!(effect("daemon"), Effect::Destroys);
        assert_eq!(effect("config"), Effect::Changes);
        assert_eq!(effect("graphs"), Effect::Reads, "alone it lists");
        assert_eq!(graphs::delete::VERB.effect(), Effect::Destroys);
    }
}

//! A row of the table of verbs. Dispatch, help, `help --json` and the nearest word to a misspelled one read it.

use crate::afar::{Afar, Input};
use crate::args;
use crate::context::Context;
use crate::failure::Failure;
use clap::{ArgMatches, Command};

/// A verb, or a noun with verbs below it.
pub(crate) struct Verb {
    /// Its words: `["stop"]`, `["graphs", "delete"]`.
    pub(crate) path: &'static [&'static str],
    /// Other names of a verb of one word.
    pub(crate) aliases: &'static [&'static str],
    /// The heading of help that it stands under.
    pub(crate) group: &'static str,
    /// Its work in a line.
    pub(crate) about: &'static str,
    /// The beginning of its help.
    pub(crate) examples: &'static str,
    /// Its effect. A noun alone counts as the worst of the verbs below it.
    pub(crate) effect: Effect,
    /// Flags that make another thing of it.
    pub(crate) flags: &'static [(&'static str, Effect)],
    /// The meaning of `--timeout`.
    pub(crate) timeout: Timeout,
    /// Its own `--owner` chooses workers. Before the verb the flag names the requester, as everywhere.
    pub(crate) filters_by_owner: bool,
    /// The owner that it speaks for where neither `--owner` nor GOB_OWNER names one; `cli` without it.
    pub(crate) owner: Option<&'static str>,
    /// It passes signals on to a command of its own, and ends when that does.
    pub(crate) passes_signals: bool,
    /// The flag with which it waits for signals itself.
    pub(crate) signals_with: Option<&'static str>,
    /// Where it works for the supervisor of another machine.
    pub(crate) afar: Afar,
    /// Its arguments end with a command, whose flags are not gobctl's.
    pub(crate) has_command: bool,
    /// A flag of such a verb with which the command has to stand behind `--`. Its command stands there for clap in any case.
    pub(crate) dashes_with: Option<&'static str>,
    /// The remedy where `--` is missing before its command.
    pub(crate) dashes: Option<&'static str>,
    /// Adds its arguments.
    pub(crate) command: fn(Command) -> Command,
    /// Runs it and returns the exit code; `None` for a noun that needs a verb behind it.
    pub(crate) run: Option<Run>,
}

/// The work of a verb, with the arguments of the last of its words.
pub(crate) type Run = fn(&Context, &ArgMatches) -> Result<u8, Failure>;

/// The effect of a verb on the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// Only looks.
    Reads,
    /// Starts, stops or changes something that can be had again.
    Changes,
    /// Ends work that others may be using, or deletes for good.
    Destroys,
}

impl Effect {
    /// Returns the word for programs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Changes => "changes",
            Self::Destroys => "destroys",
        }
    }
}

/// The meaning of `--timeout` for a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timeout {
    /// In words, with the default.
    pub(crate) text: &'static str,
    /// It limits the wait for a worker's readiness, which its requests carry: the supervisor answers when it passes.
    pub(crate) is_of_readiness: bool,
    /// 0 is a time, too: it tries once.
    pub(crate) takes_zero: bool,
}

/// The meanings of `--timeout`.
pub(crate) mod timeout {
    use super::Timeout;

    const fn client(text: &'static str) -> Timeout {
        Timeout { text, is_of_readiness: false, takes_zero: false }
    }

    /// A noun's: the verbs below it have their own.
    pub(crate) const OF_EACH: Timeout = client(crate::manual::TIMEOUT);
    pub(crate) const ANSWER: Timeout = client("How long to wait for the answer, then exit 124; else 10s");
    pub(crate) const NONE: Timeout = client("Has no effect: it goes on until it is ended");
    pub(crate) const UNTIL_ALL_READY: Timeout = client(
        "How long to wait for each to be ready, then exit 124 while it goes on; else what its check allows",
    );
    pub(crate) const UNTIL_READY: Timeout = Timeout {
        text: "How long to wait until ready, then exit 8 while the worker goes on; else as long as its kind allows",
        is_of_readiness: true,
        takes_zero: false,
    };
    pub(crate) const STREAM: Timeout = client("End after this time, with exit 124; else it goes on");
    pub(crate) const LIST: Timeout = client(
        "How long to wait for the answer, or to --watch, then exit 124; else 10s, and --watch goes on",
    );
    pub(crate) const UNTIL_ENDED: Timeout = client(
        "How long to wait for the end, then exit 124 while it goes on; else the grace and some seconds",
    );
    pub(crate) const END_OF_WORK: Timeout =
        client("How long to wait, then exit 124 while the work goes on; else as long as it takes");
    pub(crate) const END_OF_JOB: Timeout = client(
        "How long to wait, then exit 124 while the work goes on; else as long as it takes, but a job that seems stuck is left \
         with 124: [jobs] in gobctl help config",
    );
    pub(crate) const LOCK: Timeout = Timeout {
        text: "How long to wait for the lock, then exit 124; 0 tries once; else as long as it takes, a lock file by its --retries, \
               which count beside --timeout only if they are given",
        is_of_readiness: false,
        takes_zero: true,
    };
    pub(crate) const SILENCE: Timeout = client("How long the worker may be silent, then exit 124; else 62s");
    pub(crate) const DOCTOR: Timeout = client("How long to wait for the supervisor; else 2s");
}

impl Verb {
    /// The row that others are written as differences to.
    pub(crate) const ROW: Self = Self {
        path: &[],
        aliases: &[],
        group: "",
        about: "",
        examples: "",
        effect: Effect::Destroys,
        flags: &[],
        timeout: timeout::ANSWER,
        filters_by_owner: false,
        owner: None,
        passes_signals: false,
        signals_with: None,
        afar: Afar::There(Input::None),
        has_command: false,
        dashes_with: None,
        dashes: None,
        command: |command| command,
        run: None,
    };

    /// Returns its first word.
    pub(crate) fn name(&self) -> &'static str {
        self.path.first().copied().unwrap_or_default()
    }

    /// Returns its last word.
    pub(crate) fn last_word(&self) -> &'static str {
        self.path.last().copied().unwrap_or_default()
    }

    /// Returns the rows one word below it.
    pub(crate) fn below(&self) -> impl Iterator<Item = &'static Self> {
        let path = self.path;
        super::VERBS.iter().copied().filter(move |verb| {
            verb.path.split_last().is_some_and(|(_, above)| above == path && !above.is_empty())
        })
    }

    /// Returns its effect.
    pub(crate) fn effect(&self) -> Effect {
        let worst = self.below().map(Self::effect).max();
        worst.filter(|_| self.run.is_none()).unwrap_or(self.effect)
    }

    /// Adds its arguments and the verbs below it to a command.
    pub(crate) fn build(&self, command: Command) -> Command {
        let command = args::with_help((self.command)(command), self).subcommand_required(self.run.is_none());
        self.below().fold(command, |command, verb| {
            let below = Command::new(verb.last_word()).arg(args::timeout_arg(verb.timeout));
            command.subcommand(verb.build(below))
        })
    }

    /// Returns the row that a command line names, with its arguments.
    pub(crate) fn named<'m>(&'static self, matches: &'m ArgMatches) -> (&'static Self, &'m ArgMatches) {
        let below = matches.subcommand().and_then(|(word, matches)| {
            let verb = self.below().find(|verb| verb.last_word() == word)?;
            Some((verb, matches))
        });
        below.map_or((self, matches), |(verb, matches)| verb.named(matches))
    }
}

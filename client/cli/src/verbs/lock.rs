//! `gobctl lock …`: locks that are held while a command runs.

pub(crate) mod broken;
pub(crate) mod run;
pub(crate) mod status;
mod table;
pub(crate) mod wording;

use super::{LOCKS, Verb, timeout};
use crate::failure::Failure;
use crate::text::{parse_duration, parse_number};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};
use gob_client::protocol::LockName;
use std::path::PathBuf;
use std::time::Duration;

use crate::guard::FileOrder;

pub(crate) const NOUN: Verb = Verb {
    path: &["lock"],
    group: LOCKS,
    about: "Hold a lock while a command runs; look at locks",
    examples: "Examples:\n  gobctl lock run deploy -- make deploy\n  gobctl lock status\n  gobctl lock break deploy\n",
    timeout: timeout::OF_EACH,
    ..Verb::ROW
};

/// The feature of the supervisor that has locks.
const FEATURE: &str = "locks";

/// Arguments about a lock file.
fn file_args(command: clap::Command, waits: bool) -> clap::Command {
    let command = command
        .arg(
            Arg::new("file")
                .long("file")
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath)
                .help(if waits {
                    "A lock file that programs without gob share; needs no supervisor. The file alone is the lock: NAME is ignored"
                } else {
                    "A lock file that programs without gob share; needs no supervisor"
                }),
        )
        .arg(
            Arg::new("stale-after")
                .long("stale-after")
                .value_name("TIME")
                .value_parser(parse_duration)
                .requires("file")
                .default_value("30s")
                .help("A holder that was silent for so long does not count"),
        );
    if !waits {
        return command;
    }
    command
        .arg(
            Arg::new("retries")
                .long("retries")
                .value_name("N")
                .value_parser(parse_number::<u32>)
                .requires("file")
                .default_value("50")
                .help("How often a lock file that is held is looked at again; without end beside --timeout, unless it is given"),
        )
        .arg(
            Arg::new("retry-delay")
                .long("retry-delay")
                .value_name("TIME")
                .value_parser(parse_duration)
                .requires("file")
                .default_value("100ms")
                .help("The first pause between two looks; later ones grow to ten times that"),
        )
}

/// The holder's name for itself.
fn process_arg() -> Arg {
    Arg::new("process")
        .long("process")
        .value_name("NAME")
        .default_value("gobctl")
        .help("The name of the holder, for people")
}

/// The name of the lock, which a lock file has beside its path for people alone.
fn name_of_lock(required: bool) -> Arg {
    let arg = Arg::new("lock")
        .value_name("NAME")
        .action(ArgAction::Set)
        .help("The lock; gobctl lock status shows them. Ignored beside --file");
    if required { arg.required_unless_present("file") } else { arg }
}

/// The name that was given, if one was.
fn lock_name(matches: &ArgMatches) -> Result<Option<LockName>, Failure> {
    let name = matches.get_one::<String>("lock").map(|name| LockName::new(name)).transpose();
    name.map_err(|error| Failure::usage(format!("the name of a lock: {error}")))
}

/// The lock file that is meant, if one is.
fn file_order(matches: &ArgMatches, timeout: Option<Duration>) -> Option<FileOrder> {
    fn get<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Option<T> {
        matches.try_get_one::<T>(name).ok().flatten().cloned()
    }
    // The default number of retries is over after half a minute, which may be sooner than the time that was asked for.
    let by_time_alone =
        timeout.is_some() && matches.value_source("retries") != Some(ValueSource::CommandLine);
    Some(FileOrder {
        path: get(matches, "file")?,
        process: get(matches, "process").unwrap_or_else(|| "gobctl".to_owned()),
        stale_after: get(matches, "stale-after")?,
        retries: if by_time_alone { u32::MAX } else { get(matches, "retries").unwrap_or_default() },
        retry_delay: get(matches, "retry-delay").unwrap_or_default(),
        timeout,
    })
}

//! `gobctl stop NAME…`: ends workers and their whole trees.

use super::start::millis;
use super::{Effect, Verb, WORKERS, timeout};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::{each, names, names_arg};
use crate::failure::Failure;
use crate::goes_on::GoesOn;
use crate::progress::Progress;
use crate::suggest::{note_waiting, with_remedy};
use crate::text::{escape, parse_duration};
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::Name;
use gob_client::call::{Reply, Stop};
use gob_client::protocol::Receipt;
use std::time::Duration;

pub(crate) const VERB: Verb = Verb {
    path: &["stop"],
    group: WORKERS,
    effect: Effect::Changes,
    about: "End a worker and everything that came from it",
    examples: "Examples:\n  gobctl stop demo\n  gobctl stop demo --grace 2s\n  gobctl stop demo --force\n",
    command: |command| {
        command.arg(names_arg("NAME")).arg(grace_arg()).arg(
            Arg::new("force")
                .long("force")
                .action(ArgAction::SetTrue)
                .help("Kill at once; overrides no owner"),
        )
    },
    timeout: timeout::UNTIL_ENDED,
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

/// The argument `--grace`.
pub(super) fn grace_arg() -> Arg {
    let help =
        "Time to end by itself before it is killed: 500ms, 10s, 2m; what its kind says without it, else 10s";
    Arg::new("grace")
        .long("grace")
        .value_name("TIME")
        .value_parser(parse_duration)
        .allow_negative_numbers(true)
        .help(help)
}

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let force = matches.get_flag("force");
    let grace_ms = matches.get_one::<Duration>("grace").copied().map(millis);
    let mut client = context.connect("stop")?;
    let mut sent = Vec::new();
    for name in names(matches) {
        let stop = Stop { name: name.clone(), force, grace_ms };
        sent.push((name, client.send(stop)?));
    }
    let goes_on = GoesOn::of(context, "stopping", names(matches));
    let ask = |name: &Name, sent| {
        let mut progress = Progress::new(context, format!("stopping {name}"));
        let reply = context.wait_showing(&mut client, sent, &mut progress);
        goes_on.done(name);
        let reply: Reply<Stop> = reply.map_err(|error| with_remedy(&mut client, name, error.into()))?;
        if reply.read()?.receipt.signalled.is_empty() {
            note_waiting(context, &mut client, name);
        }
        Ok(reply)
    };
    each(context, sent, ask, |name, reply| {
        let receipt = reply.read()?.receipt;
        Ok(if context.quiet { String::new() } else { told(name.as_str(), &receipt) })
    })
}

/// Returns the receipt of a stop in a line without its end; nothing where no process was touched.
pub(crate) fn told_of(reply: &Reply<Stop>) -> Result<String, Failure> {
    let data = reply.read()?;
    let touched = !data.receipt.signalled.is_empty();
    let line = touched.then(|| told(data.worker.name.as_str(), &data.receipt));
    Ok(line.unwrap_or_default().trim_end().to_owned())
}

fn told(name: &str, receipt: &Receipt) -> String {
    let name = escape(name);
    match receipt.signalled.as_slice() {
        [] => format!("{name} was not running\n"),
        [one] => format!("stopped {name} (pid {})\n", one.pid),
        [first, rest @ ..] => format!("stopped {name} (pid {} and {} more)\n", first.pid, rest.len()),
    }
}

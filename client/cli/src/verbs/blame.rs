//! `gobctl blame NAME`: the changes of a worker, and the party that caused each.

use super::{Effect, LOOKING, Verb};
use crate::clock::Clock;
use crate::context::Context;
use crate::each::{name, name_arg, print_data};
use crate::failure::Failure;
use crate::history::{History, Most, table};
use crate::out;
use crate::text::{escape, now};
use clap::ArgMatches;
use gob_client::call::{Blame, Call, read};
use gob_client::protocol::answer::BlameData;

pub(crate) const VERB: Verb = Verb {
    path: &["blame"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "Who did what to a worker, newest first",
    examples: "Examples:\n  gobctl blame demo\n  gobctl blame demo -n 3 --json\n",
    command: |command| {
        command.arg(name_arg("NAME")).arg(Most::arg("The latest changes, this many of them, or all"))
    },
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    let data = History::open(context, Blame::TYPE)?.blame(&name, Most::of(matches))?;
    if context.json {
        return print_data(&data).map(|()| 0);
    }
    let BlameData { entries, next } = read(Blame::TYPE, &data)?;
    if entries.is_empty() {
        context.note(&format!("no change of {} is in the history", escape(name.as_str())));
        return Ok(0);
    }
    let (clock, now) = (Clock::local(), now());
    out::print(&table::changes(&entries, context.look(), |time| clock.stamp(time, now)))?;
    if next.is_some() {
        context.note("there are older changes; -n all shows them");
    }
    Ok(0)
}

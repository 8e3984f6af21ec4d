//! `gobctl stats NAME`: how often a worker's runs succeed, and how long they take.

use super::{Effect, LOOKING, Verb};
use crate::context::Context;
use crate::each::{name, name_arg, print_data};
use crate::failure::Failure;
use crate::history::{History, table};
use crate::out;
use clap::ArgMatches;
use gob_client::call::{Call, Stats, read};

pub(crate) const VERB: Verb = Verb {
    path: &["stats"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "How often a worker's runs succeed, and how long they take",
    examples: "Examples:\n  gobctl stats tests\n  gobctl stats tests --json\n",
    command: |command| command.arg(name_arg("NAME")),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    let data = History::open(context, Stats::TYPE)?.stats(&name)?;
    if context.json {
        print_data(&data)?;
    } else {
        out::print(&table::stats(&name, &read(Stats::TYPE, &data)?, context.look()))?;
    }
    Ok(0)
}

//! `gobctl runs NAME`: the runs of a worker, newest first.

pub(crate) mod delete;

use super::{Effect, LOOKING, Verb};
use crate::context::Context;
use crate::each::{name, name_arg, print_data};
use crate::failure::Failure;
use crate::history::{History, Most, table};
use crate::out;
use crate::text::{escape, now};
use clap::ArgMatches;
use gob_client::call::{Call, Runs, read};
use gob_client::protocol::answer::RunsData;

pub(crate) const VERB: Verb = Verb {
    path: &["runs"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "The runs of a worker, and how each ended; delete one",
    examples: "Examples:\n  gobctl runs tests\n  gobctl runs tests -n all --json\n  gobctl logs tests --run 3\n  gobctl runs delete tests 3\n",
    command: |command| {
        command
            .subcommand_negates_reqs(true)
            .args_conflicts_with_subcommands(true)
            .arg(name_arg("NAME"))
            .arg(Most::arg("The latest runs, this many of them, or all"))
    },
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    let data = History::open(context, Runs::TYPE)?.runs(&name, Most::of(matches))?;
    if context.json {
        return print_data(&data).map(|()| 0);
    }
    let RunsData { runs, more } = read(Runs::TYPE, &data)?;
    if runs.is_empty() {
        context.note(&format!("no run of {} is in the history", escape(name.as_str())));
        return Ok(0);
    }
    out::print(&table::runs(&runs, now(), context.look()))?;
    if more {
        context.note("there are older runs; -n all shows them");
    }
    Ok(0)
}

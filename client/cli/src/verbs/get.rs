//! `gobctl get NAME`: `status NAME --json` in one word, spread over lines on a terminal.

use super::{Effect, LOOKING, Verb};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::{ask_of, name, name_arg};
use crate::failure::Failure;
use crate::{json, out};
use clap::ArgMatches;
use gob_client::call::Get;

pub(crate) const VERB: Verb = Verb {
    path: &["get"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "One worker as JSON",
    examples: "Examples:\n  gobctl get demo\n  gobctl get demo | jq -r .worker.endpoint\n",
    command: |command| command.arg(name_arg("NAME")),
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    // Errors are JSON too; on a terminal the data is spread over lines, unless it was requested as it came.
    let as_it_came = context.json;
    let context = Context { json: true, ..context.clone() };
    let (_, reply) = ask_of(&context, &name, Get { name: name.clone() })?;
    out::print(&json::shown(reply.data(), as_it_came))?;
    Ok(0)
}

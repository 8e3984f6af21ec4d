//! `gobctl get NAME`: `status NAME --json` in one word.

use super::{LOOKING, Verb};
use crate::each::{name, name_arg};
use crate::{context::Context, failure::Failure};
use clap::ArgMatches;

pub(crate) const VERB: Verb = Verb {
    name: "get",
    aliases: &[],
    group: LOOKING,
    about: "One worker as JSON",
    examples: "Examples:\n  gobctl get demo\n  gobctl get demo | jq -r .worker.endpoint\n",
    command: |command| command.arg(name_arg("NAME")),
    run,
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let context = Context { json: true, ..context.clone() };
    super::status::one(&context, name(matches)?)
}

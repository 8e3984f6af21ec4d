//! `gobctl status [NAME]`: the supervisor's health, or all facts about one worker.

use super::{Effect, LOOKING, Verb};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::{ask_of, name_arg, print_data};
use crate::failure::Failure;
use crate::text::now;
use crate::{out, render};
use clap::ArgMatches;
use gob_client::{Name, call, screen};

pub(crate) const VERB: Verb = Verb {
    path: &["status"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "The supervisor's health, or all about one worker",
    examples: "Examples:\n  gobctl status\n  gobctl status demo\n",
    command: |command| {
        command.arg(name_arg("NAME").required(false).help("A worker; the supervisor itself without it"))
    },
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    if let Some(name) = matches.get_one::<Name>("name") {
        return one(context, name.clone());
    }
    supervisor(context)
}

/// Prints the supervisor's health.
pub(super) fn supervisor(context: &Context) -> Result<u8, Failure> {
    let (_, reply) = context.ask(call::Status)?;
    if context.json {
        return print_data(reply.data()).map(|()| 0);
    }
    let (title, facts) = screen::supervisor(&reply.read()?, context.verbose);
    out::print(&context.folded(&format!("{title}\n{}", render::pairs(&facts))))?;
    Ok(0)
}

/// Prints all facts about one worker.
pub(super) fn one(context: &Context, name: Name) -> Result<u8, Failure> {
    let (_, reply) = ask_of(context, &name, call::Get { name: name.clone() })?;
    if context.json {
        return print_data(reply.data()).map(|()| 0);
    }
    out::print(&context.folded(&render::worker(&reply.read()?.worker, now())))?;
    Ok(0)
}

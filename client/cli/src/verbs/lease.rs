//! `gobctl lease NAME`: holds a worker until interrupted. The lease ends with the connection, however this
//! program ends.

use super::{Effect, Verb, WORKERS, timeout};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::{ask_of, name, name_arg, print_data};
use crate::failure::Failure;
use crate::holding::{Holding, hold};
use crate::stream::End;
use crate::text::escape;
use crate::{out, render};
use clap::ArgMatches;
use gob_client::call::Lease;

pub(crate) const VERB: Verb = Verb {
    path: &["lease"],
    group: WORKERS,
    effect: Effect::Changes,
    about: "Hold a worker until interrupted",
    examples: "Examples:\n  gobctl lease demo\n  gobctl lease demo --timeout 10m\n",
    command: |command| command.arg(name_arg("NAME")),
    timeout: timeout::STREAM,
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let end = End::of(context.timeout);
    let name = name(matches)?;
    let (client, reply) = ask_of(context, &name, Lease { name: name.clone() })?;
    let worker = reply.read()?.worker;
    if context.json {
        print_data(reply.data())?;
    } else if !context.quiet {
        let (shown, who) = (escape(name.as_str()), render::who(&worker));
        let state = if worker.state.is_live() { String::new() } else { format!(", {}", worker.state) };
        out::print(&format!("holding {shown} ({who}{state}) until interrupted\n"))?;
        if !worker.state.is_live() {
            context.note(&format!("{name} does not run: gobctl start {}", name.as_argument()));
        }
    }
    hold(&Holding { context, verb: "lease", end }, client, vec![name])
}

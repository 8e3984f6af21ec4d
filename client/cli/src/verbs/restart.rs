//! `gobctl restart NAME…`: ends workers and starts them anew.

use super::start::millis;
use super::stop::grace_arg;
use super::{Effect, Verb, WORKERS, timeout};
use crate::context::{Context, not_ready};
use crate::each::{each, names, names_arg};
use crate::environment::environment;
use crate::failure::Failure;
use crate::goes_on::GoesOn;
use crate::progress::Progress;
use crate::render;
use crate::suggest::with_remedy;
use crate::text::{escape, took};
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::Name;
use gob_client::call::Restart;
use gob_client::protocol::request::Wait;
use std::time::{Duration, Instant};

pub(crate) const VERB: Verb = Verb {
    path: &["restart"],
    group: WORKERS,
    effect: Effect::Changes,
    about: "End a worker and start it anew",
    examples: "Examples:\n  gobctl restart demo\n",
    command: |command| {
        command.arg(names_arg("NAME")).arg(grace_arg()).arg(
            Arg::new("no-wait").long("no-wait").action(ArgAction::SetTrue).help("Return when it was spawned"),
        )
    },
    timeout: timeout::UNTIL_READY,
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let env = environment(context);
    let mut client = context.connect("restart")?;
    let begun = Instant::now();
    let mut sent = Vec::new();
    for name in names(matches) {
        let restart = Restart {
            name: name.clone(),
            env: Some(env.clone()),
            grace_ms: matches.get_one::<Duration>("grace").copied().map(millis),
            wait: matches.get_flag("no-wait").then_some(Wait::Spawned),
            timeout_ms: context.timeout.map(millis),
        };
        sent.push((name, client.send(restart)?));
    }
    let goes_on = GoesOn::of(context, "restarting", names(matches));
    let ask = |name: &Name, sent| {
        let mut progress = Progress::new(context, format!("restarting {name}"));
        let reply = context.wait_showing(&mut client, sent, &mut progress);
        goes_on.done(name);
        reply.map_err(|error| with_remedy(&mut client, name, not_ready(name, error)))
    };
    each(context, sent, ask, |name, reply| {
        let worker = reply.read()?.worker;
        let endpoint = worker.endpoint.as_ref().map(|e| format!("{}\n", escape(e))).unwrap_or_default();
        if context.quiet {
            return Ok(endpoint);
        }
        let (name, who, took) = (escape(name.as_str()), render::who(&worker), took(begun.elapsed()));
        Ok(format!("restarted {name} ({who}) in {took}\n{endpoint}"))
    })
}

//! `gobctl daemon start`: starts the supervisor, unless it runs.

use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::text::took;
use crate::verbs::{Effect, Verb};
use clap::ArgMatches;
use gob_client::protocol::answer::ServerInfo;
use serde_json::json;
use std::time::Instant;

pub(crate) const VERB: Verb = Verb {
    path: &["daemon", "start"],
    effect: Effect::Changes,
    about: "Start it, unless it runs",
    examples: "Examples:\n  gobctl daemon start\n",
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    start(context, "started", "")
}

/// Starts the supervisor and says so, with `done` for the verb and `besides` behind the time.
pub(super) fn start(context: &Context, done: &str, besides: &str) -> Result<u8, Failure> {
    // With `daemon start --no-autostart` the verb wins.
    let context = Context { autostart: true, ..context.clone() };
    if let Ok(client) = context.without_autostart().connect("hello") {
        let server = client.server();
        return tell(&context, server, &format!("the supervisor is already running (pid {})", server.pid));
    }
    let begun = Instant::now();
    let client = context.connect("hello")?;
    let (server, took) = (client.server(), took(begun.elapsed()));
    tell(&context, server, &format!("{done} the supervisor (pid {}) in {took}{besides}", server.pid))
}

fn tell(context: &Context, server: &ServerInfo, text: &str) -> Result<u8, Failure> {
    if context.json {
        out::print(&format!("{}\n", json!({"server": server})))?;
    } else if !context.quiet {
        out::print(&format!("{text}\n"))?;
    }
    Ok(0)
}

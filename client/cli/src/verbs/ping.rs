//! `gobctl ping`: checks that the supervisor answers.

use super::{Effect, SUPERVISOR, Verb};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::out;
use crate::text::up;
use clap::ArgMatches;
use gob_client::call::Ping;
use std::time::Duration;

pub(crate) const VERB: Verb = Verb {
    path: &["ping"],
    group: SUPERVISOR,
    effect: Effect::Reads,
    about: "Ask whether the supervisor answers",
    examples: "Examples:\n  gobctl ping\n  gobctl ping --no-autostart\n",
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    let (client, reply) = context.ask(Ping)?;
    if context.json {
        return print_data(reply.data()).map(|()| 0);
    }
    let uptime = up(Duration::from_millis(reply.read()?.uptime_ms));
    out::print(&format!(
        "pong (gobd {}, pid {}, up {uptime})\n",
        client.server().version,
        client.server().pid
    ))?;
    Ok(0)
}

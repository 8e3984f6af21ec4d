//! `gobctl ping`: checks that the supervisor answers.

use super::{SUPERVISOR, Verb};
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::out;
use crate::text::up;
use clap::ArgMatches;
use gob_client::call::Ping;
use std::time::Duration;

pub(crate) const VERB: Verb = Verb {
    name: "ping",
    aliases: &[],
    group: SUPERVISOR,
    about: "Ask whether the supervisor answers",
    examples: "Examples:\n  gobctl ping\n  gobctl ping --no-autostart\n",
    command: |command| command,
    run,
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

//! `gobctl lease NAME`: holds a worker until interrupted. The lease ends with the connection, however this ends.

use super::{Verb, WORKERS};
use crate::context::Context;
use crate::each::{do_with, name, name_arg};
use crate::failure::Failure;
use crate::render;
use crate::text::escape;
use clap::ArgMatches;
use gob_client::Request;
use gob_client::blocking::Client;
use gob_client::protocol::request::ByName;
use std::time::Duration;

pub(crate) const VERB: Verb = Verb {
    name: "lease",
    aliases: &[],
    group: WORKERS,
    about: "Hold a worker until interrupted",
    examples: "Examples:\n  gobctl lease demo\n",
    command: |command| command.arg(name_arg("NAME")),
    run,
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    let request = Request::Lease(ByName { name: name.clone() });
    let mut client = do_with(context, &name, &request, |worker| {
        format!("holding {} ({}) until interrupted", escape(name.as_str()), render::who(worker))
    })?;
    hold(&mut client)
}

/// Keeps the connection until somebody ends this program, or the supervisor goes away.
pub(super) fn hold(client: &mut Client) -> Result<u8, Failure> {
    while !client.wait_for_end(Duration::from_secs(3600))? {}
    let message = "the supervisor has gone away, and the lease with it".to_owned();
    Err(Failure::own("supervisor-unreachable", 7, message).hint("see gobctl daemon logs"))
}

//! `gobctl queue`: work that survives crashes, in lanes. The verbs below it, and the parts that they share.

pub(crate) mod add;
pub(crate) mod lanes;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod manage;
pub(crate) mod schedules;
pub(crate) mod wait;
mod watch;

use super::{Effect, QUEUE, Verb, timeout};
use crate::context::Context;
use crate::failure::Failure;
use crate::versions::needs;
use clap::{Arg, ArgMatches};
use gob_client::Name;
use gob_client::blocking::Client;
use gob_client::call::{Call, Reply};
use gob_client::protocol::queue::LaneName;

pub(crate) const NOUN: Verb = Verb {
    path: &["queue"],
    group: QUEUE,
    effect: Effect::Reads,
    about: "Work that survives crashes: lanes of jobs, schedules",
    examples: EXAMPLES,
    command: |command| command,
    run: Some(help),
    timeout: timeout::OF_EACH,
    ..Verb::ROW
};

/// Shows the help, which somebody needs who does not know the next word.
fn help(_context: &Context, _matches: &ArgMatches) -> Result<u8, Failure> {
    Err(Failure::Help(crate::args::help_of(&NOUN)))
}

const EXAMPLES: &str = "\
A job that was added is on the disk. It runs when its lane has room: a lane runs as many jobs at once as it is wide, \
one at first, and is made when it is first named. A job that fails is tried again, three times in all. Delivery is at \
least once: after a crash a job may run a second time, though never twice at once. Its variables GOB_JOB_ID and \
GOB_ATTEMPT tell one from the other.

Examples:
  gobctl queue add ci make test                 add a job to the lane ci; prints its id
  gobctl queue add ci --after j7 -- make deploy when j7 has completed
  gobctl queue width ci 4                       four at once
  gobctl queue list                             what waits, runs and has ended
  gobctl queue wait j7                          wait for its end, and exit with its code
  gobctl queue logs j7                          the output of each attempt
  gobctl queue every ci --cron '0 3 * * *' -- make nightly

For users of pueue: a lane is a group, its width is parallel, and clear cancels what waits.
For users of Sidekiq: workers of your own claim jobs over the socket; docs/QUEUE.md has one.
";

/// The argument `LANE`.
fn lane_arg() -> Arg {
    Arg::new("lane")
        .value_name("LANE")
        .required(true)
        .value_parser(|text: &str| LaneName::new(text))
        .help("A lane; it is made when it is first named")
}

/// Returns the given lane.
fn lane(matches: &ArgMatches) -> Result<LaneName, Failure> {
    let missing = || Failure::usage("the name of a lane is missing".to_owned());
    matches.get_one::<LaneName>("lane").cloned().ok_or_else(missing)
}

/// The argument `ID…`.
fn ids_arg() -> Arg {
    Arg::new("name")
        .value_name("ID")
        .required(true)
        .num_args(1..)
        .value_parser(|text: &str| Name::job(text))
        .help("Jobs of the queue; gobctl queue list shows them")
}

/// Connects to a supervisor that has a queue.
fn connect(context: &Context, purpose: &str) -> Result<Client, Failure> {
    let client = context.connect(purpose)?;
    needs(&client, "queue")?;
    Ok(client)
}

/// Makes one call to a supervisor that has a queue.
fn ask<C: Call>(context: &Context, call: C) -> Result<(Client, Reply<C>), Failure> {
    let mut client = connect(context, C::TYPE)?;
    let reply = context.call(&mut client, call)?;
    Ok((client, reply))
}

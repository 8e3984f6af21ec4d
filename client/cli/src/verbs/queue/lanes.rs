//! `gobctl queue pause|resume|clear LANE` and `gobctl queue width LANE N`.

use super::{ask, lane, lane_arg};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::text::parse_number;
use crate::verbs::{Effect, Verb};
use crate::{out, queue};
use clap::{Arg, ArgMatches};
use gob_client::call::{Call, QueueClear, QueuePause, QueueResume, QueueWidth};
use gob_client::protocol::answer::QueueLaneData;
use gob_client::protocol::queue::MAX_WIDTH;

pub(crate) const PAUSE: Verb = Verb {
    path: &["queue", "pause"],
    effect: Effect::Changes,
    about: "Begin no more jobs of a lane; those that run go on",
    examples: "Examples:\n  gobctl queue pause ci\n",
    command: |command| command.arg(lane_arg()),
    afar: Afar::Here(&[]),
    run: Some(|context, matches| {
        change(context, QueuePause { lane: lane(matches)? }, |data| told("paused", data))
    }),
    ..Verb::ROW
};

pub(crate) const RESUME: Verb = Verb {
    path: &["queue", "resume"],
    effect: Effect::Changes,
    about: "Begin jobs of a paused lane again",
    examples: "Examples:\n  gobctl queue resume ci\n",
    command: |command| command.arg(lane_arg()),
    afar: Afar::Here(&[]),
    run: Some(|context, matches| {
        change(context, QueueResume { lane: lane(matches)? }, |data| told("resumed", data))
    }),
    ..Verb::ROW
};

pub(crate) const CLEAR: Verb = Verb {
    path: &["queue", "clear"],
    effect: Effect::Destroys,
    about: "Cancel the jobs of a lane that wait and are yours; those that run go on",
    examples: "Examples:\n  gobctl queue clear ci\n",
    command: |command| command.arg(lane_arg()),
    afar: Afar::Here(&[]),
    run: Some(|context, matches| change(context, QueueClear { lane: lane(matches)? }, told_of_cleared)),
    ..Verb::ROW
};

pub(crate) const WIDTH: Verb = Verb {
    path: &["queue", "width"],
    effect: Effect::Changes,
    about: "Say how many jobs of a lane run at once",
    examples: "Examples:\n  gobctl queue width ci 4\n  gobctl queue width mail 0\n",
    command: |command| {
        command.arg(lane_arg()).arg(
            Arg::new("width")
                .value_name("N")
                .required(true)
                .value_parser(parse_width)
                .help("So many at once, 1000 at most; 0 leaves the lane to workers outside"),
        )
    },
    afar: Afar::Here(&[]),
    run: Some(width),
    ..Verb::ROW
};

fn parse_width(text: &str) -> Result<u32, String> {
    let number: u32 = parse_number(text)?;
    if number <= MAX_WIDTH { Ok(number) } else { Err(format!("a lane has at most width {MAX_WIDTH}")) }
}

fn width(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let missing = || Failure::usage("the width is missing".to_owned());
    let width = *matches.get_one::<u32>("width").ok_or_else(missing)?;
    change(context, QueueWidth { lane: lane(matches)?, width }, |data| queue::lane(&data.lane))
}

/// Changes a lane and prints its result in a line.
fn change<C: Call<Data = QueueLaneData>>(
    context: &Context,
    call: C,
    told: impl FnOnce(&QueueLaneData) -> String,
) -> Result<u8, Failure> {
    let (_, reply) = ask(context, call)?;
    if context.json {
        print_data(reply.data())?;
    } else if !context.quiet {
        out::print(&format!("{}\n", told(&reply.read()?)))?;
    }
    Ok(0)
}

fn told(verb: &str, data: &QueueLaneData) -> String {
    format!("{verb} {}", queue::lane(&data.lane))
}

fn told_of_cleared(data: &QueueLaneData) -> String {
    let count = data.cancelled.unwrap_or_default();
    format!("cancelled {count} job{} of {}", if count == 1 { "" } else { "s" }, data.lane.lane)
}

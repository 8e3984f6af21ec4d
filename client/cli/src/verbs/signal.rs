//! `gobctl signal NAME SIG`: sends a signal to a worker's leader.

use super::{Effect, Verb, WORKERS};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::{do_with, name, name_arg};
use crate::failure::Failure;
use crate::render;
use crate::text::escape;
use clap::{Arg, ArgMatches};
use gob_client::call::Signal;
use gob_client::protocol::signal;

pub(crate) const VERB: Verb = Verb {
    path: &["signal"],
    group: WORKERS,
    effect: Effect::Changes,
    about: "Send a signal to a worker",
    examples: "Examples:\n  gobctl signal demo HUP\n",
    command: |command| {
        command.arg(name_arg("NAME")).arg(
            Arg::new("signal")
                .value_name("SIG")
                .required(true)
                .value_parser(parse_signal)
                .help("HUP, SIGHUP or 1"),
        )
    },
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    let signal = matches.get_one::<String>("signal").cloned().unwrap_or_default();
    let call = Signal { name: name.clone(), signal: signal.clone() };
    do_with(context, &name, call, |worker| {
        format!("sent {signal} to {}{}", escape(name.as_str()), render::with_pid(worker))
    })?;
    Ok(0)
}

fn parse_signal(text: &str) -> Result<String, String> {
    signal::parse(text).ok_or_else(|| "there is no such signal; such as HUP, SIGHUP, 1 or RTMIN+1".to_owned())
}

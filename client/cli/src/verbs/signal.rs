//! `gobctl signal NAME SIG`: sends a signal to a worker's leader.

use super::{Verb, WORKERS};
use crate::context::Context;
use crate::each::{name, name_arg, print_data};
use crate::failure::Failure;
use crate::out;
use crate::suggest::with_nearest_name;
use crate::text::escape;
use clap::{Arg, ArgMatches};
use gob_client::protocol::request::{Signal, WorkerData};
use gob_client::{Request, requests};

pub(crate) const VERB: Verb = Verb {
    name: "signal",
    aliases: &[],
    group: WORKERS,
    about: "Send a signal to a worker",
    examples: "Examples:\n  gobctl signal demo HUP\n",
    command: |command| {
        command
            .arg(name_arg("NAME"))
            .arg(Arg::new("signal").value_name("SIG").required(true).help("HUP, SIGHUP or 1"))
    },
    run,
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    let signal = matches.get_one::<String>("signal").cloned().unwrap_or_default();
    let request = Request::Signal(Signal { name: name.clone(), signal: signal.clone() });
    let mut client = context.connect("signal")?;
    let data = client
        .call(&request, context.timeout_of(&request))
        .map_err(|error| with_nearest_name(context, &mut client, &name, error.into()))?;
    if context.json {
        print_data(&data)?;
    } else if !context.quiet {
        let worker = requests::read::<WorkerData>("signal", &data)?.worker;
        let pid = worker.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        out::print(&format!("sent {} to {}{pid}\n", spelled(&signal), escape(name.as_str())))?;
    }
    Ok(0)
}

/// As the wire spells signals, for what people type.
fn spelled(signal: &str) -> String {
    let upper = signal.to_ascii_uppercase();
    if upper.starts_with("SIG") || upper.bytes().all(|b| b.is_ascii_digit()) {
        escape(&upper)
    } else {
        format!("SIG{}", escape(&upper))
    }
}

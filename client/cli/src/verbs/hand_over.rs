//! `gobctl hand-over NAME OWNER`: makes somebody else the owner.

use super::{Verb, WORKERS};
use crate::context::Context;
use crate::each::{name, name_arg, print_data};
use crate::failure::Failure;
use crate::out;
use crate::suggest::with_nearest_name;
use crate::text::escape;
use clap::{Arg, ArgMatches};
use gob_client::protocol::request::{HandOver, WorkerData};
use gob_client::{Owner, Request, requests};

pub(crate) const VERB: Verb = Verb {
    name: "hand-over",
    aliases: &[],
    group: WORKERS,
    about: "Make somebody else a worker's owner",
    examples: "Examples:\n  gobctl hand-over demo desktop\n  gobctl hand-over demo cli --owner desktop\n",
    command: |command| {
        let to =
            Arg::new("to").value_name("OWNER").required(true).value_parser(|text: &str| Owner::new(text));
        command.arg(name_arg("NAME")).arg(to.help("The new owner"))
    },
    run,
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    let to = matches.get_one::<Owner>("to").cloned();
    let to = to.ok_or_else(|| Failure::usage("the new owner is missing".to_owned()))?;
    let request = Request::HandOver(HandOver { name: name.clone(), to: to.clone() });
    let mut client = context.connect("hand_over")?;
    let data = client
        .call(&request, context.timeout_of(&request))
        .map_err(|error| with_nearest_name(context, &mut client, &name, error.into()))?;
    if context.json {
        print_data(&data)?;
    } else if !context.quiet {
        let worker = requests::read::<WorkerData>("hand_over", &data)?.worker;
        let pid = worker.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
        out::print(&format!("handed {} over to {to}{pid}\n", escape(name.as_str())))?;
    }
    Ok(0)
}

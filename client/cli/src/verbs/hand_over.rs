//! `gobctl hand-over NAME OWNER`: changes the owner.

use super::{Effect, Verb, WORKERS};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::{do_with, name, name_arg};
use crate::failure::Failure;
use crate::render;
use crate::text::escape;
use clap::{Arg, ArgMatches};
use gob_client::Owner;
use gob_client::call::HandOver;

pub(crate) const VERB: Verb = Verb {
    path: &["hand-over"],
    group: WORKERS,
    effect: Effect::Changes,
    about: "Make somebody else a worker's owner",
    examples: "Examples:\n  gobctl hand-over demo desktop\n",
    command: |command| {
        let to =
            Arg::new("to").value_name("OWNER").required(true).value_parser(|text: &str| Owner::new(text));
        command.arg(name_arg("NAME")).arg(to.help("The new owner"))
    },
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    let to = matches.get_one::<Owner>("to").cloned();
    let to = to.ok_or_else(|| Failure::usage("the new owner is missing".to_owned()))?;
    let call = HandOver { name: name.clone(), to: to.clone() };
    do_with(context, &name, call, |worker| {
        format!("handed {} over to {to}{}", escape(name.as_str()), render::with_pid(worker))
    })?;
    Ok(0)
}

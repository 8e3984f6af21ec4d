//! `gobctl remove NAME…`: forgets workers that are down, their logs included.

use super::{Verb, WORKERS};
use crate::context::Context;
use crate::each::{each, names, names_arg, print_data};
use crate::failure::Failure;
use crate::out;
use crate::suggest::with_nearest_name;
use crate::text::escape;
use clap::ArgMatches;
use gob_client::Request;
use gob_client::protocol::request::ByName;

pub(crate) const VERB: Verb = Verb {
    name: "remove",
    aliases: &["rm"],
    group: WORKERS,
    about: "Forget a worker that is down, its logs included",
    examples: "Examples:\n  gobctl remove demo\n",
    command: |command| command.arg(names_arg("NAME")),
    run,
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let mut client = context.connect("remove")?;
    let mut sent = Vec::new();
    for name in names(matches) {
        let request = Request::Remove(ByName { name: name.clone() });
        sent.push((name, client.send(&request)?, context.deadline_of(&request)));
    }
    each(context, sent, |(name, id, deadline)| {
        let data = client
            .wait(id, deadline)
            .map_err(|error| with_nearest_name(context, &mut client, &name, error.into()))?;
        match (context.json, context.quiet) {
            (true, _) => print_data(&data),
            (_, true) => Ok(()),
            _ => out::print(&format!("removed {}\n", escape(name.as_str()))),
        }
    })
}

//! `gobctl remove NAME…`: forgets workers that are down, their logs included.

use super::{Effect, Verb, WORKERS};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::{each, names, names_arg};
use crate::failure::Failure;
use crate::suggest::with_remedy;
use crate::text::escape;
use clap::ArgMatches;
use gob_client::Name;
use gob_client::call::Remove;

pub(crate) const VERB: Verb = Verb {
    path: &["remove"],
    aliases: &["rm"],
    group: WORKERS,
    effect: Effect::Destroys,
    about: "Forget a worker that is down, its logs included",
    examples: "Examples:\n  gobctl remove demo\n",
    command: |command| command.arg(names_arg("NAME")),
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let mut client = context.connect("remove")?;
    let mut sent = Vec::new();
    for name in names(matches) {
        let remove = Remove { name: name.clone() };
        sent.push((name, client.send(remove)?));
    }
    let ask = |name: &Name, sent| {
        let reply = context.wait(&mut client, sent);
        reply.map_err(|error| with_remedy(&mut client, name, error.into()))
    };
    each(context, sent, ask, |name, _| {
        Ok(if context.quiet { String::new() } else { format!("removed {}\n", escape(name.as_str())) })
    })
}

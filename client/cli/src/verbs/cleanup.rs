//! `gobctl cleanup`: forgets the requester's workers that are down.

use super::shutdown::workers;
use super::{Effect, Verb, WORKERS};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::out;
use clap::ArgMatches;
use gob_client::call::{Call as _, Cleanup};
use gob_client::protocol::answer::RemovedData;

pub(crate) const VERB: Verb = Verb {
    path: &["cleanup"],
    group: WORKERS,
    effect: Effect::Destroys,
    about: "Forget all workers that are down",
    examples: "Examples:\n  gobctl cleanup\n",
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    let reply = context.call(&mut context.connect(Cleanup::TYPE)?, Cleanup)?;
    if context.json {
        print_data(reply.data())?;
    } else if !context.quiet {
        let RemovedData { removed } = reply.read()?;
        out::print(&format!("removed {}\n", workers(&removed)))?;
    }
    Ok(0)
}

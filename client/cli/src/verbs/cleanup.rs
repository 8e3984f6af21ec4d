//! `gobctl cleanup`: forgets all workers that are down and the requester's.

use super::shutdown::workers;
use super::{Verb, WORKERS};
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::out;
use clap::ArgMatches;
use gob_client::protocol::answer::RemovedData;
use gob_client::{Request, requests};

pub(crate) const VERB: Verb = Verb {
    name: "cleanup",
    aliases: &[],
    group: WORKERS,
    about: "Forget all workers that are down",
    examples: "Examples:\n  gobctl cleanup\n",
    command: |command| command,
    run,
};

fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    let request = Request::Cleanup;
    let data = context.connect("cleanup")?.call(&request, context.deadline_of(&request))?;
    if context.json {
        print_data(&data)?;
    } else if !context.quiet {
        let RemovedData { removed } = requests::read("cleanup", &data)?;
        out::print(&format!("removed {}\n", workers(&removed)))?;
    }
    Ok(0)
}

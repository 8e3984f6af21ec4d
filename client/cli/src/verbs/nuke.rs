//! `gobctl nuke`: ends everything and removes gob's own files.

use super::shutdown::{end, force_arg, nothing_runs, workers};
use super::{SUPERVISOR, Verb};
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::out;
use clap::ArgMatches;
use gob_client::protocol::answer::NukeData;
use gob_client::protocol::request::Force;
use gob_client::{Request, requests};

pub(crate) const VERB: Verb = Verb {
    name: "nuke",
    aliases: &[],
    group: SUPERVISOR,
    about: "End everything, remove logs and history; never data or configuration",
    examples: "Examples:\n  gobctl nuke\n  gobctl nuke --force\n",
    command: |command| command.arg(force_arg()),
    run,
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let force = matches.get_flag("force");
    let request = Request::Nuke(Force { force });
    let Some(data) = end(context, &request, "ending everything", force)? else {
        return nothing_runs(context, "{\"stopped\":[],\"removed\":[]}");
    };
    if context.json {
        print_data(&data)?;
    } else if !context.quiet {
        let NukeData { stopped, removed } = requests::read("nuke", &data)?;
        let text = format!(
            "stopped {}, removed {}; the supervisor has exited\n",
            workers(&stopped),
            workers(&removed)
        );
        out::print(&text)?;
    }
    Ok(0)
}

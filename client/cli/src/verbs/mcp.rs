//! `gobctl mcp`: the Model Context Protocol over standard input and output, for agents.

use super::{AGENTS, Effect, Timeout, Verb, brief, who};
use crate::afar::{Afar, Input};
use crate::context::Context;
use crate::environment::environment;
use crate::failure::Failure;
use clap::ArgMatches;
use gob_client::Name;
use gob_mcp::{Host, Refusal, Setup};
use std::sync::Arc;

/// The owner of agents (PROTOCOL 4).
const OWNER: &str = "agent";
/// The call to make after a failure of gobctl's own.
const NEXT: &str = "call status for the state of the supervisor, and tell the user";

pub(crate) const VERB: Verb = Verb {
    path: &["mcp"],
    group: AGENTS,
    effect: Effect::Changes,
    about: "Serve agents over standard input and output (Model Context Protocol)",
    examples: "Examples:\n  gobctl mcp\n  claude mcp add gob -- gobctl mcp\n\nFor Claude Code, Cursor, VS Code, Zed and others; docs/AGENTS.md has the settings of each. It speaks for the owner agent, so that an agent can use and read every worker, and stop its own alone; --owner and GOB_OWNER name another one. It ends with its input; what it started goes on.\n",
    timeout: Timeout {
        text: "How long the supervisor may take for each answer; else 10s, and as long as the work of start, stop and add takes",
        is_of_readiness: false,
        takes_zero: false,
    },
    owner: Some(OWNER),
    afar: Afar::There(Input::Stream),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    let cwd = std::env::current_dir().map_err(|error| {
        Failure::own("no-cwd", 1, "cannot read the working directory".to_owned()).cause(error.to_string())
    })?;
    let setup = Setup {
        connector: context.connector()?,
        owner: context.owner.clone(),
        env: environment(context),
        cwd,
        timeout: context.timeout,
        host: Arc::new(Gobctl { context: Context { json: false, ..context.clone() } }),
    };
    let served = gob_mcp::serve(setup);
    served
        .map(|()| 0)
        .map_err(|error| Failure::own("internal", 1, "cannot serve".to_owned()).cause(error.to_string()))
}

/// The verbs that tools share.
struct Gobctl {
    context: Context,
}

impl Host for Gobctl {
    fn brief(&self, since: Option<&str>) -> Result<String, Refusal> {
        brief::for_agent(&self.context, since).map_err(refusal)
    }

    fn who(&self, graph: &Name) -> Result<String, Refusal> {
        who::for_agent(&self.context, graph).map_err(refusal)
    }
}

/// Returns a failure as agents are told of it: its hint names a tool and not a command.
fn refusal(failure: Failure) -> Refusal {
    match failure {
        Failure::Client(error) => Refusal::from(error),
        Failure::Own { code: "usage", message, .. } => Refusal::argument(
            message,
            "call the tool again with it corrected; brief without since has a cursor",
        ),
        Failure::Own { code, message, cause, .. } => Refusal::new(code, message, NEXT).cause(cause),
        Failure::Help(_) | Failure::Closed => Refusal::new("internal", "the answer has no text", NEXT),
    }
}

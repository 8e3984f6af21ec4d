//! `gobctl daemon restart`: ends all workers and the supervisor, then starts the installed one.

use super::forced_by;
use super::start::start;
use crate::context::Context;
use crate::failure::Failure;
use crate::verbs::shutdown::{end, force_arg, workers};
use crate::verbs::{Effect, Verb, timeout};
use clap::ArgMatches;
use gob_client::call::Shutdown;

pub(crate) const VERB: Verb = Verb {
    path: &["daemon", "restart"],
    effect: Effect::Destroys,
    about: "End all workers and it, then start it",
    examples: "Examples:\n  gobctl daemon restart\n  gobctl daemon restart --force\n",
    timeout: timeout::UNTIL_ENDED,
    command: |command| command.arg(force_arg()),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let force = matches.get_flag("force");
    let ended = end(context, Shutdown { force }, "stopping all workers", force)
        .map_err(|failure| forced_by(failure, "gobctl daemon restart"))?;
    let ended = ended.map(|reply| reply.read()).transpose()?;
    let stopped = ended.map(|data| data.stopped).filter(|stopped| !stopped.is_empty());
    let stopped = stopped.map(|names| format!("; stopped {}", workers(&names)));
    start(context, "restarted", &stopped.unwrap_or_default())
}

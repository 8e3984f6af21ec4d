//! `gobctl daemon stop`: ends all workers, then the supervisor.

use super::forced_by;
use crate::context::Context;
use crate::failure::Failure;
use crate::verbs::shutdown::{force_arg, shut_down};
use crate::verbs::{Effect, Verb, timeout};
use clap::ArgMatches;

pub(crate) const VERB: Verb = Verb {
    path: &["daemon", "stop"],
    effect: Effect::Destroys,
    about: "End all workers, then it; logs and history stay",
    examples: "Examples:\n  gobctl daemon stop\n  gobctl daemon stop --force\n",
    timeout: timeout::UNTIL_ENDED,
    command: |command| command.arg(force_arg()),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    shut_down(context, matches.get_flag("force")).map_err(|failure| forced_by(failure, "gobctl daemon stop"))
}

//! `gobctl daemon logs`: the supervisor's own log.

use crate::context::Context;
use crate::daemon_log;
use crate::failure::Failure;
use crate::text::parse_number;
use crate::verbs::{Effect, Verb, timeout};
use clap::{Arg, ArgAction, ArgMatches};

pub(crate) const VERB: Verb = Verb {
    path: &["daemon", "logs"],
    effect: Effect::Reads,
    about: "Its own log",
    examples: "Examples:\n  gobctl daemon logs -n 50\n  gobctl daemon logs -f\n",
    timeout: timeout::STREAM,
    command: |command| {
        let follow = Arg::new("follow").short('f').long("follow").action(ArgAction::SetTrue);
        let lines = Arg::new("lines").short('n').long("lines").value_name("LINES");
        command
            .arg(follow.help("Go on with what comes"))
            .arg(lines.value_parser(parse_number::<usize>).help("The last lines only"))
    },
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let lines = matches.get_one::<usize>("lines").copied();
    daemon_log::show(context, lines, matches.get_flag("follow"))
}

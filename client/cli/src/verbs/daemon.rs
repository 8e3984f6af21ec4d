//! `gobctl daemon start|stop|restart|status|logs`: the supervisor itself.

use super::shutdown::{end, force_arg, shut_down, workers};
use super::{SUPERVISOR, Verb};
use crate::context::Context;
use crate::daemon_log;
use crate::failure::Failure;
use crate::out;
use crate::text::{parse_number, took};
use clap::{Arg, ArgAction, ArgMatches, Command};
use gob_client::Error;
use gob_client::call::Shutdown;
use gob_client::protocol::ErrorCode;
use gob_client::protocol::answer::ServerInfo;
use serde_json::json;
use std::time::Instant;

pub(crate) const VERB: Verb = Verb {
    name: "daemon",
    aliases: &[],
    group: SUPERVISOR,
    about: "Start, stop or look at the supervisor itself",
    examples: "Examples:\n  gobctl daemon status\n  gobctl daemon restart\n  gobctl daemon logs -f\n",
    command: |command| {
        let sub = |name: &'static str, about: &'static str| Command::new(name).about(about);
        let follow = Arg::new("follow")
            .short('f')
            .long("follow")
            .action(ArgAction::SetTrue)
            .help("Go on with what comes");
        let lines = Arg::new("lines")
            .short('n')
            .long("lines")
            .value_name("LINES")
            .value_parser(parse_number::<usize>);
        command
            .subcommand_required(true)
            .subcommand(sub("start", "Start it, unless it runs"))
            .subcommand(sub("stop", "End all workers, then it; logs and history stay").arg(force_arg()))
            .subcommand(sub("restart", "End all workers and it, then start it").arg(force_arg()))
            .subcommand(sub("status", "Its health"))
            .subcommand(sub("logs", "Its own log").arg(follow).arg(lines.help("The last lines only")))
    },
    run,
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    match matches.subcommand() {
        Some(("start", _)) => start(context, "started", ""),
        Some(("stop", matches)) => shut_down(context, matches.get_flag("force"))
            .map_err(|failure| forced_by(failure, "gobctl daemon stop")),
        Some(("restart", matches)) => {
            let force = matches.get_flag("force");
            let ended = end(context, Shutdown { force }, "stopping all workers", force)
                .map_err(|failure| forced_by(failure, "gobctl daemon restart"))?;
            let ended = ended.map(|reply| reply.read()).transpose()?;
            let stopped = ended.map(|data| data.stopped).filter(|stopped| !stopped.is_empty());
            let stopped = stopped.map(|names| format!("; stopped {}", workers(&names)));
            start(context, "restarted", &stopped.unwrap_or_default())
        }
        Some(("logs", matches)) => {
            let lines = matches.get_one::<usize>("lines").copied();
            daemon_log::show(context, lines, matches.get_flag("follow"))
        }
        _ => super::status::supervisor(&context.without_autostart()),
    }
}

/// The supervisor knows only the request, not the words on the command line.
fn forced_by(failure: Failure, words: &str) -> Failure {
    let Failure::Client(Error::Refused(mut error)) = failure else { return failure };
    if error.code == ErrorCode::ServerOwnedByOther {
        error.hint = Some(format!("end them too: {words} --force"));
    }
    Failure::Client(Error::Refused(error))
}

fn start(context: &Context, done: &str, besides: &str) -> Result<u8, Failure> {
    // With `daemon start --no-autostart` the verb wins.
    let context = Context { autostart: true, ..context.clone() };
    if let Ok(client) = context.without_autostart().connect("hello") {
        return tell(&context, client.server(), "is already running", "");
    }
    let begun = Instant::now();
    let client = context.connect("hello")?;
    let took = format!(" in {}{besides}", took(begun.elapsed()));
    tell(&context, client.server(), done, &took)
}

fn tell(context: &Context, server: &ServerInfo, what: &str, took: &str) -> Result<u8, Failure> {
    if context.json {
        out::print(&format!("{}\n", json!({"server": server})))?;
    } else if !context.quiet {
        let text = match what {
            "is already running" => format!("the supervisor {what} (pid {})\n", server.pid),
            _ => format!("{what} the supervisor (pid {}){took}\n", server.pid),
        };
        out::print(&text)?;
    }
    Ok(0)
}

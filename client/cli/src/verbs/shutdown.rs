//! `gobctl shutdown`: ends every worker and the supervisor; logs and history stay.

use super::{Effect, SUPERVISOR, Verb, timeout};
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::goes_on::GoesOn;
use crate::out;
use crate::places::check_ours;
use crate::progress::Progress;
use crate::text::{escape, list};
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::blocking::Client;
use gob_client::call::{Call, Reply, Shutdown};
use gob_client::holder::Stopped;
use gob_client::protocol::answer::ShutdownData;
use gob_client::{Error, Name};

/// Exit code where no supervisor can be reached.
const UNREACHABLE: u8 = 7;

pub(crate) const VERB: Verb = Verb {
    path: &["shutdown"],
    group: SUPERVISOR,
    effect: Effect::Destroys,
    about: "End all workers and the supervisor, keep logs and history",
    examples: "Examples:\n  gobctl shutdown\n  gobctl shutdown --force\n",
    command: |command| command.arg(force_arg()),
    timeout: timeout::UNTIL_ENDED,
    run: Some(run),
    ..Verb::ROW
};

/// The argument `--force`.
pub(super) fn force_arg() -> Arg {
    let help = "Also when workers of other owners are up, or the supervisor is of another state directory";
    Arg::new("force").long("force").action(ArgAction::SetTrue).help(help)
}

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    shut_down(context, matches.get_flag("force"))
}

/// Ends the running supervisor, if there is one.
pub(super) fn shut_down(context: &Context, force: bool) -> Result<u8, Failure> {
    let reply = end(context, Shutdown { force }, "stopping all workers", force)?;
    let Some(reply) = reply else { return nothing_runs(context, "{\"stopped\":[]}") };
    if context.json {
        print_data(reply.data())?;
    } else if !context.quiet {
        let ShutdownData { stopped } = reply.read()?;
        out::print(&format!("stopped {}; the supervisor has exited\n", workers(&stopped)))?;
    }
    Ok(0)
}

/// Reports that nothing runs, which is the requested state.
pub(super) fn nothing_runs(context: &Context, json: &str) -> Result<u8, Failure> {
    if context.json {
        out::print(&format!("{json}\n"))?;
    } else if !context.quiet {
        out::print("no supervisor is running\n")?;
    }
    Ok(0)
}

/// Sends a request after which the supervisor exits, and waits for its exit, so that the next command begins
/// afresh. `None` when none runs.
pub(super) fn end<C: Call>(
    context: &Context,
    call: C,
    what: &'static str,
    force: bool,
) -> Result<Option<Reply<C>>, Failure> {
    let context = context.without_autostart();
    let mut client = match context.connect(C::TYPE) {
        Ok(client) => client,
        Err(Failure::Client(Error::Nobody { .. })) => return stopped_holder(&context).map_or(Ok(None), Err),
        Err(failure) => return Err(failure),
    };
    if !force {
        check_ours(&context.dirs()?, client.server(), C::TYPE)?;
    }
    let sent = client.send(call)?;
    let goes_on = GoesOn::of_all(&context, what);
    let mut progress = Progress::new(&context, what.to_owned());
    let reply = context.wait_showing(&mut client, sent, &mut progress);
    drop(goes_on);
    let reply = reply?;
    if !client.wait_for_end(context.timeout.unwrap_or(Client::TIMEOUT))? {
        context.note("the supervisor has answered and is still on its way out");
    }
    Ok(Some(reply))
}

/// Returns the failure when the socket has no listener and the holder of the lock is stopped: it, and its
/// workers, go on once it is continued.
fn stopped_holder(context: &Context) -> Option<Failure> {
    let stopped = Stopped::find(&context.dirs().ok()?)?;
    let message = format!("no supervisor answers: {stopped}");
    let failure = Failure::own("supervisor-unreachable", UNREACHABLE, message);
    Some(failure.hint(format!("{}; then again", stopped.hint())))
}

/// Returns `2 workers (demo, work)`, with the first names of many.
pub(super) fn workers(names: &[Name]) -> String {
    let listed: Vec<String> = names.iter().map(|name| escape(name.as_str())).collect();
    match listed.as_slice() {
        [] => "no workers".to_owned(),
        [one] => format!("1 worker ({one})"),
        many => format!("{} workers ({})", many.len(), list(many)),
    }
}

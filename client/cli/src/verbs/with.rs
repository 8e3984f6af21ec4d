//! `gobctl with GRAPH… -- CMD…`: ensures workers, holds them while CMD runs, releases them.

use super::{Effect, Verb, WORKERS, timeout};
use crate::afar::Afar;
use crate::afar::forward::{Forward, Forwarded};
use crate::command::{Beside, Blocked, GOB_FAILED, run_blocked};
use crate::context::{Context, not_ready};
use crate::each::names_arg;
use crate::environment::environment;
use crate::failure::Failure;
use crate::goes_on::GoesOn;
use crate::holding::{hold_again, said_of};
use crate::progress::Progress;
use crate::stream::lost_way;
use crate::verbs::start::millis;
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::blocking::Client;
use gob_client::call::{Get, Start, Stop, Subscribe};
use gob_client::protocol::answer::{Outcome, StartData};
use gob_client::protocol::event::{Event, EventKind};
use gob_client::{Error, Name};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

pub(crate) const VERB: Verb = Verb {
    path: &["with"],
    group: WORKERS,
    effect: Effect::Changes,
    about: "Run a command while workers are held for it",
    examples: "Examples:\n  gobctl with demo -- sh -c 'echo $GOB_ENDPOINT'\n  gobctl with a b -- make test\n  gobctl with ci --stop -- make test\n",
    command: |command| {
        command.arg(names_arg("GRAPH")).arg(
            Arg::new("command")
                .value_name("CMD")
                .required(true)
                .last(true)
                .num_args(1..)
                .value_parser(clap::value_parser!(OsString))
                .help(
                    "Gets GOB_ENDPOINT, of the first graph, and GOB_ENDPOINT_<GRAPH> for each: in upper case, and _ \
                     for what is no ASCII letter or digit, so GOB_ENDPOINT_FOO_BAR for foo/bar",
                ),
        )
        .arg(Arg::new("stop").long("stop").action(ArgAction::SetTrue).help(
            "Afterwards stop what this has started, unless it is another owner's by then or others hold it",
        ))
    },
    timeout: timeout::UNTIL_READY,
    passes_signals: true,
    dashes: Some("-- stands between the graphs and the command: gobctl with GRAPH… -- CMD"),
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

/// Time to wait for the rest of an event that has come in part.
const AT_ONCE: Duration = Duration::from_millis(10);

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let command: Vec<OsString> = matches.get_many("command").into_iter().flatten().cloned().collect();
    let names = crate::each::names(matches);
    one_variable_each(&names)?;
    let mut held = Held::default();
    let holding = hold(context, names, &mut held).and_then(|()| {
        let blocked = Blocked::begin()?;
        Ok((forward(context, &blocked, &mut held.variables)?, blocked))
    });
    let code = match holding {
        Ok((Forwarded::Interrupted(code), _)) => Ok(code),
        Ok((forwarded, blocked)) => {
            let Held { client, variables, names, .. } = &mut held;
            let connection = client.as_ref().and_then(|client| client.as_fd().try_clone_to_owned().ok());
            let mut read = || client.as_mut().is_some_and(|client| tell(context, client, names));
            let beside = connection
                .as_ref()
                .map(|connection| Beside { connection: connection.as_fd(), read: &mut read });
            let code = run_blocked(&blocked, &command, variables, beside, Vec::new());
            // Before a signal can end this program.
            drop(forwarded);
            drop(blocked);
            code
        }
        Err(Failure::Help(text)) => return Err(Failure::Help(text)),
        Err(failure) => {
            // The command's codes are its own; a failure of gob before it ran has one code.
            failure.report(context.telling());
            Ok(GOB_FAILED)
        }
    };
    if let Some(client) = held.client.as_mut().filter(|_| matches.get_flag("stop")) {
        for name in &held.started {
            if let Err(failure) = end(context, client, name) {
                failure.report(context.telling());
            }
        }
    }
    code
}

/// Forwards the endpoints of another machine to addresses here.
fn forward(
    context: &Context,
    blocked: &Blocked,
    variables: &mut [(String, String)],
) -> Result<Forwarded, Failure> {
    let Some(host) = &context.host else { return Ok(Forwarded::Nothing) };
    Forward::open((context, blocked), &host.ssh, variables)
}

/// Tells what has become of the held workers, as far as that has come; false once the supervisor is gone.
fn tell(context: &Context, client: &mut Client, names: &[Name]) -> bool {
    while let Ok(Some(line)) = client.next_event(Some(Instant::now() + AT_ONCE)) {
        let event = serde_json::from_str::<Event>(&line).ok();
        let text = event.and_then(|event| said_of(event.event, event.worker.as_ref()?));
        text.into_iter().for_each(|text| context.note(&text));
    }
    if !client.has_ended() {
        return true;
    }
    let all = names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
    context.note(&match client.lost_way() {
        Some(address) => format!(
            "{}; the command goes on, and the leases of {all} are taken again once it is there",
            lost_way(address)
        ),
        None => format!(
            "the supervisor has gone, and with it the workers of {all}; the command goes on, and the leases are taken \
             again once there is another one"
        ),
    });
    hold_again(context, "with", names.to_vec());
    false
}

/// The fates of a held worker that its command has to know of.
const FATES: [EventKind; 6] = [
    EventKind::WorkerReady,
    EventKind::WorkerStopped,
    EventKind::WorkerCeded,
    EventKind::WorkerBackoff,
    EventKind::WorkerFailed,
    EventKind::WorkerRemoved,
];

/// The held workers while the command runs. The leases are the connection's: they end with it, however this
/// program ends.
#[derive(Debug, Default)]
struct Held {
    client: Option<Client>,
    variables: Vec<(String, String)>,
    /// All held workers.
    names: Vec<Name>,
    /// The workers that this call has started, in order.
    started: Vec<Name>,
}

/// Starts all workers with a lease and prints their endpoints.
fn hold(context: &Context, names: Vec<Name>, held: &mut Held) -> Result<(), Failure> {
    // The supervisor of another machine gives its own environment, and not that of this program.
    let env = context.host.is_none().then(|| environment(context));
    let client = held.client.insert(context.connect("start")?);
    let mut sent = Vec::new();
    for name in &names {
        let start = Start {
            name: Some(name.clone()),
            env: env.clone(),
            timeout_ms: context.timeout.map(millis),
            lease: true,
            ..Start::default()
        };
        sent.push((name.clone(), client.send(start)?));
    }
    let goes_on = GoesOn::of(context, "starting", names);
    let mut failed = None;
    // All answers are awaited, even after a failure: `--stop` ends the workers that came up.
    for (name, sent) in sent {
        let mut progress = Progress::new(context, format!("starting {name}"));
        let reply = context.wait_showing(client, sent, &mut progress);
        goes_on.done(&name);
        let reply = match reply.map_err(|error| not_ready(&name, error)) {
            Ok(reply) => reply,
            Err(failure) => {
                failed.get_or_insert(failure);
                continue;
            }
        };
        let StartData { worker, outcome, .. } = reply.read()?;
        held.names.push(worker.name.clone());
        if outcome == Outcome::Started {
            held.started.push(worker.name.clone());
        }
        let endpoint: String = worker.endpoint.as_deref().unwrap_or_default().into();
        if held.variables.is_empty() {
            held.variables.push(("GOB_ENDPOINT".to_owned(), endpoint.clone()));
        }
        held.variables.push((variable(&name), endpoint));
    }
    if let Some(failure) = failed {
        return Err(failure);
    }
    let (names, events) = (Some(held.names.clone()), Some(FATES.to_vec()));
    // A supervisor that goes away meanwhile is told of beside the command, which has its workers' endpoints.
    client.subscribe(Subscribe { names, events, snapshot: false, ..Subscribe::default() }).ok();
    Ok(())
}

/// Stops a worker that this call has started, if it still is its owner's and has no other user.
fn end(context: &Context, client: &mut Client, name: &Name) -> Result<(), Failure> {
    let worker = match client.ask(Get { name: name.clone() }) {
        Ok(data) => data.worker,
        // The workers, and their leases, have ended with the supervisor.
        Err(Error::Lost { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !worker.state.is_live() {
        return Ok(());
    }
    if !worker.owned || worker.leases > 1 {
        let why = if worker.owned {
            format!("others hold it, leases: {}", worker.leases - 1)
        } else {
            format!("it is owned by {}", worker.owner)
        };
        context.note(&format!("{name} goes on: {why}"));
        return Ok(());
    }
    let sent = client.send(Stop { name: name.clone(), force: false, grace_ms: None })?;
    let goes_on = GoesOn::of(context, "stopping", vec![name.clone()]);
    let mut progress = Progress::new(context, format!("stopping {name}"));
    let stopped = client.wait_ticking(sent, sent.deadline(), Progress::EVERY, &mut |waited| {
        progress.show(waited);
    });
    progress.clear();
    drop(goes_on);
    stopped?;
    Ok(())
}

/// Refuses names whose variables would be equal.
fn one_variable_each(names: &[Name]) -> Result<(), Failure> {
    for (at, name) in names.iter().enumerate() {
        let taken = variable(name);
        if let Some(other) = names.iter().take(at).find(|other| variable(other) == taken) {
            let message = format!("{other} and {name} would both be {taken}");
            let hint =
                format!("hold one of them here, and ask for the other: gobctl get {}", name.as_argument());
            return Err(Failure::usage(message).hint(hint));
        }
    }
    Ok(())
}

/// Returns `GOB_ENDPOINT_FOO_BAR` for `foo/bar`.
fn variable(name: &Name) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("GOB_ENDPOINT_{}", name.as_str().chars().map(upper).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named_as_a_shell_takes_them() {
        assert_eq!(variable(&Name::any("foo/bär-2").unwrap()), "GOB_ENDPOINT_FOO_B_R_2");
    }

    #[test]
    fn names_whose_variables_are_one_are_both_named() {
        let names = |names: &[&str]| names.iter().map(|name| Name::any(name).unwrap()).collect::<Vec<_>>();
        assert!(one_variable_each(&names(&["a", "b", "a-c"])).is_ok());
        for both in [["a-b", "a_b"], ["x2", "X2"], ["日本", "中国"]] {
            let failure = one_variable_each(&names(&both)).unwrap_err();
            assert_eq!(failure.exit_code(), 2);
            let text = format!("{failure:?}");
            assert!(both.iter().all(|name| text.contains(name)), "{text}");
        }
    }
}

//! `gobctl wait NAME…`: waits until workers have ended, and exits with the first code that is not 0.

use super::{Effect, JOBS, Verb, timeout};
use crate::awaiting::{Awaited, Awaiting, Way};
use crate::command::GOB_FAILED;
use crate::context::Context;
use crate::each::{names, names_arg};
use crate::ending::{code_of, summary};
use crate::exit;
use crate::failure::Failure;
use crate::out;
use crate::signals::Signals;
use crate::stream::End;
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::protocol::ErrorCode;
use gob_client::{Name, View};
use nix::sys::signal::Signal;
use serde::Serialize;
use serde_json::Value;

pub(crate) const VERB: Verb = Verb {
    path: &["wait"],
    aliases: &["await"],
    group: JOBS,
    effect: Effect::Reads,
    about: "Wait until workers have ended, and exit with their code",
    examples: "Examples:\n  gobctl wait j1\n  gobctl wait --stream build\n  gobctl wait j1 j2 j3 --timeout 10m\n  gobctl add --name build make && gobctl wait build\n",
    command: |command| command.arg(names_arg("NAME")).arg(stream_arg()),
    timeout: timeout::END_OF_JOB,
    run: Some(run),
    ..Verb::ROW
};

/// The argument `--stream`.
pub(super) fn stream_arg() -> Arg {
    Arg::new("stream").long("stream").action(ArgAction::SetTrue).help("Show the output as it comes")
}

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let names = names(matches);
    let way = Way { streams: matches.get_flag("stream"), stops: false };
    let end = End::of(context.timeout);
    let awaited = context.connect("wait").and_then(|client| {
        let signals = Signals::of(&[Signal::SIGINT])?;
        Awaiting::new(context, way, (client, signals), &names, end)?.wait()
    });
    match awaited {
        Ok(Awaited::Left(code)) => Ok(code),
        Ok(Awaited::Ended(views)) => tell_all(context, &views),
        Err(failure) => fail(context, failure),
    }
}

/// Prints a failure of gob's own, whose exit codes are not a command's.
pub(super) fn fail(context: &Context, failure: Failure) -> Result<u8, Failure> {
    if matches!(failure, Failure::Closed | Failure::Help(_)) {
        return Err(failure);
    }
    // No job began, and the codes say why.
    let has_own_code = matches!(
        failure.wire_code(),
        Some(ErrorCode::ServerNotFound | ErrorCode::JobNotFound | ErrorCode::Blocked)
    );
    Ok(match failure.report(context.telling()) {
        code if has_own_code => code,
        code @ (exit::USAGE | exit::TIMED_OUT) => code,
        _ => GOB_FAILED,
    })
}

/// Prints how each worker has ended, and returns the first code that is not 0.
fn tell_all(context: &Context, views: &[View]) -> Result<u8, Failure> {
    let mut first = 0;
    let mut results = Vec::new();
    for worker in views {
        let (exit_code, error) = tell(context, worker, views.len() > 1);
        first = if first == 0 { exit_code } else { first };
        let data = error.is_none().then_some(Ended { worker, exit_code });
        results.push(Of { name: &worker.name, data, error });
    }
    match results.as_slice() {
        _ if !context.json => {}
        [Of { data, .. }] => data.as_ref().map_or(Ok(()), Ended::print)?,
        _ => {
            let text = serde_json::to_string(&Results { results }).unwrap_or_default();
            out::print(&format!("{text}\n"))?;
        }
    }
    Ok(first)
}

/// The end of a worker's latest run, for programs.
#[derive(Serialize)]
pub(super) struct Ended<'a> {
    pub(super) worker: &'a View,
    pub(super) exit_code: u8,
}

impl Ended<'_> {
    pub(super) fn print(&self) -> Result<(), Failure> {
        out::print(&format!("{}\n", serde_json::to_string(self).unwrap_or_default()))
    }
}

/// The results of several names.
#[derive(Serialize)]
struct Results<'a> {
    results: Vec<Of<'a>>,
}

/// The result of one name: data or an error.
#[derive(Serialize)]
struct Of<'a> {
    name: &'a Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Ended<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
}

/// Prints on standard error how a worker has ended; returns its exit code, or also the reason why that is not known.
pub(super) fn tell(context: &Context, view: &View, gathers: bool) -> (u8, Option<Value>) {
    match code_of(view) {
        Ok(code) => {
            if !context.json {
                summary(view).iter().for_each(|text| context.note(text));
            }
            (code, None)
        }
        Err(failure) if context.json && gathers => {
            (failure.exit_code(), Some(failure.error_json(Some(&view.name))))
        }
        Err(failure) => {
            let error = failure.error_json(Some(&view.name));
            (failure.report_of(context.telling(), Some(&view.name)), Some(error))
        }
    }
}

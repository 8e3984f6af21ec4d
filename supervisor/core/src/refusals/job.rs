//! Refusals about jobs: names that mean another worker already.

use crate::ban::Begins;
use crate::chronicle::NoAnswer;
use crate::spec::Job;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use gob_config::gobfile::{BadReadiness, GOBFILE};
use gob_config::kind::{MAX_RLIMIT, RLIMITS};
use gob_protocol::shell::word;
use gob_protocol::{ErrorCode, Name, State, WireError};
use serde_json::json;

/// Characters of a command that a message shows.
const SHOWN: usize = 200;

/// Returns a command as a shell takes it, as far as a message shows it.
fn line(command: &[String]) -> String {
    let words: Vec<_> = command.iter().map(|text| word(text)).collect();
    let mut line: String = words.join(" ").chars().take(SHOWN).collect();
    if line.chars().count() == SHOWN {
        line.push('…');
    }
    line
}

fn conflict(name: &Name, message: String, hint: String) -> Box<WireError> {
    let error = WireError::new(ErrorCode::GraphConflict, message).hint(hint);
    Box::new(error.details(json!({"worker": name.as_str()})))
}

/// The name is a graph's.
pub(crate) fn named_as_graph(name: &Name) -> Box<WireError> {
    let hint = String::from("choose another name with --name, or none for the next number");
    conflict(name, format!("{name} is the worker of a graph already"), hint)
}

/// The name is a job's.
pub(crate) fn named_as_job(name: &Name) -> Box<WireError> {
    let argument = name.as_argument();
    let hint = format!("run the job again: gobctl start {argument}; or give the graph a name: --name NAME");
    conflict(name, format!("{name} is a job, not a graph"), hint)
}

/// The readiness check of a request can't be used.
pub(crate) fn bad_readiness(bad: &BadReadiness) -> Box<WireError> {
    let error = WireError::new(ErrorCode::InvalidRequest, format!("the check can't be used: {bad}"));
    Box::new(error.details(json!({"field": "payload.readiness"})))
}

/// There is no such resource limit, or not of this value.
pub(crate) fn bad_limit(name: &str) -> Box<WireError> {
    let short: String = name.chars().take(SHOWN).collect();
    let message = format!(
        "the limit {short:?} can't be used: it has to be one of {} from 1 to {MAX_RLIMIT}",
        RLIMITS.join(", ")
    );
    Box::new(WireError::new(ErrorCode::InvalidRequest, message).details(json!({"field": "payload.rlimits"})))
}

/// The project file of the job's directory says that it must not run.
pub(crate) fn blocked(name: Option<&Name>, job: &Begins, reason: &str) -> Box<WireError> {
    let command = line(&job.command);
    let file = format!("{}/{GOBFILE}", job.cwd.trim_end_matches('/'));
    let hint = format!("{file} blocks it; what it blocks is for the owner of the project to change");
    let details = json!({
        "worker": name.map(Name::as_str), "command": &*job.command, "cwd": &*job.cwd, "path": file,
        "description": reason,
    });
    let error = WireError::new(ErrorCode::Blocked, format!("{command} is blocked: {reason}"));
    Box::new(error.hint(hint).details(details))
}

/// The same command in the same directory is a job of another name.
pub(crate) fn job_is_named(name: &Name, same: &Name) -> Box<WireError> {
    let argument = same.as_argument();
    let hint =
        format!("leave --name out to use {same}; or forget it once it is down: gobctl remove {argument}");
    let message = format!("this command in this directory is the job {same} already, not {name}");
    conflict(same, message, hint)
}

/// The job of this name is up, and is another one: its command or its directory is not the wanted one.
pub(crate) fn job_lives(
    name: &Name,
    state: State,
    its: &Job,
    (wanted, wanted_cwd): (&[String], &str),
) -> Box<WireError> {
    let argument = name.as_argument();
    let hint = format!("stop it first: gobctl stop {argument}; or choose another name");
    let (command, cwd) = (line(&its.command), &its.cwd);
    let message = match (*its.command == *wanted, **cwd == *wanted_cwd) {
        (true, _) => format!("{name} runs this command in another directory ({state}): {cwd}"),
        (false, true) => format!("{name} runs another command ({state}): {command}"),
        (false, false) => format!("{name} runs another command in {cwd} ({state}): {command}"),
    };
    let details = json!({"worker": name.as_str(), "command": &*its.command, "cwd": &**cwd});
    let error = WireError::new(ErrorCode::GraphConflict, message);
    Box::new(error.hint(hint).details(details))
}

/// The run has not ended.
pub(crate) fn run_lives(name: &Name, run: u64) -> Box<WireError> {
    let message = format!("run {run} of {name} has not ended");
    let hint = format!("stop it first: gobctl stop {}", name.as_argument());
    let details = json!({"worker": name.as_str(), "run": run});
    Box::new(WireError::new(ErrorCode::ServerRunning, message).hint(hint).details(details))
}

/// The history has no such run.
pub(crate) fn no_such_run(name: &Name, run: u64) -> Box<WireError> {
    let message = format!("there is no run {run} of {name} in the history");
    let hint = format!("see what there is: gobctl runs {}", name.as_argument());
    let details = json!({"worker": name.as_str(), "run": run});
    Box::new(WireError::new(ErrorCode::ServerNotFound, message).hint(hint).details(details))
}

/// The history can't be asked now.
pub(crate) fn no_history(why: &NoAnswer) -> Box<WireError> {
    let busy = |message: &str| {
        let error = WireError::new(ErrorCode::Busy, String::from(message));
        error.hint("try again; gobctl status says how the history is").details(json!({"limit": "history"}))
    };
    Box::new(match why {
        NoAnswer::Full => busy("too many requests wait for the history"),
        NoAnswer::Silent => busy("the disk of the history does not answer"),
        NoAnswer::Away(why) => return super::queue::shared_away(why),
        NoAnswer::Failed(why) => WireError::new(ErrorCode::Internal, format!("the history: {why}"))
            .hint("gobctl status says how the history is; workers go on without it"),
    })
}

/// Numbers are given by gob.
pub(crate) fn job_number(name: &Name) -> Box<WireError> {
    let message = format!("there is no job {name}, and gob itself gives such names");
    let error = WireError::new(ErrorCode::InvalidName, message);
    let details = json!({"field": "payload.name", "position": 0});
    Box::new(error.hint("choose a name that is not j and a number, or none").details(details))
}

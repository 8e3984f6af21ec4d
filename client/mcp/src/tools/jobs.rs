//! Tools that run commands: `add`, `run`, `wait`.

use super::control::{reached, worker_name};
use super::logs::{BYTES, MAX_BYTES, MAX_TAIL};
use crate::call::{Answer, Call, Done};
use crate::ending::{Waited, wait as until_ended};
use crate::output::{Output, Wanted, directory, read_of};
use crate::refusal::Refusal;
use crate::words::{data, gained};
use gob_client::call;
use gob_client::protocol::ErrorCode;
use gob_client::protocol::answer::{Outcome, StartData};
use gob_client::protocol::request::{RestartOn, Wait as WaitFor};
use gob_client::screen::said::{self, output_missing};
use gob_client::screen::text::name as shown;
use gob_client::screen::times::{short_duration, since};
use gob_client::{Error, Name, View};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Time that `run` and `wait` take without `timeout_ms`: less than clients wait for a tool.
const WAIT_MS: u64 = 30_000;
/// Lines of output that come with an end.
const TAIL: usize = 40;

/// When a job runs again by itself.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum RestartWord {
    Never,
    OnFailure,
    Always,
}

impl From<RestartWord> for RestartOn {
    fn from(word: RestartWord) -> Self {
        match word {
            RestartWord::Never => Self::Never,
            RestartWord::OnFailure => Self::OnFailure,
            RestartWord::Always => Self::Always,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    /// The program and its arguments, such as ["npm", "run", "dev"]; no shell reads them, ["sh", "-c", "…"] is one.
    #[schemars(length(min = 1, max = 4096))]
    command: Vec<String>,
    /// The directory to run in; absolute, or from that of this server, which it is without it.
    #[schemars(length(min = 1, max = 4095))]
    cwd: Option<String>,
    /// Variables that are added to the environment of this server for the job.
    env: Option<BTreeMap<String, String>>,
    /// The job's name; j1, j2 and so on without it.
    #[schemars(length(min = 1, max = 64))]
    name: Option<String>,
    /// The purpose, in a line.
    #[schemars(length(min = 1, max = 1024))]
    description: Option<String>,
    /// When to run it again after it ended by itself; never without it.
    restart: Option<RestartWord>,
    /// How it is known to be ready, for which add then waits: {"type":"log","pattern":"listening"}, {"type":"http","path":"/","port":8000},
    /// {"type":"connect","address":"127.0.0.1:5432"}, or "notify". Without it, add returns when the process exists.
    readiness: Option<Value>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    /// The program and its arguments, such as ["cargo", "test"]; no shell reads them, ["sh", "-c", "…"] is one.
    #[schemars(length(min = 1, max = 4096))]
    command: Vec<String>,
    /// The directory to run in; absolute, or from that of this server, which it is without it.
    #[schemars(length(min = 1, max = 4095))]
    cwd: Option<String>,
    /// Variables that are added to the environment of this server for the job.
    env: Option<BTreeMap<String, String>>,
    /// The job's name; j1, j2 and so on without it.
    #[schemars(length(min = 1, max = 64))]
    name: Option<String>,
    /// The purpose, in a line.
    #[schemars(length(min = 1, max = 1024))]
    description: Option<String>,
    /// How long to wait for its end, in milliseconds: 30000 without it, 600000 at most. Afterwards the job goes on.
    #[schemars(range(min = 1, max = 600_000))]
    timeout_ms: Option<u64>,
    /// The last lines of its output in the answer; 40 without it.
    #[schemars(range(min = 0, max = 1000))]
    tail: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    /// The worker.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// How long to wait, in milliseconds: 30000 without it, 600000 at most.
    #[schemars(range(min = 1, max = 600_000))]
    timeout_ms: Option<u64>,
    /// The last lines of its output in the answer; 40 without it.
    #[schemars(range(min = 0, max = 1000))]
    tail: Option<usize>,
}

/// Returns the request for a job.
fn request(
    call: &Call,
    command: Vec<String>,
    (cwd, env): (Option<String>, Option<BTreeMap<String, String>>),
    (name, description): (Option<String>, Option<String>),
) -> Result<call::Add, Refusal> {
    let job = |text: &String| {
        let hint =
            "choose a name of letters, digits, dots, dashes and underscores; call list for those that exist";
        Name::job(text)
            .map_err(|error| Refusal::new(ErrorCode::InvalidName.as_str(), error.to_string(), hint))
    };
    Ok(call::Add {
        command,
        cwd: call.directory("cwd", cwd.as_deref())?,
        env: Some(call.env(env.as_ref())?),
        name: name.as_ref().map(job).transpose()?,
        description,
        wait: Some(WaitFor::Spawned),
        ..call::Add::default()
    })
}

/// Runs a command. Returns also a line about a worker that became this owner's by it.
async fn begin(call: &Call, add: call::Add) -> Result<(StartData, String), Refusal> {
    let before = earlier(call, &add).await;
    let (name, program) = (add.name.clone(), add.command.first().cloned().unwrap_or_default());
    // Not sent twice: a job that had ended between would run again.
    let data = call.link().ask_once(add).await.map_err(|error| refused(error, name.as_ref(), &program))?;
    let gained = gained(before.as_ref(), &data.worker, &call.shared.owner);
    Ok((data, gained))
}

/// Returns the job that a request means, as it is before it.
async fn earlier(call: &Call, add: &call::Add) -> Option<View> {
    if let Some(name) = &add.name {
        return call.link().ask(call::Get { name: name.clone() }).await.ok().map(|data| data.worker);
    }
    let here = call::List { cwd: Some(add.cwd.clone()), ..call::List::default() };
    let found = call.link().ask(here).await.ok()?;
    found.workers.into_iter().find(|worker| *worker.command == *add.command)
}

/// Returns the refusal of a command, with what to do about its name and its words.
fn refused(error: Error, name: Option<&Name>, program: &str) -> Refusal {
    let named = name.and_then(|name| conflict_hint(&error, name));
    let refusal = Refusal::from(error);
    if let Some(hint) = named {
        return refusal.hint(hint);
    }
    if !program.contains(char::is_whitespace) || refusal.code() != ErrorCode::ServerStartFailed.as_str() {
        return refusal;
    }
    refusal.hint("command is an array of the program and its arguments: call the tool again with [\"sh\", \"-c\", \"…\"] for a line of a shell")
}

/// Returns what to do where the name means another worker, or the command is that of one already.
fn conflict_hint(error: &Error, name: &Name) -> Option<String> {
    let Error::Refused(error) = error else { return None };
    let details = error.details.as_ref().filter(|_| error.code == ErrorCode::GraphConflict)?;
    let worker = details.get("worker")?.as_str()?;
    if worker != name.as_str() {
        return Some(format!(
            "leave out name to use {worker}: call the tool again without it; call status with name {worker:?} for whose it is"
        ));
    }
    // A job that runs another command is told with that.
    details.get("command").is_none().then(|| {
        "choose another name, or leave it out for the next number; call list for the names that exist"
            .to_owned()
    })
}

pub(super) async fn add(call: Call, arguments: Add) -> Done {
    let Add { command, cwd, env, name, description, restart, readiness } = arguments;
    let add = request(&call, command, (cwd, env), (name, description))?;
    let wait = if readiness.is_some() { WaitFor::Ready } else { WaitFor::Spawned };
    let add = call::Add { restart: restart.map(RestartOn::from), readiness, wait: Some(wait), ..add };
    let (data_of, gained) = begin(&call, add).await?;
    let text = format!("{}\n{}{gained}", told(&data_of), reached(&data_of.worker));
    let outcome = serde_json::to_value(data_of.outcome).unwrap_or_default();
    Ok(Answer::with(text, json!({"worker": data(&data_of.worker), "outcome": outcome})))
}

fn told(data: &StartData) -> String {
    let dir = data.worker.cwd.as_deref().map(|cwd| format!(" in {cwd}")).unwrap_or_default();
    let command = crate::words::short(&gob_client::screen::command(&data.worker.command));
    format!("{}: {command}{dir}", said::started(data))
}

/// The most that is waited, and the output that comes with the answer.
struct Bounds {
    limit: Duration,
    tail: usize,
}

impl Bounds {
    fn new(timeout_ms: Option<u64>, tail: Option<usize>) -> Self {
        let limit = Duration::from_millis(timeout_ms.unwrap_or(WAIT_MS));
        Self { limit, tail: tail.unwrap_or(TAIL).min(MAX_TAIL) }
    }
}

pub(super) async fn run(call: Call, arguments: Run) -> Done {
    let Run { command, cwd, env, name, description, timeout_ms, tail } = arguments;
    let add = request(&call, command, (cwd, env), (name, description))?;
    let (begun, gained) = begin(&call, add).await?;
    let first = match begun.outcome {
        Outcome::Started => String::new(),
        Outcome::Reused | Outcome::TakenOver | Outcome::External => format!("{}\n", told(&begun)),
    };
    let first = match gained.trim_start() {
        "" => first,
        gained => format!("{first}{gained}\n"),
    };
    ended(&call, first, begun.worker, Bounds::new(timeout_ms, tail)).await
}

pub(super) async fn wait(call: Call, Wait { name, timeout_ms, tail }: Wait) -> Done {
    let name = worker_name(&name)?;
    let worker = match call.link().ask(call::Get { name: name.clone() }).await {
        Ok(data) => data.worker,
        Err(error) => return Err(call.link().refused(&name, error).await),
    };
    ended(&call, String::new(), worker, Bounds::new(timeout_ms, tail)).await
}

/// Waits for the end of a worker and tells it, with the end of its output.
async fn ended(call: &Call, first: String, worker: View, bounds: Bounds) -> Done {
    let waited = until_ended(call, worker, bounds.limit).await?;
    let (worker, is_over, silent) = match &waited {
        Waited::Over(worker) => (worker, true, None),
        Waited::Going(worker, silent) => (worker, false, *silent),
        Waited::Gone(worker) => (worker, false, None),
    };
    // A log that can't be read costs the output and not the answer.
    let (output, is_cut, shown_output) = match output_of(call, worker, bounds.tail).await {
        Ok(output) => {
            let is_cut = output.is_cut || output.cut_at.is_some();
            let shown = shown_output(&output, worker);
            (output.lines, is_cut, shown)
        }
        Err(refusal) => (Vec::new(), false, format!("its output can't be read: {}\n", refusal.text())),
    };
    let (text, next) = match &waited {
        Waited::Over(worker) => (over(worker), None),
        Waited::Going(worker, silent) => going(worker, bounds.limit, *silent),
        Waited::Gone(worker) => {
            let name = shown(worker.name.as_str());
            (
                format!("the supervisor went away while {name} was waited for"),
                Some("call list for what runs now".to_owned()),
            )
        }
    };
    let mut text = format!("{first}{text}\n");
    text.push_str(&shown_output);
    text.extend(next.as_ref().map(|next| format!("next: {next}\n")));
    let mut facts =
        json!({"worker": data(worker), "running": !is_over, "output": output, "output_cut": is_cut});
    let silent = silent.map(|silent| silent.as_millis());
    if let Some(fields) = facts.as_object_mut() {
        fields.extend(
            silent.and_then(|ms| u64::try_from(ms).ok()).map(|ms| ("silent_ms".to_owned(), Value::from(ms))),
        );
        fields.extend(next.map(|next| ("next".to_owned(), Value::from(next))));
    }
    Ok(Answer::with(text, facts))
}

/// Reads the end of the output.
async fn output_of(call: &Call, worker: &View, tail: usize) -> Result<Output, Refusal> {
    let dir = directory(call.shared.dirs(), worker);
    let run = (worker.run > 0).then_some(worker.run);
    let wanted = Wanted { run, may_lack: true, ..Wanted::end(tail, BYTES.min(MAX_BYTES)) };
    read_of(&dir, Some(worker), wanted).await
}

fn shown_output(output: &Output, worker: &View) -> String {
    let (count, total) = (output.lines.len(), output.total);
    let noun = if count == 1 { "line" } else { "lines" };
    let (lines, cut) = (output.text(BYTES), output.cut_words());
    let mut text = match (count, output.is_cut) {
        (0, _) if output.lacks_end_of(worker) => String::new(),
        (0, _) if total > 0 => {
            format!("its output of {total} bytes was not asked for (tail 0); logs has it\n")
        }
        (0, _) => "it wrote nothing\n".to_owned(),
        (_, true) => {
            format!("last {count} {noun} of its output ({total} bytes in all; logs has more){cut}:\n{lines}")
        }
        (_, false) if cut.is_empty() => format!("its output:\n{lines}"),
        (_, false) => format!("its output ({total} bytes in all){cut}:\n{lines}"),
    };
    if output.lacks_end_of(worker) {
        text.push_str(&format!(
            "{}: call status without name, which says why\n",
            output_missing(&worker.name)
        ));
    }
    text
}

/// Says how a worker ended.
pub(super) fn over(worker: &View) -> String {
    let name = shown(worker.name.as_str());
    let times = worker.started_at.zip(worker.stopped_at);
    let after =
        times.map(|(from, to)| format!(" after {}", short_duration(since(from, to)))).unwrap_or_default();
    match (&worker.exit, &worker.reason) {
        _ if worker.run == 0 => format!("{name} has not run yet; start runs it"),
        (Some(exit), Some(reason)) => format!("{name} {exit}{after}: {}", crate::words::short(reason)),
        (Some(exit), None) => format!("{name} {exit}{after}"),
        (None, Some(reason)) => {
            format!("{name} has ended, and how is not known: {}", crate::words::short(reason))
        }
        (None, None) => format!("{name} has ended, and how is not known"),
    }
}

fn going(worker: &View, limit: Duration, silent: Option<Duration>) -> (String, Option<String>) {
    let name = worker.name.as_str();
    let silent = silent.map(|silent| format!(", silent for {}", short_duration(silent))).unwrap_or_default();
    let text = format!("{} is still running after {}{silent}", shown(name), short_duration(limit));
    let arguments = json!({"name": name});
    let end = if worker.owned { format!("; stop {arguments} ends it") } else { String::new() };
    (text, Some(format!("wait {arguments} goes on waiting, logs {arguments} has its output{end}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gob_client::protocol::WireError;

    #[test]
    fn a_name_that_means_another_worker_is_told_with_what_to_do() {
        let hint = |details: Value| {
            let told = "leave --name out to use web; or forget it once it is down: gobctl remove web";
            let error = WireError::new(ErrorCode::GraphConflict, "no").hint(told).details(details);
            refused(Error::Refused(error), Some(&Name::any("tests").unwrap()), "make").text()
        };
        let same = hint(json!({"worker": "web"}));
        assert!(same.contains("hint: leave out name to use web: call the tool again without it"), "{same}");
        let graph = hint(json!({"worker": "tests"}));
        assert!(graph.contains("hint: choose another name, or leave it out"), "{graph}");
        let lives = hint(json!({"worker": "tests", "command": ["x"], "cwd": "/"}));
        assert!(lives.contains("hint: call list for the worker that has the name"), "{lives}");
        assert!([same, graph, lives].iter().all(|text| !text.contains("--")));
    }
}

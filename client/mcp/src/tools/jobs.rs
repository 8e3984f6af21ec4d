//! Tools that run commands: `add`, `run`, `wait`.

use super::control::{reached, worker_name};
use super::logs::{BYTES, MAX_BYTES, MAX_TAIL};
use crate::call::{Answer, Call, Done};
use crate::ending::{Waited, silence, wait as until_ended};
use crate::output::{Output, Wanted, directory, read};
use crate::refusal::Refusal;
use crate::words::data;
use gob_client::call;
use gob_client::protocol::ErrorCode;
use gob_client::protocol::answer::{Outcome, StartData};
use gob_client::protocol::request::{RestartOn, Wait as WaitFor};
use gob_client::screen::said;
use gob_client::screen::text::name as shown;
use gob_client::screen::times::{short_duration, since};
use gob_client::{Name, View};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Time that `run` and `wait` take without `timeout_ms`: less than clients wait for a tool.
const WAIT_MS: u64 = 30_000;
/// Lines of output that come with an end.
const TAIL: usize = 40;
/// Looks for output that an end was told of before it was in the files, and the time between them.
const LOOKS: usize = 20;
const LOOK: Duration = Duration::from_millis(25);

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
    /// What it is for, in a line.
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
    /// What it is for, in a line.
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
        cwd: call.directory(cwd.as_deref())?,
        env: Some(call.env(env.as_ref())),
        name: name.as_ref().map(job).transpose()?,
        description,
        wait: Some(WaitFor::Spawned),
        ..call::Add::default()
    })
}

async fn begin(call: &Call, add: call::Add) -> Result<StartData, Refusal> {
    // Not sent twice: a job that had ended between would run again.
    let program = add.command.first().cloned().unwrap_or_default();
    let has_blank = program.contains(char::is_whitespace);
    call.link().ask_once(add).await.map_err(|error| {
        let refusal = Refusal::from(error);
        let is_of_shell = has_blank && refusal.code() == ErrorCode::ServerStartFailed.as_str();
        if !is_of_shell {
            return refusal;
        }
        refusal.hint("command is an array of the program and its arguments: call the tool again with [\"sh\", \"-c\", \"…\"] for a line of a shell")
    })
}

pub(super) async fn add(call: Call, arguments: Add) -> Done {
    let Add { command, cwd, env, name, description, restart, readiness } = arguments;
    let add = request(&call, command, (cwd, env), (name, description))?;
    let wait = if readiness.is_some() { WaitFor::Ready } else { WaitFor::Spawned };
    let add = call::Add { restart: restart.map(RestartOn::from), readiness, wait: Some(wait), ..add };
    let data_of = begin(&call, add).await?;
    let text = format!("{}\n{}", told(&data_of), reached(&data_of.worker));
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
    let begun = begin(&call, add).await?;
    let first = match begun.outcome {
        Outcome::Started => String::new(),
        Outcome::Reused | Outcome::TakenOver | Outcome::External => format!("{}\n", told(&begun)),
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
    let (worker, is_over) = match &waited {
        Waited::Over(worker) => (worker, true),
        Waited::Going(worker) | Waited::Gone(worker) => (worker, false),
    };
    let output = output_of(call, worker, bounds.tail, is_over).await;
    let (text, next) = match &waited {
        Waited::Over(worker) => (over(worker), None),
        Waited::Going(worker) => going(worker, bounds.limit),
        Waited::Gone(worker) => {
            let name = shown(worker.name.as_str());
            (
                format!("the supervisor went away while {name} was waited for"),
                Some("call list for what runs now".to_owned()),
            )
        }
    };
    let mut text = format!("{first}{text}\n");
    text.push_str(&shown_output(&output));
    text.extend(next.as_ref().map(|next| format!("next: {next}\n")));
    let mut facts = json!({"worker": data(worker), "running": !is_over, "output": output.lines, "output_cut": output.is_cut});
    let silent = silence(worker).filter(|_| !is_over).map(|silent| silent.as_millis());
    if let Some(fields) = facts.as_object_mut() {
        fields.extend(
            silent.and_then(|ms| u64::try_from(ms).ok()).map(|ms| ("silent_ms".to_owned(), Value::from(ms))),
        );
        fields.extend(next.map(|next| ("next".to_owned(), Value::from(next))));
    }
    Ok(Answer::with(text, facts))
}

/// Reads the end of the output. A log that can't be read costs the output and not the answer.
async fn output_of(call: &Call, worker: &View, tail: usize, is_over: bool) -> Output {
    let dir = directory(call.shared.dirs(), worker);
    let wanted =
        Wanted { run: (worker.run > 0).then_some(worker.run), ..Wanted::end(tail, BYTES.min(MAX_BYTES)) };
    let mut output = Output::default();
    for _ in 0..LOOKS {
        let (dir, wanted) = (dir.clone(), wanted.clone());
        output = Call::beside(move || read(&dir, &wanted)).await.unwrap_or_default();
        if !is_over || output.written_until >= worker.last_output_at {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    output
}

fn shown_output(output: &Output) -> String {
    match (output.lines.len(), output.is_cut) {
        (0, _) => "it wrote nothing\n".to_owned(),
        (count, true) => {
            let lines = if count == 1 { "line" } else { "lines" };
            format!(
                "last {count} {lines} of its output ({} bytes in all; logs has more):\n{}",
                output.total,
                output.text(BYTES)
            )
        }
        (_, false) => format!("its output:\n{}", output.text(BYTES)),
    }
}

fn over(worker: &View) -> String {
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

fn going(worker: &View, limit: Duration) -> (String, Option<String>) {
    let name = worker.name.as_str();
    let silent =
        silence(worker).map(|silent| format!(", silent for {}", short_duration(silent))).unwrap_or_default();
    let text = format!("{} is still running after {}{silent}", shown(name), short_duration(limit));
    let arguments = json!({"name": name});
    let end = if worker.owned { format!("; stop {arguments} ends it") } else { String::new() };
    (text, Some(format!("wait {arguments} goes on waiting, logs {arguments} has its output{end}")))
}

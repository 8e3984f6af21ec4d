//! Tools that make workers come up and go down: `start`, `stop`, `restart`.

use crate::call::{Answer, Call, Done};
use crate::link::is_unknown;
use crate::refusal::Refusal;
use crate::words::{data, gained};
use gob_client::call;
use gob_client::protocol::ErrorCode;
use gob_client::protocol::request::Wait;
use gob_client::screen::said;
use gob_client::screen::text::escape;
use gob_client::{Name, View};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// Time that a start may take without `timeout_ms`.
const READY_MS: u64 = 30_000;

/// Reads the name of a worker or of a graph.
pub(super) fn worker_name(text: &str) -> Result<Name, Refusal> {
    let wrong = |error: gob_client::protocol::NameError| {
        let code = ErrorCode::InvalidName.as_str();
        Refusal::new(code, error.to_string(), "call list for the names that exist")
    };
    Name::any(text).map_err(wrong)
}

/// The state that a start waits for.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WaitWord {
    Ready,
    Spawned,
}

impl From<WaitWord> for Wait {
    fn from(word: WaitWord) -> Self {
        match word {
            WaitWord::Ready => Self::Ready,
            WaitWord::Spawned => Self::Spawned,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// The graph to serve; a new name makes a new graph.
    #[schemars(length(min = 1, max = 200))]
    graph: Option<String>,
    /// A worker that exists already: a job to run again, or a graph's worker. Another name makes nothing; graph does.
    #[schemars(length(min = 1, max = 200))]
    name: Option<String>,
    /// The kind of server for the graph, of the configuration; its own or the default one without it.
    #[schemars(length(min = 1, max = 255))]
    kind: Option<String>,
    /// The directory that holds the graph.
    #[schemars(length(min = 1, max = 4095))]
    root_dir: Option<String>,
    /// Variables that are added to the environment of this server for the worker; those of an earlier add are not kept.
    env: Option<BTreeMap<String, String>>,
    /// Wait until it is ready (the default), or only until its process exists.
    wait: Option<WaitWord>,
    /// How long to wait, in milliseconds, 30000 without it; the start itself goes on.
    #[schemars(range(min = 1, max = 600_000))]
    timeout_ms: Option<u64>,
}

pub(super) async fn start(call: Call, arguments: Start) -> Done {
    let graph = arguments.graph.as_deref().map(worker_name).transpose()?;
    let name = arguments.name.as_deref().map(worker_name).transpose()?;
    let Some(meant) = name.clone().or_else(|| graph.clone()) else {
        let hint = "call start with graph, or with the name of a worker; for a command call add or run";
        return Err(Refusal::argument("start needs graph or name", hint));
    };
    // The supervisor would make a graph of a name that it does not know.
    let before = match call.link().ask(call::Get { name: meant.clone() }).await {
        Ok(data) => Some(data.worker),
        Err(error) if graph.is_some() && is_unknown(&error) => None,
        Err(error) => return Err(call.link().refused(&meant, error).await),
    };
    let root = arguments.root_dir.as_deref();
    let request = call::Start {
        graph,
        name,
        kind: arguments.kind,
        root_dir: root.map(|dir| call.directory("root_dir", Some(dir))).transpose()?,
        env: Some(call.env(arguments.env.as_ref())?),
        wait: arguments.wait.map(Wait::from),
        timeout_ms: Some(arguments.timeout_ms.unwrap_or(READY_MS)),
        lease: false,
    };
    let answer = match call.link().ask(request).await {
        Ok(answer) => answer,
        Err(error) => return Err(call.link().refused(&meant, error).await),
    };
    let worker = &answer.worker;
    let created = if answer.created { "\nit is a new, empty graph" } else { "" };
    let gained = gained(before.as_ref(), worker, &call.shared.owner);
    let text = format!("{}\n{}{created}{gained}", said::started(&answer), reached(worker));
    let outcome = serde_json::to_value(answer.outcome).unwrap_or_default();
    Ok(Answer::with(text, json!({"worker": data(worker), "outcome": outcome})))
}

/// Returns how a worker is reached, or the tool that tells.
pub(super) fn reached(worker: &View) -> String {
    match &worker.endpoint {
        Some(endpoint) => escape(endpoint),
        None => "call ports for where it listens, logs for its output".to_owned(),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    /// The worker.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// Kill it at once, without a grace.
    #[serde(default)]
    force: bool,
    /// Time between asking it to end and killing it, in milliseconds; that of its kind without it, 10000 for commands.
    #[schemars(range(min = 0, max = 600_000))]
    grace_ms: Option<u64>,
}

pub(super) async fn stop(call: Call, Stop { name, force, grace_ms }: Stop) -> Done {
    let name = worker_name(&name)?;
    match call.link().ask(call::Stop { name: name.clone(), force, grace_ms }).await {
        Ok(data) => {
            let ended = data.receipt.signalled.len();
            let data_of = json!({"worker": crate::words::data(&data.worker), "ended": ended});
            Ok(Answer::with(said::stopped(&data), data_of))
        }
        Err(error) => Err(call.link().refused(&name, error).await),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Restart {
    /// The worker.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// Variables that are added to the environment of this server for the new run; those of an earlier add are not kept.
    env: Option<BTreeMap<String, String>>,
    /// Time between asking it to end and killing it, in milliseconds.
    #[schemars(range(min = 0, max = 600_000))]
    grace_ms: Option<u64>,
    /// Wait until it is ready (the default), or only until its process exists.
    wait: Option<WaitWord>,
    /// How long to wait, in milliseconds, 30000 without it; the restart itself goes on.
    #[schemars(range(min = 1, max = 600_000))]
    timeout_ms: Option<u64>,
}

pub(super) async fn restart(call: Call, arguments: Restart) -> Done {
    let name = worker_name(&arguments.name)?;
    let request = call::Restart {
        name: name.clone(),
        env: Some(call.env(arguments.env.as_ref())?),
        grace_ms: arguments.grace_ms,
        wait: arguments.wait.map(Wait::from),
        timeout_ms: Some(arguments.timeout_ms.unwrap_or(READY_MS)),
    };
    match call.link().ask_once(request).await {
        Ok(answer) => {
            let text = format!("{}\n{}", said::restarted(&answer), reached(&answer.worker));
            Ok(Answer::with(text, json!({"worker": data(&answer.worker)})))
        }
        Err(error) => Err(call.link().refused(&name, error).await),
    }
}

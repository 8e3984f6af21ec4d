//! Tools that look: `list`, `status`, `ports`, `blame`, `brief`, `who`.

use super::control::worker_name;
use super::jobs::over;
use crate::call::{Answer, Call, Done, now};
use crate::refusal::Refusal;
use crate::words::{TEXT, data, line, owner, short, within};
use gob_client::call;
use gob_client::protocol::{Cursor, State};
use gob_client::screen;
use gob_client::screen::text::{escape, name as shown};
use gob_client::screen::times::{short_duration, since};
use gob_client::{Name, Owner};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// Workers of a list without `limit`.
const WORKERS: u32 = 50;
/// Changes of `blame` without `limit`.
const CHANGES: u32 = 20;
/// Ports that are told.
const PORTS: usize = 100;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// Only workers of this owner, such as agent, cli or desktop.
    #[schemars(length(min = 1, max = 32))]
    owner: Option<String>,
    /// Only workers of this kind; job for commands.
    #[schemars(length(min = 1, max = 255))]
    kind: Option<String>,
    /// Only workers in this state.
    state: Option<StateWord>,
    /// Only workers with this working directory; absolute, or from that of this server.
    #[schemars(length(min = 1, max = 4095))]
    cwd: Option<String>,
    /// Only workers whose names come after this one, for the next page.
    #[schemars(length(min = 1, max = 200))]
    after: Option<String>,
    /// Most workers in the answer; 50 without it.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum StateWord {
    Idle,
    Starting,
    Ready,
    Unhealthy,
    Stopping,
    Backoff,
    Failed,
    Ceded,
    External,
}

impl From<StateWord> for State {
    fn from(word: StateWord) -> Self {
        match word {
            StateWord::Idle => Self::Idle,
            StateWord::Starting => Self::Starting,
            StateWord::Ready => Self::Ready,
            StateWord::Unhealthy => Self::Unhealthy,
            StateWord::Stopping => Self::Stopping,
            StateWord::Backoff => Self::Backoff,
            StateWord::Failed => Self::Failed,
            StateWord::Ceded => Self::Ceded,
            StateWord::External => Self::External,
        }
    }
}

pub(super) async fn list(call: Call, arguments: List) -> Done {
    let owner = arguments.owner.as_deref().map(Owner::new).transpose().map_err(|error| {
        Refusal::new("invalid-owner", error.to_string(), "call list without owner: each line names one")
    })?;
    let filter = call::List {
        owner,
        kind: arguments.kind,
        state: arguments.state.map(State::from),
        cwd: arguments.cwd.as_deref().map(|cwd| call.directory("cwd", Some(cwd))).transpose()?,
        after: arguments.after.as_deref().map(worker_name).transpose()?,
        limit: Some(arguments.limit.unwrap_or(WORKERS)),
    };
    let is_filtered = call::List { after: None, limit: None, ..filter.clone() } != call::List::default();
    let page = call.link().ask(filter).await?;
    let next = page.next.as_ref().map(Name::as_str);
    let data = json!({"workers": page.workers.iter().map(data).collect::<Vec<_>>(), "next": next});
    if page.workers.is_empty() {
        let none = if is_filtered {
            "no worker is like that; list without filters shows all"
        } else {
            "no workers; add runs a command in the background, run one to its end, start serves a graph"
        };
        return Ok(Answer::with(none, data));
    }
    let now = now();
    let lines = page.workers.iter().map(|worker| line(worker, &call.shared.owner, now)).collect();
    let mut text = within(lines, TEXT, "call list with a filter, or status with a name");
    text.extend(next.map(|next| format!("there are more: call list with after {next:?}\n")));
    Ok(Answer::with(text, data))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Status {
    /// The worker; the supervisor itself without it.
    #[schemars(length(min = 1, max = 200))]
    name: Option<String>,
}

pub(super) async fn status(call: Call, Status { name }: Status) -> Done {
    let Some(name) = name else {
        let status = call.link().ask(call::Status).await?;
        let (title, facts) = screen::supervisor(&status, false);
        let text = pairs(std::iter::once(("supervisor", title)).chain(facts));
        let data = json!({"version": status.version, "pid": status.pid, "workers": status.workers});
        return Ok(Answer::with(text, data));
    };
    let name = worker_name(&name)?;
    let worker = match call.link().ask(call::Get { name: name.clone() }).await {
        Ok(data) => data.worker,
        Err(error) => return Err(call.link().refused(&name, error).await),
    };
    let mut text = format!("{}\n", line(&worker, &call.shared.owner, now()));
    text.push_str(&format!("owner: {}\n", owner(&worker, &call.shared.owner)));
    // The first line has the owner and the state already.
    text.push_str(&pairs(screen::worker(&worker, now()).into_iter().skip(2)));
    Ok(Answer::with(text, json!({"worker": data(&worker)})))
}

fn pairs(facts: impl IntoIterator<Item = screen::Fact>) -> String {
    let lines = facts
        .into_iter()
        .map(|(key, value)| format!("{key}: {}", escape(&crate::refusal::shortened(&value, 1_000))));
    within(lines.collect(), TEXT, "call list")
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ports {
    /// The worker; all of them without it.
    #[schemars(length(min = 1, max = 200))]
    name: Option<String>,
}

pub(super) async fn ports(call: Call, Ports { name }: Ports) -> Done {
    let name = name.as_deref().map(worker_name).transpose()?;
    let found = match (call.link().ask(call::Ports { name: name.clone() }).await, &name) {
        (Ok(found), _) => found,
        (Err(error), Some(name)) => return Err(call.link().refused(name, error).await),
        (Err(error), None) => return Err(error.into()),
    };
    if found.ports.is_empty() {
        let none = match &name {
            Some(name) => no_port(&call, name).await,
            None => "no worker listens on a port; call list for what runs".to_owned(),
        };
        return Ok(Answer::with(none, json!({"ports": []})));
    }
    let of = |port: &gob_client::protocol::answer::WorkerPort| {
        let host =
            if port.address.contains(':') { format!("[{}]", port.address) } else { port.address.clone() };
        let at = format!("{host}:{}", port.port);
        format!(
            "{}: {} {} (pid {})",
            shown(port.name.as_str()),
            escape(&port.protocol),
            escape(&at),
            port.pid
        )
    };
    let ports = || found.ports.iter().take(PORTS);
    let mut lines: Vec<String> = ports().map(of).collect();
    let left = found.ports.len().saturating_sub(PORTS);
    lines.extend((left > 0 || found.more).then(|| format!("… {left} more left out: call ports with a name")));
    let data: Vec<Value> = ports()
        .map(|port| json!({"name": port.name, "port": port.port, "protocol": port.protocol, "address": port.address, "pid": port.pid}))
        .collect();
    Ok(Answer::with(within(lines, TEXT, "call ports with a name"), json!({"ports": data})))
}

/// Says why a worker listens nowhere, and what to call.
async fn no_port(call: &Call, name: &Name) -> String {
    let worker = call.link().ask(call::Get { name: name.clone() }).await.ok().map(|data| data.worker);
    match worker.filter(|worker| !worker.state.goes_on()) {
        Some(worker) if worker.run == 0 => over(&worker),
        Some(worker) => format!(
            "{}, and listens on no port; call logs for its output, or start to run it again",
            over(&worker)
        ),
        None => format!(
            "{} listens on no port now; call status for its state and endpoint, or logs for its output",
            shown(name.as_str())
        ),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Blame {
    /// The worker.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// Most changes in the answer; 20 without it.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Only changes before this place, which an earlier answer named.
    #[schemars(length(min = 1, max = 100))]
    before: Option<String>,
}

pub(super) async fn blame(call: Call, Blame { name, limit, before }: Blame) -> Done {
    let name = worker_name(&name)?;
    let before = before.map(|text| {
        Cursor::parse(&text).ok_or_else(|| {
            Refusal::argument("before is no place", "call blame without before; its answer names one")
        })
    });
    let asked = call::Blame {
        name: name.clone(),
        limit: Some(limit.unwrap_or(CHANGES)),
        before: before.transpose()?,
    };
    let found = match call.link().ask(asked).await {
        Ok(found) => found,
        Err(error) => return Err(call.link().refused(&name, error).await),
    };
    if found.entries.is_empty() {
        return Ok(Answer::text(format!("no change of {} is in the history", shown(name.as_str()))));
    }
    let now = now();
    let lines = found.entries.iter().map(|entry| {
        let run = entry.run.map(|run| format!(", run {run}")).unwrap_or_default();
        let why = entry.reason.as_ref().map(|why| format!(": {}", short(&escape(why)))).unwrap_or_default();
        let ago = short_duration(since(entry.time, now));
        let word = screen::event_word(entry.event);
        format!("{ago} ago: {word}{run}, by {}{why}", escape(&entry.actor.to_string()))
    });
    let mut text = within(lines.collect(), TEXT, "call blame with a smaller limit");
    text.extend(found.next.map(|next| format!("there are older ones: call blame with before \"{next}\"\n")));
    Ok(Answer::text(text))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Brief {
    /// What changed after this: the last line of an earlier brief. Without it only the present is told.
    #[schemars(length(min = 1, max = 100))]
    since: Option<String>,
}

pub(super) async fn brief(call: Call, Brief { since }: Brief) -> Done {
    let host = call.shared.host.clone();
    Call::beside(move || host.brief(since.as_deref())).await.map(Answer::text)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Who {
    /// The graph.
    #[schemars(length(min = 1, max = 200))]
    graph: String,
}

pub(super) async fn who(call: Call, Who { graph }: Who) -> Done {
    let graph = worker_name(&graph)?;
    let host = call.shared.host.clone();
    Call::beside(move || host.who(&graph)).await.map(Answer::text)
}

//! Tools of the queue: `queue_add`, `queue_list`.

use crate::call::{Answer, Call, Done, now};
use crate::refusal::Refusal;
use crate::words::{TEXT, short, within};
use gob_client::protocol::answer::QueueOutcome;
use gob_client::protocol::{ErrorCode, LaneName, QueueJob, QueueStatus};
use gob_client::screen::text::escape;
use gob_client::screen::times::{short_duration, since};
use gob_client::{Name, call, screen};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Jobs of a list without `limit`.
const JOBS: u32 = 30;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QueueAdd {
    /// The lane; one job of a lane runs at a time, if its width is not another one.
    #[schemars(length(min = 1, max = 64))]
    lane: String,
    /// The program and its arguments, such as ["make", "test"]; no shell reads them.
    #[schemars(length(min = 1, max = 4096))]
    command: Vec<String>,
    /// The directory to run in; absolute, or from that of this server, which it is without it.
    #[schemars(length(min = 1, max = 4095))]
    cwd: Option<String>,
    /// Variables that are added to the environment of this server for the job.
    env: Option<BTreeMap<String, String>>,
    /// The higher, the sooner; 0 without it.
    #[schemars(range(min = -1000, max = 1000))]
    priority: Option<i32>,
    /// Not before this time has passed, in milliseconds.
    #[schemars(range(min = 0, max = 316_224_000_000_i64))]
    delay_ms: Option<u64>,
    /// Give up after so many failures; 3 without it, if the configuration has no other number.
    #[schemars(range(min = 1, max = 1000))]
    max_attempts: Option<u32>,
    /// Only when these jobs have completed, by their ids, such as ["j7"].
    #[schemars(length(max = 1000))]
    after: Option<Vec<String>>,
    /// Add nothing while a job with this key waits or runs.
    #[schemars(length(min = 1, max = 200))]
    dedupe: Option<String>,
    /// The purpose, in a line.
    #[schemars(length(min = 1, max = 1024))]
    description: Option<String>,
}

fn lane_name(text: &str) -> Result<LaneName, Refusal> {
    LaneName::new(text).map_err(|error| {
        let code = ErrorCode::InvalidName.as_str();
        Refusal::new(
            code,
            error.to_string(),
            "call queue_list for the lanes that exist, or choose a plain word",
        )
    })
}

pub(super) async fn queue_add(call: Call, arguments: QueueAdd) -> Done {
    let id = |text: &String| {
        Name::job(text).map_err(|error| {
            Refusal::new(
                ErrorCode::InvalidName.as_str(),
                error.to_string(),
                "call queue_list for the ids that exist",
            )
        })
    };
    let request = call::QueueAdd {
        lane: lane_name(&arguments.lane)?,
        command: arguments.command,
        cwd: call.directory("cwd", arguments.cwd.as_deref())?,
        env: Some(call.env(arguments.env.as_ref())?),
        priority: arguments.priority,
        delay_ms: arguments.delay_ms,
        max_attempts: arguments.max_attempts,
        after: arguments.after.iter().flatten().map(id).collect::<Result<_, _>>()?,
        dedupe: arguments.dedupe,
        description: arguments.description,
    };
    let added = call.link().ask_once(request).await?;
    let (job, lane) = (&added.job, &added.job.lane);
    let text = match added.outcome {
        QueueOutcome::Added => format!("added {} to {lane}", job.id),
        QueueOutcome::Reused => format!("{} of {lane} is {} and has the same key", job.id, job.status),
    };
    let next = format!(
        "call queue_list with lane \"{lane}\" for its status; logs with name \"{}\" has its output once it runs",
        job.id
    );
    Ok(Answer::with(format!("{text}\n{next}"), json!({"job": data(job), "outcome": added.outcome})))
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum StatusWord {
    Pending,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl From<StatusWord> for QueueStatus {
    fn from(word: StatusWord) -> Self {
        match word {
            StatusWord::Pending => Self::Pending,
            StatusWord::Running => Self::Running,
            StatusWord::Completed => Self::Completed,
            StatusWord::Failed => Self::Failed,
            StatusWord::Cancelled => Self::Cancelled,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QueueList {
    /// Only jobs of this lane.
    #[schemars(length(min = 1, max = 64))]
    lane: Option<String>,
    /// Only jobs with this status.
    status: Option<StatusWord>,
    /// The next page: the place that an earlier answer named.
    #[schemars(length(min = 1, max = 200))]
    after: Option<String>,
    /// Most jobs in the answer; 30 without it.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
}

pub(super) async fn queue_list(call: Call, arguments: QueueList) -> Done {
    let request = call::QueueList {
        lane: arguments.lane.as_deref().map(lane_name).transpose()?,
        status: arguments.status.map(QueueStatus::from),
        after: arguments.after,
        limit: Some(arguments.limit.unwrap_or(JOBS)),
    };
    let found = call.link().ask(request).await?;
    let lanes = found.lanes.iter().map(|lane| {
        let counts = &lane.counts;
        let paused = if lane.paused { ", paused" } else { "" };
        if let Some(why) = &lane.away {
            return format!(
                "lane {} (width {}{paused}): its database is away: {}; {} running on this machine, the others are not known",
                lane.lane,
                lane.width,
                short(&escape(why)),
                counts.running
            );
        }
        format!(
            "lane {} (width {}{paused}): {} running, {} pending, {} completed, {} failed, {} cancelled",
            lane.lane,
            lane.width,
            counts.running,
            counts.pending,
            counts.completed,
            counts.failed,
            counts.cancelled
        )
    });
    let now = now();
    let jobs = found.jobs.iter().map(|job| line(job, now));
    let mut lines: Vec<String> = lanes.chain(jobs).collect();
    if found.jobs.is_empty() && found.lanes.iter().all(|lane| lane.away.is_none()) {
        lines.push("no job is like that; queue_add adds one".to_owned());
    }
    let mut text = within(lines, TEXT, "call queue_list with lane, status or limit");
    text.extend(
        found.next.as_ref().map(|next| format!("there are more: call queue_list with after {next:?}\n")),
    );
    let jobs: Vec<Value> = found.jobs.iter().map(data).collect();
    Ok(Answer::with(text, json!({"lanes": found.lanes, "jobs": jobs, "next": found.next})))
}

fn line(job: &QueueJob, now: gob_client::protocol::Timestamp) -> String {
    let at = job.finished_at.or(job.started_at).unwrap_or(job.created_at);
    let ago = short_duration(since(at, now));
    let why = job.error.as_ref().map(|why| format!(": {}", short(&escape(why)))).unwrap_or_default();
    let command = short(&escape(&screen::command(&job.command)));
    format!(
        "{} ({}, owner {}): {} since {ago}, attempt {} of {}{why}  {command}",
        job.id, job.lane, job.owner, job.status, job.attempts, job.max_attempts
    )
}

fn data(job: &QueueJob) -> Value {
    json!({
        "id": job.id, "lane": job.lane, "status": job.status, "owner": job.owner, "attempts": job.attempts,
        "max_attempts": job.max_attempts, "error": job.error.as_deref().map(short), "command": short(&screen::command(&job.command)),
    })
}

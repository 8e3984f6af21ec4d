//! Payloads of the requests about the queue and its schedules.

use crate::bounded;
use crate::env::Env;
use crate::limits::{MAX_REASON_BYTES, MAX_WORD_BYTES};
use crate::name::Name;
use crate::queue::{
    LaneName, MAX_AFTER, MAX_DELAY_MS, MAX_KEY_BYTES, MAX_PRIORITY, MAX_QUEUE_ATTEMPTS, MAX_WIDTH,
    QueueStatus, ScheduleName,
};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// Payload of `queue_add`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QueueAdd {
    /// The lane, which is made if there is none.
    pub lane: LaneName,
    /// Program and arguments, as of a job.
    #[serde(deserialize_with = "bounded::command")]
    pub command: Vec<String>,
    /// Absolute path of its working directory.
    #[serde(deserialize_with = "bounded::needed_path")]
    pub cwd: String,
    /// The requester's environment, which each attempt gets whole.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Env::serialize_in_request")]
    pub env: Option<Env>,
    /// The higher, the sooner; from minus [`MAX_PRIORITY`] to [`MAX_PRIORITY`], 0 when absent.
    #[serde(default, deserialize_with = "priority", skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Time until it may run, in milliseconds.
    #[serde(default, deserialize_with = "delay", skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// With so many attempts that failed it has failed; the setting when absent.
    #[serde(default, deserialize_with = "attempts", skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Jobs that have to be completed before, at most [`MAX_AFTER`].
    #[serde(default, deserialize_with = "after", skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Name>,
    /// One job with this key waits or runs at a time; at most [`MAX_KEY_BYTES`] bytes without control characters.
    #[serde(default, deserialize_with = "key", skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<String>,
    /// A description for people, as of a job.
    #[serde(default, deserialize_with = "bounded::description", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Payload of `queue_claim`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QueueClaim {
    /// The lane.
    pub lane: LaneName,
    /// The claimant, such as `host-4711`; at most [`MAX_KEY_BYTES`] bytes without control characters.
    #[serde(deserialize_with = "needed_key")]
    pub worker_id: String,
    /// Time for which the request waits for a job, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// Payload of `queue_heartbeat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QueueHeartbeat {
    /// The job.
    pub job_id: Name,
    /// The claimant.
    #[serde(deserialize_with = "needed_key")]
    pub worker_id: String,
    /// The attempt; the present one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

/// Payload of `queue_finish`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QueueFinish {
    /// The job.
    pub job_id: Name,
    /// The claimant.
    #[serde(deserialize_with = "needed_key")]
    pub worker_id: String,
    /// It ended well.
    pub success: bool,
    /// The reason, if it did not; cut at [`MAX_REASON_BYTES`].
    #[serde(default, deserialize_with = "reason", skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The attempt; the present one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

/// Payload of `queue_get` and `queue_cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ByJob {
    /// The job.
    pub job_id: Name,
}

/// Payload of `queue_retry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QueueRetry {
    /// The job.
    pub job_id: Name,
    /// The requester's environment: the first one was deleted when the job ended.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Env::serialize_in_request")]
    pub env: Option<Env>,
}

/// Payload of `queue_list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QueueList {
    /// Jobs of this lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneName>,
    /// Jobs with this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<QueueStatus>,
    /// The `next` of the page before.
    #[serde(default, deserialize_with = "bounded::word", skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Most jobs in the answer; 100 when absent, 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Payload of `queue_pause`, `queue_resume` and `queue_clear`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ByLane {
    /// The lane.
    pub lane: LaneName,
}

/// Payload of `queue_width`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QueueWidth {
    /// The lane.
    pub lane: LaneName,
    /// Jobs that the supervisor runs at once, at most [`MAX_WIDTH`]; 0 leaves them to workers outside.
    #[serde(deserialize_with = "width")]
    pub width: u32,
}

/// Payload of `schedule_add`: `cron` or `interval_ms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScheduleAdd {
    /// The lane that its jobs are added to.
    pub lane: LaneName,
    /// Program and arguments, as of a job.
    #[serde(deserialize_with = "bounded::command")]
    pub command: Vec<String>,
    /// Absolute path of the working directory.
    #[serde(deserialize_with = "bounded::needed_path")]
    pub cwd: String,
    /// The requester's environment, which each of its jobs gets whole.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Env::serialize_in_request")]
    pub env: Option<Env>,
    /// Its times, in the five fields of cron.
    #[serde(default, deserialize_with = "bounded::word", skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The time between two jobs, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u64>,
    /// The time zone of `cron`, such as `Europe/Berlin`; that of the system when absent.
    #[serde(default, deserialize_with = "bounded::word", skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The name; when absent it is called as its lane, or `LANE-2` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ScheduleName>,
}

/// Payload of `schedule_list`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScheduleList {
    /// Schedules of this lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneName>,
}

/// Payload of `schedule_remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScheduleRemove {
    /// The schedule.
    pub name: ScheduleName,
}

fn priority<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i32>, D::Error> {
    let value = Option::<i32>::deserialize(from)?;
    if value.is_some_and(|value| !(-MAX_PRIORITY..=MAX_PRIORITY).contains(&value)) {
        return Err(D::Error::custom(format_args!("a priority is from -{MAX_PRIORITY} to {MAX_PRIORITY}")));
    }
    Ok(value)
}

fn delay<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let value = Option::<u64>::deserialize(from)?;
    if value.is_some_and(|value| value > MAX_DELAY_MS) {
        return Err(D::Error::custom(format_args!("a delay has at most {MAX_DELAY_MS} ms")));
    }
    Ok(value)
}

fn attempts<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let value = Option::<u32>::deserialize(from)?;
    if value.is_some_and(|value| !(1..=MAX_QUEUE_ATTEMPTS).contains(&value)) {
        return Err(D::Error::custom(format_args!("it is from 1 to {MAX_QUEUE_ATTEMPTS}")));
    }
    Ok(value)
}

fn width<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let value = u32::deserialize(from)?;
    if value > MAX_WIDTH {
        return Err(D::Error::custom(format_args!("a lane has at most width {MAX_WIDTH}")));
    }
    Ok(value)
}

fn after<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Name>, D::Error> {
    let all = Vec::<Name>::deserialize(from)?;
    if all.len() > MAX_AFTER {
        return Err(D::Error::custom(format_args!("a job comes after at most {MAX_AFTER} others")));
    }
    Ok(all)
}

fn key<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Option::<Key>::deserialize(from).map(|key| key.map(|key| key.0))
}

fn needed_key<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Key::deserialize(from).map(|key| key.0)
}

/// A text that names something for programs.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let is_good = (1..=MAX_KEY_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if is_good {
            Ok(Self(text))
        } else {
            Err(D::Error::custom(format_args!(
                "it has 1 to {MAX_KEY_BYTES} bytes without control characters"
            )))
        }
    }
}

fn reason<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.map(|text| bounded::cut_to(MAX_REASON_BYTES, text)))
}

/// The words of this module are bounded as all others are.
const _: () = assert!(MAX_KEY_BYTES < MAX_WORD_BYTES);

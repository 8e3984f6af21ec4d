//! Data of successful responses to requests about the durable queue, its lanes and schedules (PROTOCOL 4, 5).

use crate::queue::{Lane, QueueJob, Schedule, ScheduleName};
use serde::{Deserialize, Serialize};

/// How a `queue_add` was satisfied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum QueueOutcome {
    /// The job is new.
    Added,
    /// A job with the same key waits or runs.
    Reused,
}

/// Data of `queue_add`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct QueueAddData {
    /// The job.
    pub job: QueueJob,
    /// How the request was satisfied.
    pub outcome: QueueOutcome,
}

/// Data of `queue_get`, `queue_finish`, `queue_cancel` and `queue_retry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct QueueJobData {
    /// The job afterwards.
    pub job: QueueJob,
}

/// Data of `queue_claim`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct QueueClaimData {
    /// The claimed job; null where there was none in time.
    pub job: Option<QueueJob>,
}

/// Data of `queue_list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct QueueListData {
    /// Those that run, then those that wait by lane and in the order of claims, then those that ended, newest first.
    pub jobs: Vec<QueueJob>,
    /// The lane that was asked for, else all; on the first page only.
    pub lanes: Vec<Lane>,
    /// More jobs exist: those after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Data of `queue_pause`, `queue_resume`, `queue_clear` and `queue_width`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct QueueLaneData {
    /// The lane afterwards.
    pub lane: Lane,
    /// The number of jobs that `queue_clear` cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<u64>,
}

/// Data of `schedule_add`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ScheduleData {
    /// The schedule.
    pub schedule: Schedule,
}

/// Data of `schedule_list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ScheduleListData {
    /// The schedules, ordered by name.
    pub schedules: Vec<Schedule>,
}

/// Data of `schedule_remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ScheduleRemoveData {
    /// The schedule that was removed.
    pub removed: ScheduleName,
}

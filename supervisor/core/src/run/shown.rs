//! The part that clients see of the latest run of a worker, alive or not.

use crate::spec::Spec;
use alloc::string::String;
use alloc::sync::Arc;
use gob_protocol::{Exit, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The latest run of a worker as others see it, whether it lives or not; it is not needed to decide.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) command: Arc<[String]>,
    pub(crate) cwd: Option<Arc<str>>,
    pub(crate) version: Option<Arc<str>>,
    pub(crate) meta: Arc<Map<String, Value>>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ready_at: Option<Timestamp>,
    pub(crate) stopped_at: Option<Timestamp>,
    pub(crate) exit: Option<Exit>,
    pub(crate) reason: Option<String>,
    pub(crate) stdout_path: Option<Arc<str>>,
    pub(crate) stderr_path: Option<Arc<str>>,
    /// Its leader, alive or not.
    #[serde(default)]
    pub(crate) pid: Option<i32>,
    #[serde(default)]
    pub(crate) began_mono_ms: Option<u64>,
    /// Time from its spawn to the end of its leader.
    #[serde(default)]
    pub(crate) lasted_ms: Option<u64>,
    /// gob asked it to end, or ended it.
    #[serde(default)]
    pub(crate) was_asked: bool,
}

impl Shown {
    /// A job that has had no run shows what would run.
    pub(crate) fn of_job(spec: &Spec) -> Self {
        let Some(job) = spec.job() else { return Self::default() };
        Self { command: Arc::clone(&job.command), cwd: Some(Arc::clone(&job.cwd)), ..Self::default() }
    }
}

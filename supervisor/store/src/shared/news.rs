//! The news that machines tell each other: lanes in which something may be claimed, jobs that were added or have ended.
//!
//! A notification is part of the transaction that it tells of. One that is lost costs time and nothing else: lanes are looked at now and
//! then all the same.

use super::failure::Failure;
use super::session::Session;
use crate::jobs::list;
use gob_protocol::queue::{QueueAsk, QueueTold};
use gob_protocol::{LaneName, LockName, Name, QueueJob};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The channel of all notifications.
pub(super) const CHANNEL: &str = "gob_queue";

/// The longest notification that PostgreSQL takes is one of 8000 bytes.
const MAX_BYTES: usize = 7_500;

/// News of other machines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Lanes in which something may be claimed.
    pub lanes: Vec<LaneName>,
    /// Lanes that were paused, resumed, or have another width.
    pub changed: Vec<LaneName>,
    /// Jobs that were added or have ended, as they are now.
    pub jobs: Vec<QueueJob>,
    /// Jobs that left the queue.
    pub gone: Vec<Name>,
    /// Locks whose holders or waiters have changed.
    pub locks: Vec<LockName>,
    /// News were lost: there may be something to claim in each lane, and each may have changed.
    pub is_all: bool,
}

/// A notification.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Notice {
    /// The life that notifies, and does not hear of it; empty for none.
    by: String,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    lanes: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    changed: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    jobs: BTreeSet<u64>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    gone: BTreeSet<u64>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    locks: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    all: bool,
}

impl Notice {
    /// A notification that its sender hears as well: no answer tells it of what it has changed.
    pub(super) fn to_all() -> Self {
        Self::default()
    }

    /// A notification of a life.
    pub(super) fn of(instance: &str) -> Self {
        Self { by: instance.to_owned(), ..Self::default() }
    }

    fn lane(&mut self, lane: &LaneName) {
        self.lanes.insert(lane.as_str().to_owned());
    }

    fn job(&mut self, job: &QueueJob) {
        self.lane(&job.lane);
        self.jobs.extend(job.id.number());
    }

    /// Adds what others should know of an answer.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other answers change nothing that others wait for"
    )]
    pub(super) fn note(&mut self, ask: &QueueAsk, told: &QueueTold) {
        match told {
            QueueTold::Added { job, is_new: true } => self.job(job),
            QueueTold::Settled(settled) => {
                self.job(&settled.job);
                settled.lanes.iter().for_each(|lane| self.lane(lane));
                settled.failed.iter().for_each(|job| self.job(job));
            }
            QueueTold::Cleared { jobs, .. } => jobs.iter().for_each(|job| self.job(job)),
            QueueTold::Recovered { jobs, .. } => jobs.iter().for_each(|job| self.job(job)),
            QueueTold::Lane(state) if !matches!(ask, QueueAsk::Lane { .. }) => {
                self.changed.insert(state.lane.lane.as_str().to_owned());
            }
            QueueTold::Deleted(_) => self.all = true,
            _ => {}
        }
    }

    /// Adds a lock.
    pub(super) fn lock(&mut self, lock: &LockName) {
        self.locks.insert(lock.as_str().to_owned());
    }

    /// Adds jobs of lives that were not heard of.
    pub(super) fn swept(&mut self, job: &QueueJob) {
        self.job(job);
    }

    /// Adds jobs that left the queue.
    pub(super) fn left(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.gone.extend(numbers);
    }

    /// Returns the statement that notifies; empty where there is nothing to tell.
    pub(super) fn statement(&self) -> String {
        let is_empty = self.lanes.is_empty()
            && self.changed.is_empty()
            && self.gone.is_empty()
            && self.locks.is_empty()
            && !self.all;
        if is_empty {
            return String::new();
        }
        let text = |notice: &Self| serde_json::to_string(notice).unwrap_or_default();
        let mut payload = text(self);
        if payload.len() > MAX_BYTES {
            payload = text(&Self { by: self.by.clone(), all: true, ..Self::default() });
        }
        format!("SELECT pg_notify('{CHANNEL}', '{}'); ", payload.replace('\'', "''"))
    }
}

/// Reads notifications of other lives, and the jobs that they name.
pub(super) fn read(
    session: &Session<'_>,
    instance: &str,
    payloads: &[String],
) -> Result<Option<News>, Failure> {
    let mut sum = Notice { all: session.has_lost_news(), ..Notice::default() };
    for payload in payloads {
        // Another program may notify on this channel: that says nothing.
        let Ok(notice) = serde_json::from_str::<Notice>(payload) else { continue };
        if notice.by == instance {
            continue;
        }
        sum.lanes.extend(notice.lanes);
        sum.changed.extend(notice.changed);
        sum.jobs.extend(notice.jobs);
        sum.gone.extend(notice.gone);
        sum.locks.extend(notice.locks);
        sum.all |= notice.all;
    }
    if sum.statement().is_empty() {
        return Ok(None);
    }
    let mut news =
        News { is_all: sum.all, gone: sum.gone.into_iter().map(Name::numbered).collect(), ..News::default() };
    let names = |names: BTreeSet<String>| names.iter().filter_map(|name| LaneName::new(name).ok()).collect();
    (news.lanes, news.changed) = (names(sum.lanes), names(sum.changed));
    news.locks = sum.locks.iter().filter_map(|name| LockName::new(name).ok()).collect();
    for number in sum.jobs {
        match list::job(session, &Name::numbered(number)) {
            Ok(job) => news.jobs.extend(job),
            Err(crate::jobs::sql::SqlError::Server(failure)) if failure.is_away() => return Err(failure),
            // It is told of in no event.
            Err(_) => {}
        }
    }
    Ok(Some(news))
}

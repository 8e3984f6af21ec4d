//! Jobs that are claimed: by the supervisor itself, or by workers outside.

use crate::ids::ConnId;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::Name;
use gob_protocol::queue::{LaneName, QueueAsk, QueueJob, is_shared};
use serde::{Deserialize, Serialize};

/// A claimed job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) lane: LaneName,
    /// The number of the claim.
    pub(crate) attempt: u32,
    /// Claims that count, this one among them.
    pub(crate) attempts: u32,
    pub(crate) by: By,
    /// It was cancelled meanwhile.
    pub(crate) is_cancelled: bool,
    /// The end of the attempt, of which the store has been told and has not said that it knows.
    pub(crate) end: Option<End>,
    /// The job as it was claimed, where several machines share its lane: it is shown while the database is away.
    #[serde(default)]
    job: Option<Box<QueueJob>>,
}

/// The claimant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum By {
    Here,
    Outside {
        worker_id: String,
        /// The connection that it was heard on; `None` since an earlier life of the supervisor.
        conn: Option<ConnId>,
    },
}

/// The end of an attempt on its way to the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) ask: QueueAsk,
    /// The store does not answer; nothing waits for it any more.
    pub(crate) is_overdue: bool,
}

/// All claimed jobs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Holds {
    by_id: BTreeMap<Name, Held>,
    /// The jobs that each connection has claimed.
    by_conn: BTreeMap<ConnId, BTreeSet<Name>>,
    /// How many of each lane the supervisor itself has.
    here: BTreeMap<LaneName, usize>,
}

impl Held {
    /// A job that was claimed just now.
    pub(crate) fn new(job: &QueueJob, by: By) -> Self {
        let lane = job.lane.clone();
        let (attempt, attempts) = (job.attempt, job.attempts);
        let job = is_shared(&job.id).then(|| Box::new(job.clone()));
        Self { lane, attempt, attempts, by, is_cancelled: false, end: None, job }
    }

    /// Tells whether this worker has this attempt; `None` means the present one.
    pub(crate) fn is_of(&self, id: &str, attempt: Option<u32>) -> bool {
        let is_its = matches!(&self.by, By::Outside { worker_id, .. } if worker_id == id);
        is_its && attempt.is_none_or(|attempt| attempt == self.attempt)
    }

    /// Tells whether the supervisor runs it.
    pub(crate) fn is_here(&self) -> bool {
        self.by == By::Here
    }
}

impl Holds {
    pub(crate) fn get(&self, id: &Name) -> Option<&Held> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &Name) -> Option<&mut Held> {
        self.by_id.get_mut(id)
    }

    /// Notes a claim.
    pub(crate) fn add(&mut self, id: Name, held: Held) {
        self.remove(&id);
        match &held.by {
            By::Here => *self.here.entry(held.lane.clone()).or_default() += 1,
            By::Outside { conn: Some(conn), .. } => {
                self.by_conn.entry(*conn).or_default().insert(id.clone());
            }
            By::Outside { conn: None, .. } => {}
        }
        self.by_id.insert(id, held);
    }

    /// Forgets a claim that is over.
    pub(crate) fn remove(&mut self, id: &Name) -> Option<Held> {
        let held = self.by_id.remove(id)?;
        match &held.by {
            By::Here => {
                if let Some(count) = self.here.get_mut(&held.lane) {
                    *count = count.saturating_sub(1);
                }
                self.here.retain(|_, count| *count > 0);
            }
            By::Outside { conn, .. } => self.unbind(*conn, id),
        }
        Some(held)
    }

    /// Notes the connection on which the claimant of a job was heard.
    pub(crate) fn heard_on(&mut self, id: &Name, on: ConnId) {
        if let Some(Held { by: By::Outside { conn, .. }, .. }) = self.by_id.get_mut(id) {
            let before = conn.replace(on);
            if before != Some(on) {
                self.unbind(before, id);
                self.by_conn.entry(on).or_default().insert(id.clone());
            }
        }
    }

    fn unbind(&mut self, conn: Option<ConnId>, id: &Name) {
        if let Some(conn) = conn
            && let Some(ids) = self.by_conn.get_mut(&conn)
        {
            ids.remove(id);
            if ids.is_empty() {
                self.by_conn.remove(&conn);
            }
        }
    }

    /// The jobs that a connection has claimed.
    pub(crate) fn of(&self, conn: ConnId) -> impl Iterator<Item = &Name> {
        self.by_conn.get(&conn).into_iter().flatten()
    }

    /// How many jobs of a lane the supervisor itself has.
    pub(crate) fn here_in(&self, lane: &LaneName) -> usize {
        self.here.get(lane).copied().unwrap_or_default()
    }

    /// The jobs that workers outside hold.
    pub(crate) fn outside(&self) -> Vec<Name> {
        let outside = self.by_id.iter().filter(|(_, held)| !held.is_here());
        outside.map(|(id, _)| id.clone()).collect()
    }

    /// The jobs of lanes that several machines share.
    pub(crate) fn shared(&self) -> Vec<Name> {
        self.by_id.keys().filter(|id| is_shared(id)).cloned().collect()
    }

    /// The jobs of such lanes as they were claimed.
    pub(crate) fn shared_jobs(&self) -> impl Iterator<Item = &QueueJob> {
        self.by_id.values().filter_map(|held| held.job.as_deref())
    }

    /// Tells whether a claim of the supervisor's own is on its way back.
    pub(super) fn is_settling(&self) -> bool {
        let waits = |held: &Held| held.is_here() && held.end.as_ref().is_none_or(|end| !end.is_overdue);
        self.by_id.values().any(waits)
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Name, &Held)> {
        self.by_id.iter()
    }
}

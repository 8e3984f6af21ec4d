//! Lanes of the store in memory, and all of their jobs at once.

use super::Store;
use gob_protocol::queue::{Lane, LaneName, LaneState, QueueCounts, QueueStatus, QueueTold};
use gob_protocol::{Name, Owner, Timestamp};
use std::vec::Vec;

impl Store {
    pub(super) fn clear(
        &mut self,
        lane: &LaneName,
        owners: &[Owner],
        reason: &str,
        now: Timestamp,
    ) -> QueueTold {
        let meant = self.rows.values().rev().map(|row| &row.job).filter(|job| {
            job.lane == *lane && job.status == QueueStatus::Pending && owners.contains(&job.owner)
        });
        let ids: Vec<Name> = meant.map(|job| job.id.clone()).collect();
        let (mut jobs, mut failed) = (Vec::new(), Vec::new());
        for id in &ids {
            if let Ok(QueueTold::Settled(settled)) = self.cancel(id, reason, now) {
                jobs.push(settled.job);
                failed.extend(settled.failed);
            }
        }
        let cancelled = jobs.len() as u64;
        jobs.extend(failed);
        QueueTold::Cleared { lane: self.lane(lane), cancelled, jobs, more: false }
    }

    pub(super) fn change(&mut self, lane: &LaneName, change: impl FnOnce(&mut (u32, bool))) -> QueueTold {
        change(self.lanes.entry(lane.clone()).or_insert((1, false)));
        QueueTold::Lane(self.lane(lane))
    }

    pub(super) fn lane(&mut self, lane: &LaneName) -> LaneState {
        let (width, paused) = *self.lanes.entry(lane.clone()).or_insert((1, false));
        let mut counts = QueueCounts::default();
        for job in self.rows.values().map(|row| &row.job).filter(|job| job.lane == *lane) {
            *match job.status {
                QueueStatus::Pending => &mut counts.pending,
                QueueStatus::Running => &mut counts.running,
                QueueStatus::Completed => &mut counts.completed,
                QueueStatus::Failed => &mut counts.failed,
                QueueStatus::Cancelled => &mut counts.cancelled,
            } += 1;
        }
        let lane = Lane { lane: lane.clone(), width, paused, counts, shared: false, away: None };
        LaneState { due: self.due(&lane.lane), lane }
    }

    pub(super) fn all_lanes(&mut self) -> Vec<LaneState> {
        let names: Vec<_> = self.lanes.keys().cloned().collect();
        names.iter().map(|name| self.lane(name)).collect()
    }
}

//! Requests about the durable queue, its lanes and schedules.

use super::Call;
use crate::pulse::Deadline;
use gob_protocol::answer::{
    EmptyData, QueueAddData, QueueClaimData, QueueJobData, QueueLaneData, QueueListData, ScheduleData,
    ScheduleListData, ScheduleRemoveData,
};
use gob_protocol::limits::REQUEST_MS;
use gob_protocol::queue::LaneName;
use gob_protocol::request::{ByJob, ByLane};
pub use gob_protocol::request::{
    QueueAdd, QueueClaim, QueueFinish, QueueHeartbeat, QueueList, QueueRetry, QueueWidth, ScheduleAdd,
    ScheduleList, ScheduleRemove,
};
use gob_protocol::{Name, Request};
use std::time::Duration;

/// Requests one job of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueGet {
    /// The job.
    pub job_id: Name,
}

/// Cancels a job that waits or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueCancel {
    /// The job.
    pub job_id: Name,
}

/// Lets nothing of a lane be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePause {
    /// The lane.
    pub lane: LaneName,
}

/// Ends a pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueResume {
    /// The lane.
    pub lane: LaneName,
}

/// Cancels the jobs of a lane that wait, as far as they are the requester's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueClear {
    /// The lane.
    pub lane: LaneName,
}

call!(QueueAdd, "queue_add", QueueAddData, |this| Request::QueueAdd(Box::new(this)));
call!(QueueClaim, "queue_claim", QueueClaimData, |this| Request::QueueClaim(this), {
    fn deadline(&self) -> Deadline {
        let wait_ms = self.wait_ms.unwrap_or_default();
        Deadline::In(Duration::from_millis(wait_ms.saturating_add(REQUEST_MS)))
    }
});
call!(QueueHeartbeat, "queue_heartbeat", EmptyData, |this| Request::QueueHeartbeat(this));
call!(QueueFinish, "queue_finish", QueueJobData, |this| Request::QueueFinish(this));
call!(QueueGet, "queue_get", QueueJobData, |this| Request::QueueGet(ByJob { job_id: this.job_id }), {
    const READS: bool = true;
});
call!(QueueList, "queue_list", QueueListData, |this| Request::QueueList(this), {
    const READS: bool = true;
});
call!(QueueCancel, "queue_cancel", QueueJobData, |this| Request::QueueCancel(ByJob { job_id: this.job_id }));
call!(QueueRetry, "queue_retry", QueueJobData, |this| Request::QueueRetry(this));
call!(QueuePause, "queue_pause", QueueLaneData, |this| Request::QueuePause(ByLane { lane: this.lane }));
call!(QueueResume, "queue_resume", QueueLaneData, |this| Request::QueueResume(ByLane { lane: this.lane }));
call!(QueueClear, "queue_clear", QueueLaneData, |this| Request::QueueClear(ByLane { lane: this.lane }));
call!(QueueWidth, "queue_width", QueueLaneData, |this| Request::QueueWidth(this));
call!(ScheduleAdd, "schedule_add", ScheduleData, |this| Request::ScheduleAdd(Box::new(this)));
call!(ScheduleList, "schedule_list", ScheduleListData, |this| Request::ScheduleList(this), {
    const READS: bool = true;
});
call!(ScheduleRemove, "schedule_remove", ScheduleRemoveData, |this| Request::ScheduleRemove(this));

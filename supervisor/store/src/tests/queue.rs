//! The durable queue, through the thread and its file.
#![expect(clippy::wildcard_enum_match_arm, reason = "any other answer fails the test")]

mod chance;
mod durable;
mod lanes;
pub(crate) mod model;
mod order;
mod recovery;
mod schedules;
mod settle;

use super::*;
use gob_protocol::queue::{
    Claim, Claimant, Ending, NewJob, QueueAsk, QueueEnd, QueueRefusal, QueueTold, Settled,
};
use gob_protocol::{LaneName, QueueJob, QueueStatus};

/// A time that all tests begin at.
pub(super) const NOW: i64 = 1_800_000_000_000;

pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp(NOW + ms)
}

pub(super) fn lane(name: &str) -> LaneName {
    LaneName::new(name).unwrap()
}

pub(super) fn job_id(number: u64) -> Name {
    Name::numbered(number)
}

/// A job that may run at once.
pub(super) fn new_job(number: u64, name: &str) -> NewJob {
    NewJob {
        id: job_id(number),
        lane: lane(name),
        command: vec!["make".to_owned(), format!("target {number}")],
        cwd: "/src".to_owned(),
        env: Some([("SECRET", "hunter2-in-the-environment")].into_iter().collect()),
        umask: Some(0o27),
        owner: Owner::cli(),
        priority: 0,
        run_at: at(0),
        max_attempts: 3,
        after: Vec::new(),
        dedupe: None,
        description: None,
    }
}

pub(super) fn add(job: NewJob) -> QueueAsk {
    QueueAsk::Add(Box::new(job))
}

pub(super) fn us() -> Claimant {
    Claimant::Supervisor("gobd-1".to_owned())
}

pub(super) fn outside(worker: &str) -> Claimant {
    Claimant::Outside(worker.to_owned())
}

pub(super) fn claim(name: &str) -> QueueAsk {
    QueueAsk::Claim { lane: lane(name), by: us() }
}

pub(super) fn ending(number: u64, attempt: u32, end: QueueEnd) -> QueueAsk {
    QueueAsk::Finish(Box::new(Ending {
        id: job_id(number),
        attempt: Some(attempt),
        by: us(),
        end,
        exit: None,
    }))
}

pub(super) fn failed_again(at: Timestamp) -> QueueEnd {
    QueueEnd::Failed { error: "exit code 3".to_owned(), retry_at: at }
}

impl Rig {
    /// Asks at [`NOW`].
    pub(super) fn told(&mut self, ask: QueueAsk) -> QueueTold {
        self.told_at(at(0), ask)
    }

    pub(super) fn told_at(&mut self, now: Timestamp, ask: QueueAsk) -> QueueTold {
        match self.ask(Question::Queue { now, ask: Box::new(ask) }) {
            Ok(Answer::Queue(told)) => *told,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn added(&mut self, job: NewJob) -> QueueJob {
        match self.told(add(job)) {
            QueueTold::Added { job, is_new: true } => *job,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn claimed_at(&mut self, now: Timestamp, name: &str) -> Option<Claim> {
        match self.told_at(now, claim(name)) {
            QueueTold::Claimed { claim, .. } => claim.map(|claim| *claim),
            other => panic!("{other:?}"),
        }
    }

    /// Claims, and returns number and attempt.
    pub(super) fn claimed(&mut self, name: &str) -> Option<(u64, u32)> {
        let claim = self.claimed_at(at(0), name)?;
        Some((claim.job.id.number().unwrap(), claim.job.attempt))
    }

    pub(super) fn settled(&mut self, ask: QueueAsk) -> Settled {
        match self.told(ask) {
            QueueTold::Settled(settled) => *settled,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn refused(&mut self, ask: QueueAsk) -> QueueRefusal {
        match self.told(ask) {
            QueueTold::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn job(&mut self, number: u64) -> QueueJob {
        match self.told(QueueAsk::Get { id: job_id(number) }) {
            QueueTold::Job(job) => *job,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn status(&mut self, number: u64) -> QueueStatus {
        self.job(number).status
    }
}

/// Checks what is always true of the tables of a store that is closed.
pub(super) fn check(dir: &Path) {
    let db = sqlite(dir);
    for (what, sql) in [
        (
            "a lane counts its jobs",
            "SELECT name FROM lane WHERE (pending, running, completed, failed, cancelled) <> (
                 SELECT count(*) FILTER (WHERE status = 0), count(*) FILTER (WHERE status = 1),
                     count(*) FILTER (WHERE status = 2), count(*) FILTER (WHERE status = 3), count(*) FILTER (WHERE status = 4)
                 FROM job WHERE lane = name)",
        ),
        ("each job has its lane", "SELECT number FROM job WHERE lane NOT IN (SELECT name FROM lane)"),
        (
            "a job that waits is blocked by those that are not completed",
            "SELECT number FROM job WHERE status = 0 AND blocked <> (
                 SELECT count(*) FROM job_after WHERE job_after.number = job.number AND done = 0)",
        ),
        (
            "no job waits for one that has failed",
            "SELECT a.number FROM job_after a JOIN job j USING (number) JOIN job b ON b.number = a.before
             WHERE j.status = 0 AND a.done = 0 AND b.status >= 2",
        ),
        ("each job comes after earlier ones", "SELECT number FROM job_after WHERE before >= number"),
        (
            "environments are those of jobs that have not ended",
            "SELECT number FROM job_env WHERE number NOT IN (SELECT number FROM job WHERE status < 2)",
        ),
        ("a job that runs is held", "SELECT number FROM job WHERE status = 1 AND instance IS NULL"),
        ("a job that waits is not", "SELECT number FROM job WHERE status = 0 AND instance IS NOT NULL"),
        ("attempts count at most claims", "SELECT number FROM job WHERE attempts > attempt"),
        ("a job has ended when it says so", "SELECT number FROM job WHERE (finished_at IS NULL) <> (status < 2)"),
    ] {
        let mut select = db.prepare(sql).unwrap();
        let wrong = select.query_map([], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        let wrong: Vec<_> = wrong.map(Result::unwrap).collect();
        assert!(wrong.is_empty(), "{what}: {wrong:?}");
    }
}

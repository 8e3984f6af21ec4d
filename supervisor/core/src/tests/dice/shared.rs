//! Steps about locks and lanes: requests of clients, and words of the store.

use super::super::harness::World;
use super::super::locks::holders::Held;
use super::super::shared::Word;
use super::super::steps::Step;
use super::{CLIENTS, Dice};
use crate::ConnId;
use gob_protocol::queue::LaneName;
use gob_protocol::request::{
    ByJob, ByLane, LockAcquire, LockBreak, LockRelease, LockStatus, QueueAdd, QueueClaim, QueueFinish,
    QueueHeartbeat, QueueRetry, QueueWidth,
};
use gob_protocol::{LockMode, LockName, Name, Request};
use std::boxed::Box;
use std::vec::Vec;
use std::{format, vec};

const LOCKS: [&str; 3] = ["a", "b", "c"];
const LANES: [&str; 2] = ["a", "out"];

/// The subjects of a history, beside workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Workers,
    Locks,
    Lanes,
    Both,
}

impl Subject {
    /// Histories without locks and lanes go on as before: most faults are not about those.
    pub(super) fn any(dice: &mut Dice) -> Self {
        dice.one(&[Self::Workers, Self::Workers, Self::Workers, Self::Locks, Self::Lanes, Self::Both])
    }

    fn has_locks(self) -> bool {
        matches!(self, Self::Locks | Self::Both)
    }

    fn has_lanes(self) -> bool {
        matches!(self, Self::Lanes | Self::Both)
    }
}

fn lock(text: &str) -> LockName {
    LockName::new(text).unwrap()
}

impl Dice {
    /// A step about locks or lanes, if the history has them.
    pub(super) fn shared(&mut self, world: &World) -> Option<Step> {
        if self.subject == Subject::Workers {
            return None;
        }
        if self.below(400) == 0 {
            return Some(Step::Killed);
        }
        let is_about_locks = match self.subject {
            Subject::Both => self.below(2) == 0,
            one => one.has_locks(),
        };
        match self.below(100) {
            0..5 if world.shared.tokens.owes() => Some(Step::Store(Word::Tokens(self.below(8) > 0))),
            0..14 if !world.shared.desk.asked.is_empty() => Some(Step::Store(self.one(&[
                Word::Answers,
                Word::Answers,
                Word::Answers,
                Word::Answers,
                Word::Answers,
                Word::Answers,
                Word::Fails,
                Word::Silent,
            ]))),
            14..22 if is_about_locks => Some(self.about_locks(world)),
            14..22 if self.subject.has_lanes() => Some(self.about_lanes(world)),
            _other => None,
        }
    }

    fn about_locks(&mut self, world: &World) -> Step {
        let holders = &world.shared.holders;
        let conn = self.one(&CLIENTS).0;
        let held = self.maybe(60, |dice| dice.holder(&holders.held)).flatten();
        match (self.below(12), held) {
            (0..4, Some(Held { conn, lock, token, .. })) => {
                Step::Ask(conn, Request::LockRelease(LockRelease { lock, token }))
            }
            (4, Some(Held { conn, .. })) => Step::Leave(conn),
            (5, Some(Held { lock, .. })) => Step::Ask(conn, Request::LockBreak(LockBreak { lock })),
            (6, _) => Step::Ask(conn, Request::LockStatus(LockStatus::default())),
            (7, _) => {
                let made_up = LockRelease { lock: lock(self.one(&LOCKS)), token: holders.highest + 1 };
                Step::Ask(conn, Request::LockRelease(made_up))
            }
            _most => Step::Ask(conn, Request::LockAcquire(Box::new(self.acquire(world)))),
        }
    }

    fn holder(&mut self, held: &[Held]) -> Option<Held> {
        (!held.is_empty()).then(|| self.one(held))
    }

    fn acquire(&mut self, world: &World) -> LockAcquire {
        let holders = &world.shared.holders;
        // A holder claims what it had under an earlier supervisor, or renews what it has.
        let lost = self.maybe(40, |dice| dice.holder(&world.shared.lost)).flatten();
        if let Some(Held { lock, token, mode, .. }) = lost {
            return LockAcquire { mode: Some(mode), token: Some(token), ..LockAcquire::new(lock) };
        }
        let held = self.maybe(20, |dice| dice.holder(&holders.held)).flatten();
        let mut asked = LockAcquire {
            mode: Some(self.one(&[LockMode::Exclusive, LockMode::Exclusive, LockMode::Shared])),
            timeout_ms: self.maybe(50, |dice| dice.one(&[0, 1, 50, 3_000, 20_000])),
            priority: self.maybe(40, |dice| dice.one(&[-1, 1, 2])),
            ttl_ms: self.maybe(25, |dice| dice.one(&[1, 200, 6_000])),
            ..LockAcquire::new(lock(self.one(&LOCKS)))
        };
        match held {
            Some(held) if self.below(2) == 0 => {
                (asked.lock, asked.token) = (held.lock, Some(held.token));
            }
            Some(held) => asked.within = Vec::from([held.token]),
            None => {}
        }
        asked.token = self.maybe(4, |dice| dice.one(&[0, 3, holders.highest + 1, u64::MAX])).or(asked.token);
        asked
    }

    fn about_lanes(&mut self, world: &World) -> Step {
        let conn = self.one(&CLIENTS).0;
        Step::Ask(conn, self.queue(world, conn))
    }

    fn lane(&mut self) -> LaneName {
        LaneName::new(self.one(&LANES)).unwrap()
    }

    fn job(&mut self, world: &World) -> Name {
        let jobs: Vec<u64> = world.shared.desk.store.rows.keys().copied().chain([999]).collect();
        Name::numbered(self.one(&jobs))
    }

    fn queue(&mut self, world: &World, conn: ConnId) -> Request {
        let worker_id = format!("host-{}", conn.0);
        match self.below(24) {
            6..11 => {
                let wait_ms = self.maybe(50, |dice| dice.below(20_000));
                Request::QueueClaim(QueueClaim { lane: self.lane(), worker_id, wait_ms })
            }
            11..13 => {
                let attempt = self.maybe(50, |_| 1);
                Request::QueueHeartbeat(QueueHeartbeat { job_id: self.job(world), worker_id, attempt })
            }
            13..16 => {
                let (job_id, success) = (self.outside(world, conn), self.below(3) > 0);
                Request::QueueFinish(QueueFinish { job_id, worker_id, success, error: None, attempt: None })
            }
            16 => Request::QueueCancel(ByJob { job_id: self.job(world) }),
            17 => Request::QueueRetry(QueueRetry { job_id: self.job(world), env: None }),
            18 => Request::QueuePause(ByLane { lane: self.lane() }),
            19 => Request::QueueResume(ByLane { lane: self.lane() }),
            20 | 21 => Request::QueueWidth(QueueWidth { lane: self.lane(), width: self.below(4) as u32 }),
            22 => Request::QueueGet(ByJob { job_id: self.job(world) }),
            _most => Request::QueueAdd(Box::new(self.new_job(world))),
        }
    }

    fn new_job(&mut self, world: &World) -> QueueAdd {
        QueueAdd {
            lane: self.lane(),
            command: vec!["make".into()],
            cwd: "/site".into(),
            env: None,
            priority: Some(self.below(3) as i32),
            delay_ms: self.maybe(25, |dice| dice.below(5_000)),
            max_attempts: Some(1 + self.below(3) as u32),
            after: self.maybe(20, |dice| dice.job(world)).into_iter().collect(),
            dedupe: self.maybe(20, |_| "k".into()),
            description: None,
        }
    }

    /// A job that this client has claimed, if there is one.
    fn outside(&mut self, world: &World, conn: ConnId) -> Name {
        let outside = world.shared.desk.outside.iter().find(|(_, (of, _))| *of == conn);
        outside.map_or_else(|| self.job(world), |(job, _)| job.clone())
    }
}

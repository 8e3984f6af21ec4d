//! Deadlines: what is due when, on the monotonic clock. Owns every deadline of the supervisor; the shell only wakes
//! the core at the earliest one.

use crate::ids::ConnId;
use alloc::collections::{BTreeMap, BTreeSet};
use gob_protocol::Name;
use gob_protocol::queue::LaneName;
use serde::{Deserialize, Serialize};

/// The purpose of a deadline, and the worker that it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Timer {
    /// A run must be ready.
    Start(Name),
    /// A run whose check is a delay is ready.
    Delay(Name),
    /// A change that was held back is to be published.
    Tell(Name),
    /// The time that processes without gob had to end is over.
    Evict(Name),
    /// Half of the grace of a stop has passed.
    Then(Name),
    /// The grace of a stop ends.
    Kill(Name),
    /// A sweep should be through.
    Sweep(Name),
    /// The restart policy's next try.
    Backoff(Name),
    /// A run is to be probed.
    Probe(Name),
    /// A worker was of no use for long enough.
    Idle(Name),
    /// A holder that is not ours was asked to end, and should have.
    Polite(Name),
    /// The grace after an owner's last lease ends.
    Lease(Name),
    /// A requester waits no longer.
    Waiter(Name, ConnId, u64),
    /// It is about the queue.
    Queue(Alarm),
    /// A request for a lock waits no longer.
    LockWait(u64),
    /// The TTL of the holder with this token ends.
    LockTtl(u64),
    /// The time of the claims of an earlier supervisor's holders ends.
    LockClaims,
}

/// The purpose of a deadline of the queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Alarm {
    /// A job of the lane may be claimed by now.
    Lane(LaneName),
    /// A claim that waits for a job waits no longer.
    Claimant(LaneName, u64),
    /// The claimant of a job was not heard for too long.
    Stale(Name),
    /// The end of an attempt is to be told to the store again.
    Settle(Name),
    /// The store is to be asked again what earlier lives left.
    Recover,
    /// A schedule is due.
    Schedules,
    /// Lanes that several machines share are to be looked at.
    Shared,
    /// Locks that several machines share are to be compared with the database.
    SharedLocks,
}

impl Timer {
    /// The worker that it is about; `None` for one of the queue or of locks.
    pub(crate) const fn name(&self) -> Option<&Name> {
        match self {
            Self::Start(name) | Self::Delay(name) | Self::Tell(name) | Self::Then(name) => Some(name),
            Self::Evict(name) | Self::Kill(name) => Some(name),
            Self::Sweep(name) | Self::Backoff(name) | Self::Probe(name) | Self::Idle(name) => Some(name),
            Self::Polite(name) | Self::Lease(name) | Self::Waiter(name, ..) => Some(name),
            Self::Queue(_) => None,
            Self::LockWait(_) | Self::LockTtl(_) | Self::LockClaims => None,
        }
    }

    /// The deadlines that a run may have.
    pub(crate) fn of_run(name: &Name) -> [Self; 9] {
        [
            Self::Start,
            Self::Delay,
            Self::Tell,
            Self::Evict,
            Self::Then,
            Self::Kill,
            Self::Sweep,
            Self::Probe,
            Self::Idle,
        ]
        .map(|timer| timer(name.clone()))
    }
}

/// A deadline that is met later than this was missed because of a suspend or of SIGSTOP.
const JUMP_MS: u64 = 2_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Timers {
    by_time: BTreeSet<(u64, Timer)>,
    times: BTreeMap<Timer, u64>,
    told: Option<u64>,
}

impl Timers {
    pub(crate) fn arm(&mut self, timer: Timer, at: u64) {
        self.cancel(&timer);
        self.by_time.insert((at, timer.clone()));
        self.times.insert(timer, at);
    }

    pub(crate) fn cancel(&mut self, timer: &Timer) {
        if let Some(at) = self.times.remove(timer) {
            self.by_time.remove(&(at, timer.clone()));
        }
    }

    pub(crate) fn at(&self, timer: &Timer) -> Option<u64> {
        self.times.get(timer).copied()
    }

    /// The deadline that comes first.
    pub(crate) fn earliest(&self) -> Option<u64> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the earliest deadline that is not after `now`.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<Timer> {
        if self.earliest()? > now {
            return None;
        }
        let (_, timer) = self.by_time.pop_first()?;
        self.times.remove(&timer);
        Some(timer)
    }

    /// Moves all deadlines on by the time since the last input if the supervisor slept: the workers may have slept too, and
    /// their answers may lie unread. The moment at which it fell asleep is unknown, so each deadline is as far away as it was
    /// at the last input. Returns whether they moved.
    pub(crate) fn skip_jump(&mut self, last: u64, now: u64) -> bool {
        let expected = self.earliest().map(|at| at.max(last));
        if expected.is_none_or(|at| now.saturating_sub(at) <= JUMP_MS) {
            return false;
        }
        let slept = now - last;
        let moved = core::mem::take(&mut self.by_time);
        self.by_time = moved.into_iter().map(|(at, timer)| (at.saturating_add(slept), timer)).collect();
        self.times = self.by_time.iter().map(|(at, timer)| (timer.clone(), *at)).collect();
        true
    }

    /// Every deadline, earliest first.
    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, &Timer)> {
        self.by_time.iter().map(|(at, timer)| (*at, timer))
    }

    /// The wake-up to ask for, when it is another one than was asked for last.
    pub(crate) fn changed_wake(&mut self) -> Option<Option<u64>> {
        let earliest = self.earliest();
        (earliest != self.told).then(|| {
            self.told = earliest;
            earliest
        })
    }

    /// Notes that the wake-up that was asked for has happened.
    pub(crate) fn woken(&mut self) {
        self.told = None;
    }
}

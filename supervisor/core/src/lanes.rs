//! The lanes of the queue: which slots are free, who waits for a job, and which jobs are held.
//!
//! The store alone knows the jobs, and decides which is next. This is what has to be known to ask it: one claim per lane is in
//! flight, it is asked for only when a slot is free or a claimant waits, and only while the lane may have something to claim.
//!
//! | file | |
//! |---|---|
//! | `asking` | the party that asks the store, and the sequel of its answer |
//! | `held` | jobs that are claimed: by the supervisor itself, or by workers outside |
//! | `lane` | one lane |

mod asking;
mod held;
mod lane;

use crate::ids::ConnId;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::queue::{Claimant, LaneName, MAX_LANES, NewJob};
use gob_protocol::{Actor, Name, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use asking::{Asking, Then};
pub(crate) use held::{By, End, Held, Holds};
pub(crate) use lane::{Client, Lane, Taker, Waiting};

/// Claims that wait for a job.
const MAX_WAITING: usize = 10_000;

/// Workers of jobs of the queue that are at rest, and still listed.
const MAX_ENDED: usize = 100;

/// Jobs that wait for a number.
const MAX_ADDS: usize = 10_000;

/// Everything about the queue that the store does not have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lanes {
    past: PastLives,
    /// How often the store could not tell what earlier lives left.
    tries: u32,
    lanes: BTreeMap<LaneName, Lane>,
    pub(crate) holds: Holds,
    /// Workers of jobs that are at rest, the oldest first.
    ended: VecDeque<Name>,
    adds: Vec<Adding>,
    /// Numbers the claims that wait.
    numbers: u64,
    /// The next time of any schedule.
    pub(crate) schedule_at: Option<Timestamp>,
    /// The store is being asked which schedules are due.
    pub(crate) asks_schedules: bool,
    /// The last word about jobs that are not finished, for `nuke`.
    pub(crate) unfinished: Unfinished,
    /// The database that several machines share.
    #[serde(default)]
    pub(crate) shared: SharedStore,
    /// The reason why it is away.
    #[serde(default)]
    pub(crate) shared_reason: String,
}

/// The database that several machines share, as far as claims go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SharedStore {
    /// It has not answered yet in this life: claims of an earlier one may go on.
    #[default]
    Unknown,
    /// It is away, and what was held here still is.
    Away,
    /// It is away, and nothing is held here any more.
    Lost,
    /// It was asked for what this machine held before.
    Asked,
    /// Everything that this machine held before was taken back.
    Settled,
}

impl SharedStore {
    /// Tells whether a claim that is not known here is none of this machine.
    pub(crate) const fn knows_claims(self) -> bool {
        matches!(self, Self::Settled | Self::Lost)
    }
}

/// What earlier lives of the supervisor have left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum PastLives {
    /// Nothing: there was no store.
    #[default]
    None,
    /// It is to be asked for.
    Unknown,
    /// The store was asked.
    Asked,
    /// It was taken back.
    Settled,
}

/// The jobs that `nuke` would lose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unfinished {
    /// Nobody has asked.
    #[default]
    Unasked,
    /// The store was asked.
    Asked,
    /// There are none.
    None,
    /// So many, as far as is known; they are kept.
    Kept(u64),
}

/// A `queue_add` that waits for a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Adding {
    pub(crate) client: Client,
    pub(crate) actor: Actor,
    /// The job without its id.
    pub(crate) job: NewJob,
}

impl Lanes {
    /// The lanes of a supervisor that was just started.
    pub(crate) fn new(has_queue: bool) -> Self {
        let past = if has_queue { PastLives::Unknown } else { PastLives::None };
        Self { past, ..Self::default() }
    }

    /// Tells whether anything can be claimed: what earlier lives ran goes back first.
    pub(crate) const fn is_settled(&self) -> bool {
        matches!(self.past, PastLives::None | PastLives::Settled)
    }

    /// Tells whether anything can be claimed in such a lane.
    pub(crate) fn may_claim(&self, is_shared: bool) -> bool {
        if is_shared { self.shared == SharedStore::Settled } else { self.is_settled() }
    }

    /// Tells whether there was a queue in this life, or may have been one in an earlier one.
    pub(crate) fn is_used(&self) -> bool {
        self.past != PastLives::None || !self.lanes.is_empty() || self.schedule_at.is_some()
    }

    /// Notes that the store is asked what earlier lives left; false where there is nothing to ask.
    pub(crate) fn asks_past(&mut self) -> bool {
        let asks = self.past == PastLives::Unknown;
        if asks {
            self.past = PastLives::Asked;
        }
        asks
    }

    /// Notes that the store has taken it back.
    pub(crate) fn past_is_settled(&mut self) {
        (self.past, self.tries) = (PastLives::Settled, 0);
    }

    /// Notes that the store can't tell now. Returns how often that was so.
    pub(crate) fn past_is_untold(&mut self) -> u32 {
        self.past = PastLives::Unknown;
        self.tries = self.tries.saturating_add(1);
        self.tries
    }

    /// Has the store asked again: processes of an earlier life that were left are gone.
    pub(crate) fn past_has_changed(&mut self) -> bool {
        let again = self.past == PastLives::Settled;
        if again {
            self.past = PastLives::Unknown;
        }
        again
    }

    pub(crate) fn get(&self, name: &LaneName) -> Option<&Lane> {
        self.lanes.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &LaneName) -> Option<&mut Lane> {
        self.lanes.get_mut(name)
    }

    /// The lane of this name, which has the width that the configuration says where it is new; `None` where there are too many.
    pub(crate) fn named(&mut self, name: &LaneName, said: Option<u32>) -> Option<&mut Lane> {
        if !self.lanes.contains_key(name) {
            if self.lanes.len() >= MAX_LANES {
                return None;
            }
            self.lanes.insert(name.clone(), Lane::new(said));
        }
        self.lanes.get_mut(name)
    }

    pub(crate) fn names(&self) -> Vec<LaneName> {
        self.lanes.keys().cloned().collect()
    }

    /// Takes the next party for which a job of the lane is to be claimed, and notes that one is.
    pub(crate) fn next_taker(&mut self, name: &LaneName, is_shared: bool, has_room: bool) -> Option<Taker> {
        let here = self.holds.here_in(name);
        let is_settled = self.may_claim(is_shared);
        self.lanes.get_mut(name).filter(|_| is_settled)?.next_taker(here, has_room)
    }

    /// Tells whether the supervisor itself may run one more job of the lane.
    pub(crate) fn has_slot(&self, name: &LaneName) -> bool {
        self.lanes.get(name).is_some_and(|lane| lane.has_slot(self.holds.here_in(name)))
    }

    /// Has a claim wait in its lane; false where too many do.
    pub(crate) fn waits(&mut self, name: &LaneName, waiting: Waiting) -> bool {
        let count: usize = self.lanes.values().map(Lane::waiting).sum();
        let has_room = count < MAX_WAITING;
        if let Some(lane) = self.lanes.get_mut(name).filter(|_| has_room) {
            lane.waits(waiting);
        }
        has_room
    }

    /// The number of the next claim that waits.
    pub(crate) const fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Takes the claims of a connection that is gone, each with its lane.
    pub(crate) fn take_waiting_of(&mut self, conn: ConnId) -> Vec<(LaneName, Waiting)> {
        let mut taken = Vec::new();
        for (name, lane) in &mut self.lanes {
            taken.extend(lane.take_of(conn).into_iter().map(|waiting| (name.clone(), waiting)));
        }
        taken
    }

    /// Tells whether the end of a connection would take a claim from its client.
    pub(crate) fn holds(&self, conn: ConnId) -> bool {
        self.holds.of(conn).next().is_some()
            || self.lanes.values().any(|lane| lane.waits_for(conn))
            || self.adds.iter().any(|adding| adding.client.0 == conn)
    }

    /// Notes the worker of a job that came to rest. Returns the one that is not listed any longer.
    pub(crate) fn rests(&mut self, name: &Name) -> Option<Name> {
        self.rises(name);
        self.ended.push_back(name.clone());
        if self.ended.len() > MAX_ENDED { self.ended.pop_front() } else { None }
    }

    /// Tells whether this is the worker of a job of the queue that came to rest.
    pub(crate) fn has_ended(&self, name: &Name) -> bool {
        self.ended.contains(name)
    }

    /// Notes that the worker of a job runs again.
    pub(crate) fn rises(&mut self, name: &Name) {
        self.ended.retain(|ended| ended != name);
    }

    /// Has a job wait for its number; false where too many do.
    pub(crate) fn wants_number(&mut self, adding: Adding) -> bool {
        let has_room = self.adds.len() < MAX_ADDS;
        if has_room {
            self.adds.push(adding);
        }
        has_room
    }

    /// Takes as many of the jobs that wait for a number, in the order in which they came.
    pub(crate) fn take_adds(&mut self, most: u64) -> Vec<Adding> {
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(self.adds.len());
        self.adds.drain(..count).collect()
    }

    /// Tells whether jobs wait for a number.
    pub(crate) fn has_adds(&self) -> bool {
        !self.adds.is_empty()
    }

    /// Forgets the jobs of a connection that is gone, as far as they have no number.
    pub(crate) fn forget_adds(&mut self, conn: ConnId) {
        self.adds.retain(|adding| adding.client.0 != conn);
    }

    /// Tells whether the supervisor's end has to wait: its own claims are given back first.
    pub(crate) fn is_settling(&self) -> bool {
        self.holds.is_settling()
            || self.lanes.values().any(Lane::is_asking)
            || self.unfinished == Unfinished::Asked
    }
}

/// The claimant as the store takes it; `host` where several machines share the lane.
pub(crate) fn claimant(by: &By, pid: i32, host: Option<&str>) -> Claimant {
    match by {
        By::Here => Claimant::Supervisor(match host {
            Some(host) => alloc::format!("{host}/gobd-{pid}"),
            None => alloc::format!("gobd-{pid}"),
        }),
        By::Outside { worker_id, .. } => Claimant::Outside(worker_id.clone()),
    }
}

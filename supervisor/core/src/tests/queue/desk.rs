//! The store of the queue behind a desk, where questions lie until they are answered; and what must hold of attempts.

use super::store::Store;
use crate::{Config, ConnId, Core, Input, NoAnswer, Question, Stored};
use gob_protocol::queue::{Claimant, QueueAsk, QueueStatus};
use gob_protocol::{Name, Timestamp};
use std::boxed::Box;
use std::collections::{BTreeMap, VecDeque};
use std::format;
use std::string::String;

#[derive(Debug, Clone)]
pub(in crate::tests) struct Desk {
    pub(in crate::tests) store: Store,
    /// Questions without an answer, in their order.
    pub(in crate::tests) asked: VecDeque<(u64, Question)>,
    pub(in crate::tests) next_number: u64,
    /// Attempts outside that the claimant knows of.
    pub(in crate::tests) outside: BTreeMap<Name, (ConnId, u32)>,
    /// The last attempt of each job that began.
    pub(in crate::tests) begun: BTreeMap<Name, u32>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            store: Store { life: 1, ..Store::default() },
            asked: VecDeque::new(),
            next_number: 1,
            outside: BTreeMap::new(),
            begun: BTreeMap::new(),
        }
    }
}

impl Desk {
    /// Another supervisor follows, which finds this in the store.
    pub(in crate::tests) fn restarts(&mut self, config: &mut Config) {
        config.remembered.has_queue = true;
        let given = self.store.rows.keys().next_back().copied().unwrap_or_default();
        config.remembered.highest_job = self.next_number.max(given);
        config.last_runs.extend(self.begun.iter().map(|(id, attempt)| (id.clone(), u64::from(*attempt))));
        self.store.life += 1;
        self.asked.clear();
    }

    /// The store answers the question that it was asked first.
    pub(in crate::tests) fn answers(&mut self, now: Timestamp) -> Result<Option<Input>, String> {
        let Some((ticket, question)) = self.asked.pop_front() else { return Ok(None) };
        let stored = match question {
            Question::Reserve { count, above } => {
                // Numbers may have been given without the store.
                let given = self.store.rows.keys().next_back().copied().unwrap_or_default();
                let first = self.next_number.max(above + 1).max(given + 1);
                self.next_number = first + u64::from(count);
                Stored::Reserved { first, count }
            }
            Question::Queue(ask) => {
                let told = self.store.answer(&ask, now);
                // A claimant outside will hear that it has lost its job.
                let is_held = |id: &Name| self.store.rows[&id.number().unwrap()].held.is_some();
                self.outside.retain(|id, _| is_held(id));
                Stored::Queue(Box::new(told))
            }
            other => return Err(format!("{other:?}, which nobody needs")),
        };
        Ok(Some(Input::Stored { ticket, answer: Ok(stored) }))
    }

    /// The store can't answer the question that it was asked first, and does nothing.
    pub(in crate::tests) fn fails(&mut self) -> Option<Input> {
        let (ticket, _) = self.asked.pop_front()?;
        Some(Input::Stored { ticket, answer: Err(NoAnswer::Failed("it is locked".into())) })
    }

    /// The store does not answer in time. It will, and what it says about the queue counts; numbers are used up.
    pub(in crate::tests) fn is_slow(&mut self) -> Option<Input> {
        let (ticket, question) = self.asked.front()?.clone();
        if let Question::Reserve { count, .. } = question {
            self.next_number += u64::from(count);
            self.asked.pop_front();
        }
        Some(Input::Stored { ticket, answer: Err(NoAnswer::Silent) })
    }

    /// A connection is gone, and its claims go back.
    pub(in crate::tests) fn leaves(&mut self, conn: ConnId) {
        self.outside.retain(|_, (of, _)| *of != conn);
    }

    /// Whether one more than these jobs fits into the slots of its lane, where it is run here.
    pub(in crate::tests) fn has_slot<'a>(&self, job: &Name, here: impl Iterator<Item = &'a Name>) -> bool {
        let lane = |id: &Name| self.store.rows.get(&id.number()?).map(|row| &row.job.lane);
        let Some(meant) = lane(job) else { return false };
        let width = self.store.lanes.get(meant).map_or(1, |(width, _)| *width as usize);
        here.filter(|other| *other != job && lane(other) == Some(meant)).count() < width
    }

    /// The jobs that the supervisor holds by the store.
    pub(in crate::tests) fn held_here(&self) -> impl Iterator<Item = &Name> {
        let is_here =
            |held: &(u64, Claimant)| held.0 == self.store.life && matches!(held.1, Claimant::Supervisor(_));
        let rows = self.store.rows.values().filter(move |row| row.held.as_ref().is_some_and(is_here));
        rows.map(|row| &row.job.id)
    }

    /// An attempt begins while these jobs run here: here, too, or outside.
    pub(in crate::tests) fn begins<'a>(
        &mut self,
        job: &Name,
        attempt: u32,
        here: impl Iterator<Item = &'a Name> + Clone,
        is_here: bool,
    ) -> Result<(), String> {
        let runs = here.clone().any(|other| other == job);
        ensure!(!runs, "{job} runs already, and attempt {attempt} begins");
        ensure!(!self.outside.contains_key(job), "{job} is held outside, and attempt {attempt} begins");
        let last = self.begun.insert(job.clone(), attempt).unwrap_or_default();
        ensure!(attempt > last, "attempt {attempt} of {job} begins after {last}");
        let status = self.store.job(job.as_str()).status;
        ensure!(status == QueueStatus::Running || status == QueueStatus::Cancelled, "{job} is {status}");
        ensure!(!is_here || self.has_slot(job, here), "{job} begins beyond the width of its lane");
        Ok(())
    }

    /// The invariants of claims, after each input; `others` are questions to another store.
    pub(in crate::tests) fn check(
        &self,
        core: &Core,
        others: &VecDeque<(u64, Question)>,
    ) -> Result<(), String> {
        let mut claims = BTreeMap::<_, usize>::new();
        for (_, question) in self.asked.iter().chain(others) {
            if let Question::Queue(ask) = question
                && let QueueAsk::Claim { lane, .. } = &**ask
            {
                *claims.entry(lane.clone()).or_default() += 1;
            }
        }
        ensure!(claims.values().all(|count| *count == 1), "claims in flight: {claims:?}");
        for name in core.lanes.names() {
            let lane = core.lanes.get(&name).ok_or("no lane")?;
            ensure!(lane.is_in_flight() == claims.contains_key(&name), "{name}: a claim is in flight");
        }
        let held = core.lanes.holds.iter().filter(|(_, held)| held.is_here()).count();
        let is_of_queue = |name: &Name| name.number().is_some();
        let here =
            core.workers.values().filter(|worker| worker.is_running() && is_of_queue(&worker.name)).count();
        ensure!(here <= held, "{here} run, and {held} are held");
        Ok(())
    }

    /// The invariant of the end: no job is lost.
    pub(in crate::tests) fn check_settled(&self, core: &Core) -> Result<(), String> {
        for row in self.store.rows.values() {
            ensure!(row.job.status.is_end() && row.held.is_none(), "it is lost: {row:?}");
            let is_done = row.job.status == QueueStatus::Completed;
            ensure!(!is_done || row.job.attempt > 0, "done without an attempt: {row:?}");
        }
        ensure!(core.lanes.holds.iter().next().is_none(), "held: {:?}", core.lanes);
        Ok(())
    }
}

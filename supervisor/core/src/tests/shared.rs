//! The part of the world that clients share: named locks and the jobs of lanes, with the store that answers about both. The models
//! and their checks are those of the histories of locks and of the queue.

use super::harness::{Answer, World, config};
use super::locks::holders::{Held, Holders};
use super::locks::shell::Shell;
use super::queue::desk::Desk;
use super::queue::store::Row;
use super::spec::Spec;
use super::steps::Step;
use super::upgrading::Upgrading;
use crate::worker::Worker;
use crate::{Config, ConnId, Core, Effect, Input, LocksMark, Now, Question, RememberedWorker};
use gob_protocol::queue::{Claimant, LaneName, QueueStatus, QueueTold};
use gob_protocol::request::{ByLane, LockRelease, QueueFinish, QueueWidth};
use gob_protocol::{Data, Event, Name, Request, Timestamp};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) tokens: Shell,
    pub(super) holders: Holders,
    /// Locks that were held when a supervisor was killed: their holders may claim them.
    pub(super) lost: Vec<Held>,
    pub(super) desk: Desk,
    /// The store has failed once, so that requests may be refused for it.
    has_failed: bool,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            tokens: Shell::new(0, true, LocksMark::Missing),
            holders: Holders::default(),
            lost: Vec::new(),
            desk: Desk::default(),
            has_failed: false,
        }
    }
}

/// A job that is due later than this is waited for by setting the clock.
const CLOCK_SLACK_MS: i64 = 2_000;

/// A word of the store.
#[derive(Debug, Clone, Copy)]
pub(super) enum Word {
    /// It answers about the queue, or can't, or not in time.
    Answers,
    Fails,
    Silent,
    /// It reserves tokens, or the mark is made; or neither can be.
    Tokens(bool),
}

/// Tells whether a request is about locks or the queue.
pub(super) fn is_shared(request: &Request) -> bool {
    let op = request.type_name();
    op.starts_with("lock_") || op.starts_with("queue_")
}

impl Shared {
    /// The input by which the store says so; `None` where nothing was asked.
    pub(super) fn says(&mut self, word: Word, now: Timestamp) -> Result<Option<Input>, String> {
        self.has_failed |= !matches!(word, Word::Answers | Word::Tokens(true));
        match word {
            Word::Answers => self.desk.answers(now),
            Word::Fails => Ok(self.desk.fails()),
            Word::Silent => Ok(self.desk.is_slow()),
            Word::Tokens(can) => {
                (self.tokens.store, self.tokens.markable) = (can, can);
                let input = self.tokens.tells();
                self.holders.is_told |= self.tokens.is_heard;
                Ok(input)
            }
        }
    }

    /// Tells whether an answer may be that the store or the mark can't be used.
    pub(super) fn may_be_unable(&self, request: Option<&Request>) -> bool {
        self.has_failed && request.is_some_and(is_shared)
    }

    /// Notes a request.
    pub(super) fn asked(&mut self, conn: ConnId, id: i64, request: &Request) {
        if let Request::LockAcquire(asked) = request {
            self.holders.sends(conn, id, asked);
        }
    }

    /// Takes a question or an order; false for one that is about something else.
    pub(super) fn takes(&mut self, effect: &Effect) -> bool {
        if self.tokens.takes(effect) {
            return true;
        }
        let Effect::Ask { ticket, question } = effect else { return false };
        let is_its = matches!(question, Question::Reserve { .. } | Question::Queue(_));
        if is_its {
            self.desk.asked.push_back((*ticket, question.clone()));
        }
        is_its
    }

    /// The numbers of the questions that are not answered.
    pub(super) fn tickets(&self) -> BTreeSet<u64> {
        let asked = self.desk.asked.iter().map(|(ticket, _)| *ticket);
        asked.chain(self.tokens.asked().0).collect()
    }

    /// Tells whether each job has ended.
    fn is_done(&self) -> bool {
        self.desk.store.rows.values().all(|row| row.job.status.is_end() && row.held.is_none())
    }
}

impl World {
    /// Takes an answer to a request about locks or the queue.
    pub(super) fn shared_answer(
        &mut self,
        conn: ConnId,
        id: i64,
        request: &Request,
        result: &Answer,
    ) -> Result<(), String> {
        if matches!(request, Request::LockAcquire(_)) {
            let token = match result {
                Ok(Data::LockAcquire(data)) => Some(data.token),
                _refused => None,
            };
            self.shared.holders.is_answered(id, token);
        }
        if let Ok(Data::QueueClaim(data)) = result
            && let Some(job) = &data.job
        {
            let here = self.runs.iter().map(|(name, _)| name);
            self.shared.desk.begins(&job.id, job.attempt, here, false)?;
            self.shared.desk.outside.insert(job.id.clone(), (conn, job.attempt));
        }
        Ok(())
    }

    /// A run begins: the attempt of a job, where it has the name of one.
    pub(super) fn attempt_begins(&mut self, job: &Name, attempt: u64) -> Result<(), String> {
        if job.number().is_none() {
            return Ok(());
        }
        let here = self.runs.iter().map(|(name, _)| name);
        self.shared.desk.begins(job, attempt as u32, here, true)
    }

    /// Checks locks and lanes after each input, whose events are these.
    pub(super) fn check_shared(&mut self, first: usize) -> Result<(), String> {
        let new: &[Rc<Event>] = self.history.get(first..).unwrap_or_default();
        let Shared { tokens, holders, desk, .. } = &mut self.shared;
        holders.hear(new, tokens, self.now)?;
        holders.check(&self.core.locks, &self.core.cx.timers, tokens)?;
        desk.check(&self.core, &VecDeque::new())
    }

    /// The supervisor is killed, or has ended in order, and another one follows.
    pub(super) fn killed(&mut self) -> Result<(), String> {
        let known = self.core.to_remember();
        let mut config =
            Config { settings: self.core.cx.setup.settings.clone(), ..config(super::harness::kind()) };
        let graphs = self.core.workers.values().filter(|worker| worker.spec.graph().is_some());
        // Jobs without the queue are not remembered: their file was damaged.
        config.remembered.workers = graphs.map(|worker| remembered(worker, &known)).collect();
        config.remembered.ended_in_order = self.ended;
        config.last_runs = self.runs.restarts();
        config.locks_mark = self.shared.tokens.mark;
        self.shared.desk.restarts(&mut config);
        let tokens = &self.shared.tokens;
        self.shared.tokens = Shell::new(tokens.reserved, tokens.store, tokens.mark);
        self.shared.lost = self.shared.holders.restarts(&self.shared.tokens, self.now);
        self.spec = Spec::remembering(&config.remembered).since(self.now);
        self.wishes_before.clear();
        self.core = Core::new(config, Now { mono_ms: self.now, wall: self.wall() });
        (self.wake, self.ended, self.signalling) = (None, false, None);
        self.upgrading = Upgrading::default();
        self.clients.clear();
        self.owed.clear();
        self.history.clear();
        self.lasts.clear();
        self.note_events();
        self.feed(Input::Begin)
    }

    /// The step that brings locks and lanes nearer to their rest; `None` where nothing is left to do.
    pub(super) fn shared_step(&self) -> Option<Step> {
        let Shared { tokens, holders, desk, .. } = &self.shared;
        if tokens.owes() {
            return Some(Step::Store(Word::Tokens(true)));
        }
        if !desk.asked.is_empty() {
            return Some(Step::Store(Word::Answers));
        }
        if let (false, Some(held)) = (holders.sent.is_empty(), holders.held.first()) {
            let release = LockRelease { lock: held.lock.clone(), token: held.token };
            return Some(Step::Ask(held.conn, Request::LockRelease(release)));
        }
        if self.spec.ending || self.shared.is_done() {
            return None;
        }
        let Some(conn) = self.clients.keys().next() else { return Some(Step::Join(ConnId(1), "cli")) };
        for (lane, (width, is_paused)) in &desk.store.lanes {
            let lane = LaneName::clone(lane);
            if *is_paused {
                return Some(Step::Ask(*conn, Request::QueueResume(ByLane { lane })));
            }
            if *width == 0 {
                return Some(Step::Ask(*conn, Request::QueueWidth(QueueWidth { lane, width: 2 })));
            }
        }
        let is_over = |id: &Name| desk.store.job(id.as_str()).status.is_end();
        let waits = |row: &Row| row.job.status == QueueStatus::Pending && row.job.after.iter().all(is_over);
        let next = desk.store.rows.values().filter(|row| waits(row)).map(|row| row.job.run_at.0).min();
        let late = next.map_or(0, |next| next.saturating_sub(self.wall().0));
        if late > CLOCK_SLACK_MS {
            // A clock that was set back is put right, instead of hours that pass.
            return Some(Step::Skew(late));
        }
        // One whose end is under way is the supervisor's to tell.
        let holds = &self.core.lanes.holds;
        let is_held = |id: &Name| holds.get(id).is_some_and(|held| held.end.is_none());
        let is_outside = |row: &&Row| matches!(row.held, Some((_, Claimant::Outside(_))));
        let row = desk.store.rows.values().filter(is_outside).find(|row| is_held(&row.job.id))?;
        let Some((_, Claimant::Outside(worker_id))) = row.held.clone() else { return None };
        let finish =
            QueueFinish { job_id: row.job.id.clone(), worker_id, success: true, error: None, attempt: None };
        Some(Step::Ask(*conn, Request::QueueFinish(finish)))
    }

    /// Tells whether jobs of the queue are still to end.
    pub(super) fn has_jobs_left(&self) -> bool {
        !self.spec.ending && !self.shared.is_done()
    }

    /// No job is lost, and a supervisor that has ended holds none.
    pub(super) fn check_shared_settled(&self) -> Result<(), String> {
        if !self.spec.ending {
            return self.shared.desk.check_settled(&self.core);
        }
        // The store could not be told of the end of those that it knows of.
        let holds = &self.core.lanes.holds;
        let lost: Vec<_> = self.shared.desk.held_here().filter(|id| holds.get(id).is_none()).collect();
        ensure!(lost.is_empty(), "the supervisor has ended, and the store waits for {lost:?}");
        Ok(())
    }

    pub(super) fn wall(&self) -> Timestamp {
        Timestamp(self.skew.saturating_add_unsigned(self.now))
    }
}

/// A worker as the next supervisor finds it.
fn remembered(worker: &Worker, known: &crate::ToRemember) -> RememberedWorker {
    RememberedWorker {
        view: worker.view(false),
        last_owner: known.last_owners.get(&worker.name).cloned(),
        last_port: known.last_ports.get(&worker.name).copied(),
        was_served: known.served.contains(&worker.name),
        restart: None,
    }
}

impl Spec {
    /// The consequences of an answer about the queue: an attempt begins, or one that runs is cancelled.
    pub(super) fn told(&mut self, core: &Core, shared: &Shared, told: &QueueTold, now: u64) -> Option<Name> {
        match told {
            QueueTold::Claimed { claim: Some(claim), .. } if claim.job.worker.is_some() && !self.ending => {
                let (id, owner) = (&claim.job.id, &claim.job.owner);
                let has_slot = shared.desk.has_slot(id, shared.desk.held_here());
                has_slot.then(|| {
                    self.attempt(id, owner, now);
                    id.clone()
                })
            }
            QueueTold::Settled(settled) => {
                let job = &settled.job;
                let is_here = core.lanes.holds.get(&job.id).is_some_and(|held| held.is_here());
                if job.status == QueueStatus::Cancelled && is_here {
                    self.is_cancelled(&job.id);
                }
                None
            }
            _other => None,
        }
    }
}

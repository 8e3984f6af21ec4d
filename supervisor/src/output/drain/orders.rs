//! What the drain thread does for the main thread.

use super::Drain;
use super::run::Run;
use super::slots::Token;
use crate::output::exchange::Job;
use crate::output::{Command, FromOutput, HandedOver, HandedRun};
use gob_protocol::Name;
use std::sync::{Arc, mpsc};

impl Drain {
    /// Carries out an order; false when it is to end.
    pub(super) fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Attach(run) => self.attach(run),
            Command::Resume(handed) => {
                handed.reports.into_iter().for_each(|report| self.reports.send(report));
                handed.runs.into_iter().for_each(|run| self.attach(run));
            }
            Command::Drain(key) => match self.slots.find(&key) {
                Some(token) => {
                    self.slots.run(token).into_iter().for_each(|run| run.asked = true);
                    self.owe(token);
                }
                None => self.reports.send(FromOutput::Drained { key }),
            },
            Command::Forget(name) => self.forget(name),
            Command::Flush(done) => {
                self.flushes.push(done);
                self.slots.tokens().into_iter().for_each(|token| self.owe(token));
            }
            Command::HandOver { taken, flushed } => {
                let handed = self.hand_over();
                self.exchange.submit(Job::Flush(flushed));
                if let Err(mpsc::SendError(handed)) = taken.send(handed) {
                    return self.obey(Command::Resume(handed));
                }
            }
            Command::Stop => return false,
        }
        true
    }

    fn attach(&mut self, run: HandedRun) {
        let id = self.next_id;
        self.next_id += 1;
        self.exchange.submit(Job::Open { id, key: run.key.clone(), tap: Arc::clone(&run.tap) });
        let token = self.slots.insert(Run::new(id, run, &self.poller, self.slots.next()));
        // Whatever is in the pipes already is told by the poller; only what has no pipe has ended here and now.
        if self.slots.run(token).is_some_and(|run| run.pipes.iter().all(Option::is_none)) {
            self.end(token);
        }
    }

    /// Has both pipes of a run read until they are empty.
    fn owe(&mut self, token: Token) {
        for token in token.both() {
            if let Some(pipe) = self.slots.pipe(token) {
                pipe.owe();
                self.queue(token);
            }
        }
    }

    fn forget(&mut self, name: Name) {
        for token in self.slots.tokens() {
            if self.slots.run(token).is_some_and(|run| run.key.name == name) {
                self.let_go(token);
            }
        }
        self.send_batch(true);
        self.exchange.submit(Job::Forget(name));
    }

    fn hand_over(&mut self) -> HandedOver {
        let runs: Vec<Run> = self.slots.tokens().into_iter().filter_map(|token| self.let_go(token)).collect();
        self.send_batch(true);
        for run in &runs {
            self.exchange.submit(Job::Close(run.id));
        }
        // Their files are closed by the time that the flush behind them is done.
        let closing = self.closing.drain().map(|(_, key)| FromOutput::Closed { key });
        let reports = self.reports.take().into_iter().chain(closing).collect();
        HandedOver { runs: runs.into_iter().map(Run::hand_over).collect(), reports }
    }

    /// Takes a run out with its pipes. What waits for an answer about it gets one.
    fn let_go(&mut self, token: Token) -> Option<Run> {
        let mut run = self.slots.remove(token)?;
        for pipe in run.pipes.iter_mut().flatten() {
            pipe.disarm(&self.poller);
            self.big_pipes -= usize::from(pipe.big);
            pipe.owes = 0;
            if let Some(terms) = pipe.loan.take() {
                terms.revoke();
                self.lent -= 1;
            }
        }
        if let Some(report) = run.answer() {
            self.reports.send(report);
        }
        Some(run)
    }
}

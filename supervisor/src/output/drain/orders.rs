//! The drain thread's side of the loop's orders.

use super::Drain;
use super::run::Run;
use super::slots::Token;
use crate::output::exchange::Job;
use crate::output::{Attached, Command, FromOutput};
use gob_protocol::Name;
use std::sync::Arc;

impl Drain {
    /// Carries out an order; false when it is to end.
    pub(super) fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Attach(run) => self.attach(run),
            Command::Drain(key) => match self.slots.find(&key) {
                Some(token) => {
                    self.slots.run(token).into_iter().for_each(|run| run.asked = true);
                    self.owe(token);
                }
                None => self.reports.send(FromOutput::Drained { key }),
            },
            Command::Forget(name) => self.forget(name),
            Command::FindAgain => {
                self.send_batch(true);
                self.exchange.submit(Job::FindAgain);
            }
            Command::Flush(done) => {
                self.flushes.push(done);
                self.slots.tokens().into_iter().for_each(|token| self.owe(token));
            }
            Command::Rest => {
                self.rests = true;
                self.recall_lent();
            }
            Command::GoOn => self.rests = false,
            Command::Stop => return false,
        }
        true
    }

    fn attach(&mut self, run: Attached) {
        let id = self.next_id;
        self.next_id += 1;
        self.exchange.submit(Job::Open { id, key: run.key.clone(), tap: Arc::clone(&run.tap) });
        let token = self.slots.insert(Run::new(id, run, &self.poller, self.slots.next()));
        // The poller reports data in the pipes; only a run without pipes ends at once.
        if self.slots.run(token).is_some_and(|run| run.pipes.iter().all(Option::is_none)) {
            self.end(token);
        }
    }

    /// Reads both pipes of a run until they are empty.
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

    /// Removes a run with its pipes, and answers the callers that wait for it.
    fn let_go(&mut self, token: Token) {
        let Some(mut run) = self.slots.remove(token) else { return };
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
    }
}

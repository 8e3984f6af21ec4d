//! Pipes that the writer copies itself, see [`crate::output::loan`].

use super::Drain;
use super::slots::Token;
use crate::output::exchange::Job;
use crate::output::loan::{Loan, Terms};

impl Drain {
    /// Lends a flooding pipe to the writer, behind the bytes that were read of it.
    pub(super) fn lend(&mut self, token: Token) {
        self.send_batch(true);
        let Some(run) = self.slots.run(token) else { return };
        let (id, stream) = (run.id, token.stream());
        if let Some(pipe) = run.pipes.get_mut(token.side()).and_then(Option::as_mut) {
            // Every write to it would wake this thread for nothing.
            pipe.disarm(&self.poller);
            self.lent += 1;
            self.exchange.submit(Job::Copy(Loan { run: id, stream, token: token.0, terms: pipe.lend() }));
        }
    }

    /// Has the writer give back all pipes.
    pub(super) fn recall_lent(&mut self) {
        for run in self.slots.iter() {
            run.pipes.iter().flatten().filter_map(|pipe| pipe.loan.as_ref()).for_each(Terms::revoke);
        }
    }

    /// Takes back pipes that the writer returned; they may have data.
    pub(super) fn take_back(&mut self) {
        for loan in self.exchange.take_returned() {
            let token = Token(loan.token);
            if let Some(pipe) = self.slots.pipe(token)
                && pipe.loan.as_ref().is_some_and(|terms| terms.is(&loan.terms))
            {
                pipe.loan = None;
                self.lent -= 1;
                self.watch_again(token);
            }
        }
    }

    /// Reads lent pipes here too, while the disk hangs.
    pub(super) fn read_lent(&mut self) {
        for token in self.slots.tokens().into_iter().flat_map(Token::both) {
            if self.slots.pipe(token).is_some_and(|pipe| pipe.loan.is_some()) {
                self.watch_again(token);
            }
        }
    }

    /// Registers a pipe with the poller again, and reads the bytes that it may have missed.
    fn watch_again(&mut self, token: Token) {
        if let Some(pipe) = self.slots.pipe(token)
            && let Err(error) = pipe.arm(&self.poller, token.0)
        {
            tracing::warn!(%error, "cannot read a worker's output");
            return self.end(token);
        }
        self.queue(token);
    }
}

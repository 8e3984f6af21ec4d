//! Requests that the store answers, and its answers.

use crate::chronicle::{NoAnswer, Question, Stored};
use crate::conns::Caller;
use crate::history;
use crate::ids::RunKey;
use crate::io::Effect;
use crate::queue;
use crate::state::Core;
use crate::underway::{Adding, Asker};
use gob_protocol::Request;

impl Core {
    /// Asks the store what a request asks.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other requests are not about the history")]
    pub(crate) fn ask(&mut self, caller: &Caller, request: Request) {
        let question = match request {
            Request::Runs(runs) => history::runs(runs, &self.workers),
            Request::RunsDelete(delete) => history::delete(delete, caller, &self.workers),
            Request::Stats(which) => history::stats(which.name, &self.workers),
            Request::Blame(blame) => history::blame(blame, &self.workers),
            Request::History(history) => Ok(history::since(history)),
            _other => return,
        };
        match question {
            Err(error) => self.cx.answer(caller, Err(error)),
            Ok(question) => {
                let asker = Asker::Client(caller.conn, caller.id.clone());
                let effect = self.underway.asks(asker, question);
                self.cx.push(effect);
            }
        }
    }

    /// The store has answered, or does not.
    pub(crate) fn stored(&mut self, ticket: u64, answer: Result<Stored, NoAnswer>) {
        if matches!(answer, Err(NoAnswer::Silent)) && queue::is_overdue(self, ticket) {
            return;
        }
        let Some(asked) = self.underway.answered(ticket) else { return };
        match asked.asker {
            Asker::Client(conn, id) => {
                if let (Question::DeleteRun { name, run }, Ok(Stored::Deleted(true))) =
                    (&asked.question, &answer)
                {
                    self.cx.push(Effect::ForgetRun(RunKey { name: name.clone(), run: *run }));
                    if let Some(worker) = self.workers.get_mut(name) {
                        worker.expects.forgets(*run);
                    }
                    history::look_for_durations(name, &mut self.workers, &mut self.underway, &mut self.cx);
                }
                if let Some(caller) = self.conns.caller(conn, id) {
                    self.cx.answer(&caller, history::told(&asked.question, answer));
                }
            }
            Asker::Job => {
                history::take_durations(&asked.question, answer, &mut self.workers, &mut self.cx);
            }
            Asker::Queue(asking) => queue::told(self, asked.question, *asking, answer),
            Asker::Lock(mut asking) => {
                let conns = &self.conns;
                asking.client = asking.client.filter(|(conn, _)| conns.caller(*conn, None).is_some());
                self.locks.shared_told(*asking, answer, &mut self.underway, &mut self.cx);
            }
            Asker::Tokens => self.locks.take_tokens(answer, &mut self.underway, &mut self.cx),
            Asker::Numbers => {
                history::take_numbers(&answer, &mut self.cx);
                queue::have_numbers(self);
                for Adding { conn, id, add, runs } in self.underway.take_adds() {
                    if let Some(caller) = self.conns.caller(conn, id) {
                        self.add(&caller, add, runs);
                    }
                }
            }
        }
    }
}

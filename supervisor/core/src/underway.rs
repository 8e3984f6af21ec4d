//! Requests whose answer comes from the shell, beside those about runs: graphs to be found or deleted, signals to be sent.

use crate::chronicle::Question;
use crate::ids::{ConnId, RunKey};
use crate::io::{Effect, Input};
use crate::lanes::Asking;
use crate::lock_asks::LockAsking;
use crate::on_disk::{DeletePlan, GraphSearch};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::queue::QueueAsk;
use gob_protocol::request::Add;
use gob_protocol::{Id, Name};
use serde::{Deserialize, Serialize};

/// The requests that the shell has not answered. Requests that are equal are answered one for another.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Underway {
    searches: Vec<GraphSearch>,
    /// A deletion goes on without its client.
    deletions: Vec<(GraphSearch, DeletePlan)>,
    signals: Vec<Signalling>,
    #[serde(default)]
    questions: Vec<Asked>,
    /// Numbers the questions.
    #[serde(default)]
    tickets: u64,
    /// Jobs that wait for a number.
    #[serde(default)]
    adds: Vec<Adding>,
    /// Requests that wait for a look at ports.
    #[serde(default)]
    ports: Vec<AskedPorts>,
}

/// A request that waits for a look at ports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AskedPorts {
    ticket: u64,
    pub(crate) conn: ConnId,
    pub(crate) id: Option<Id>,
    /// The worker; all of them without one.
    pub(crate) name: Option<Name>,
}

/// A question to the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked {
    ticket: u64,
    pub(crate) asker: Asker,
    pub(crate) question: Question,
}

/// The party that asked the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Asker {
    Client(ConnId, Option<Id>),
    /// The numbers of jobs are running out.
    Numbers,
    /// A job is begun or looked at whose earlier runs are not known.
    Job,
    /// It is about the queue.
    Queue(Box<Asking>),
    /// The tokens of locks are running out.
    Tokens,
    /// It is about locks that several machines share.
    Lock(Box<LockAsking>),
}

/// An `add` or a `create` that waits for a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Adding {
    pub(crate) conn: ConnId,
    pub(crate) id: Option<Id>,
    pub(crate) add: Add,
    /// It is to run, too.
    pub(crate) runs: bool,
}

/// A signal on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Signalling {
    key: RunKey,
    signal: String,
    conn: ConnId,
    id: Option<Id>,
}

impl Underway {
    /// Notes a search for graphs.
    pub(crate) fn finds(&mut self, search: GraphSearch) {
        self.searches.push(search);
    }

    /// Notes a question, and returns the effect that it is.
    pub(crate) fn asks(&mut self, asker: Asker, question: Question) -> Effect {
        self.tickets += 1;
        let asked = Asked { ticket: self.tickets, asker, question };
        let effect = asked.effect();
        self.questions.push(asked);
        effect
    }

    /// Notes a request for ports, and returns its number.
    pub(crate) fn asks_ports(&mut self, conn: ConnId, id: Option<Id>, name: Option<Name>) -> u64 {
        self.tickets += 1;
        self.ports.push(AskedPorts { ticket: self.tickets, conn, id, name });
        self.tickets
    }

    /// The latest request for ports.
    pub(crate) fn awaits_ports(&self) -> Option<u64> {
        self.ports.last().map(|asked| asked.ticket)
    }

    /// Takes the requests for ports up to this one.
    pub(crate) fn take_ports(&mut self, up_to: u64) -> Vec<AskedPorts> {
        let later = self.ports.partition_point(|asked| asked.ticket <= up_to);
        self.ports.drain(..later).collect()
    }

    /// Takes the question that is answered; `None` for one whose answer is not waited for any more.
    pub(crate) fn answered(&mut self, ticket: u64) -> Option<Asked> {
        let at = self.questions.iter().position(|asked| asked.ticket == ticket)?;
        Some(self.questions.remove(at))
    }

    /// The question about the queue of this number.
    pub(crate) fn of_queue(&mut self, ticket: u64) -> Option<(&Question, &mut Asking)> {
        let asked = self.questions.iter_mut().find(|asked| asked.ticket == ticket)?;
        match &mut asked.asker {
            Asker::Queue(asking) => Some((&asked.question, asking)),
            Asker::Client(..) | Asker::Numbers | Asker::Tokens | Asker::Lock(_) | Asker::Job => None,
        }
    }

    /// Tells whether a question about the queue is a connection's: the tests give numbers of connections again, no shell does.
    #[cfg(test)]
    pub(crate) fn asks_for(&self, conn: ConnId) -> bool {
        self.questions.iter().any(|asked| match &asked.asker {
            Asker::Queue(asking) => asking.is_for(conn),
            Asker::Client(..) | Asker::Numbers | Asker::Tokens | Asker::Lock(_) | Asker::Job => false,
        })
    }

    /// Tells whether numbers of jobs are asked for.
    pub(crate) fn awaits_numbers(&self) -> bool {
        self.questions.iter().any(|asked| asked.asker == Asker::Numbers)
    }

    /// Tells whether the database that several machines share is asked for what this machine held.
    pub(crate) fn recovers_shared(&self) -> bool {
        let recovers = |question: &Question| matches!(question, Question::Shared(ask) if matches!(**ask, QueueAsk::Recover { .. }));
        self.questions.iter().any(|asked| recovers(&asked.question))
    }

    /// Waits no longer for what is known of a worker that is gone: another one of its name is another one.
    pub(crate) fn forget_job(&mut self, name: &Name) {
        self.questions.retain(|asked| !matches!(&asked.question, Question::Durations(of) if of == name));
    }

    /// Tells whether tokens of locks are asked for.
    pub(crate) fn awaits_tokens(&self) -> bool {
        self.questions.iter().any(|asked| asked.asker == Asker::Tokens)
    }

    /// Has a job wait for its number.
    pub(crate) fn waits(&mut self, adding: Adding) {
        self.adds.push(adding);
    }

    /// Takes all jobs that wait for a number, in the order in which they came.
    pub(crate) fn take_adds(&mut self) -> Vec<Adding> {
        core::mem::take(&mut self.adds)
    }

    /// Drops the request that an input answers, if it answers one.
    pub(crate) fn hear(&mut self, input: &Input) {
        if let Input::GraphsFound { search, .. } = input {
            drop_first(&mut self.searches, |other| other == search);
        } else if let Input::GraphDeleted { search, .. } = input {
            drop_first(&mut self.deletions, |(other, _)| other == search);
        } else if let Input::SignalSent { key, signal, conn, id, .. } = input {
            drop_first(&mut self.signals, |other| {
                (&other.key, &other.signal, &other.conn, &other.id) == (key, signal, conn, id)
            });
        }
    }

    /// Notes a deletion, and returns the effect that it is.
    pub(crate) fn deletes(&mut self, search: GraphSearch, plan: DeletePlan) -> Effect {
        self.deletions.push((search.clone(), plan.clone()));
        Effect::DeleteGraph { search, plan: Box::new(plan) }
    }

    /// Notes a signal, and returns the effect that it is.
    pub(crate) fn signals(&mut self, key: RunKey, signal: String, conn: ConnId, id: Option<Id>) -> Effect {
        let signalling = Signalling { key, signal, conn, id };
        let effect = signalling.effect();
        self.signals.push(signalling);
        effect
    }

    /// Forgets the requests of a connection that is gone, but for deletions.
    pub(crate) fn forget(&mut self, conn: ConnId) {
        self.searches.retain(|search| search.conn != conn);
        self.signals.retain(|signalling| signalling.conn != conn);
        self.ports.retain(|asked| asked.conn != conn);
        self.adds.retain(|adding| adding.conn != conn);
    }

    /// Returns the searches that are to be begun again.
    pub(crate) fn searches(&self) -> Vec<GraphSearch> {
        self.searches.clone()
    }

    /// Returns the effects that are owed again. A shell sends a signal in the turn in which it is asked to, so that one which
    /// was not answered was not sent.
    pub(crate) fn owed(&self) -> Vec<Effect> {
        let deletion = |(search, plan): &(GraphSearch, DeletePlan)| Effect::DeleteGraph {
            search: search.clone(),
            plan: Box::new(plan.clone()),
        };
        let signals = self.signals.iter().map(Signalling::effect);
        let questions = self.questions.iter().map(Asked::effect);
        self.deletions.iter().map(deletion).chain(signals).chain(questions).collect()
    }
}

impl Asked {
    fn effect(&self) -> Effect {
        Effect::Ask { ticket: self.ticket, question: self.question.clone() }
    }
}

impl Signalling {
    fn effect(&self) -> Effect {
        let asked_by = Some((self.conn, self.id.clone()));
        Effect::Signal { key: self.key.clone(), signal: self.signal.clone(), asked_by }
    }
}

fn drop_first<T>(all: &mut Vec<T>, is_meant: impl Fn(&T) -> bool) {
    if let Some(at) = all.iter().position(is_meant) {
        all.remove(at);
    }
}

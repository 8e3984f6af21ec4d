//! The part of a surface that knows what was asked for: the selection, the leases that are held, requests and their purposes, and what
//! their answers told. Pure: requests are taken from it with [`Desk::take`], answers are put into it.

use super::{Answer, Ask, AskId, Form, Known};
use crate::screen::{self, Action, Link, List, Trouble};
use crate::{Name, Owner, View};
use gob_protocol::answer::{GraphOnDisk, LockStatusData, QueueListData};
use gob_protocol::{RunRecord, State};
use std::collections::{BTreeSet, HashMap};

/// The purpose of a request, until its answer comes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Purpose {
    /// A button or a key: its answer is told in passing.
    Button,
    /// A form: it closes with success, and shows a refusal.
    Form,
    /// The list of runs, as of this change of the worker.
    Runs(RunsOf),
    /// The completion of a form.
    Graphs,
    /// The named locks, as of so many changes.
    Locks(u64),
    /// The queue, as of so many changes.
    Queue(u64),
}

/// A worker, its run and its state: its list of runs changes with them.
type RunsOf = (Name, u64, State);

/// The latest runs of a worker.
#[derive(Debug)]
pub struct Runs {
    of: RunsOf,
    /// The runs, newest first.
    pub runs: Vec<RunRecord>,
    /// There are older ones.
    pub more: bool,
}

/// Lists that only some surfaces show, or only at times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shows {
    /// The named locks.
    pub locks: bool,
    /// The queue.
    pub queue: bool,
}

/// Words for a person about an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A sentence.
    Said(String),
    /// A trouble.
    Trouble(Trouble),
    /// A form that was sent is done with.
    FormDone(AskId, String),
    /// A form that was sent is refused.
    FormRefused(AskId, Trouble),
}

/// An answer to a key or a button of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// It was asked for.
    Asked,
    /// A form has to be filled in first.
    Form(Form),
    /// It is not allowed now: the reason in a sentence.
    Refused(String),
}

/// See the module.
#[derive(Debug)]
pub struct Desk {
    /// The owner of the surface's connections.
    pub me: Owner,
    /// The list of workers as it is filtered, and its selection.
    pub list: List,
    /// Workers that the surface holds leases on.
    pub held: BTreeSet<Name>,
    /// Jobs that were begun under such a lease, and stop when the surface ends.
    pub ends: BTreeSet<Name>,
    /// The graphs on disk, once they were asked for.
    pub graphs: Vec<GraphOnDisk>,
    /// The named locks, once they were asked for.
    pub locks: Option<LockStatusData>,
    /// The queue, once it was asked for.
    pub queue: Option<QueueListData>,
    runs: Option<Runs>,
    /// The changes that `locks` and `queue` are of.
    seen: (u64, u64),
    open: HashMap<AskId, Purpose>,
    next_id: AskId,
    asks: Vec<(AskId, Ask)>,
}

impl Desk {
    /// Returns the desk of a surface of this owner.
    #[must_use]
    pub fn new(me: Owner) -> Self {
        Self {
            me,
            list: List::default(),
            held: BTreeSet::new(),
            ends: BTreeSet::new(),
            graphs: Vec::new(),
            locks: None,
            queue: None,
            runs: None,
            seen: (0, 0),
            open: HashMap::new(),
            next_id: 1,
            asks: Vec::new(),
        }
    }

    /// Takes the requests that are to be made.
    pub fn take(&mut self) -> Vec<(AskId, Ask)> {
        std::mem::take(&mut self.asks)
    }

    /// Returns the latest runs of a worker, where they are known.
    #[must_use]
    pub fn runs_of(&self, worker: &Name) -> Option<&Runs> {
        self.runs.as_ref().filter(|runs| runs.of.0 == *worker)
    }

    /// Asks for the lists that are shown and not known as they are now.
    pub fn keep_up(&mut self, known: &Known, selected: Option<&View>, shows: Shows) {
        if !known.link.is_up() {
            return;
        }
        if let Some(worker) = selected {
            let of = (worker.name.clone(), worker.run, worker.state);
            let purpose = Purpose::Runs(of.clone());
            if self.runs.as_ref().is_none_or(|runs| runs.of != of) && !self.is_asked(&purpose) {
                self.ask_for(purpose, Ask::Runs { name: of.0 });
            }
        }
        // One of a sort is on its way at most; changes meanwhile are asked for behind its answer.
        let waits = |open: &HashMap<AskId, Purpose>, of: fn(&Purpose) -> bool| open.values().any(of);
        if shows.locks
            && self.seen.0 != known.locks
            && !waits(&self.open, |purpose| matches!(purpose, Purpose::Locks(_)))
        {
            self.ask_for(Purpose::Locks(known.locks), Ask::Locks);
        }
        if shows.queue
            && self.seen.1 != known.queue
            && !waits(&self.open, |purpose| matches!(purpose, Purpose::Queue(_)))
        {
            self.ask_for(Purpose::Queue(known.queue), Ask::Queue);
        }
    }

    fn is_asked(&self, purpose: &Purpose) -> bool {
        self.open.values().any(|open| open == purpose)
    }

    /// Makes a request whose answer is told in passing.
    pub fn ask(&mut self, ask: Ask) {
        self.ask_for(Purpose::Button, ask);
    }

    /// Makes the request of a form, and returns its number.
    pub fn send(&mut self, ask: Ask) -> AskId {
        self.ask_for(Purpose::Form, ask)
    }

    /// Asks for the graphs on disk, by which the start of a graph is completed.
    pub fn ask_for_graphs(&mut self) {
        self.ask_for(Purpose::Graphs, Ask::Graphs);
    }

    fn ask_for(&mut self, purpose: Purpose, ask: Ask) -> AskId {
        let id = self.next_id;
        self.next_id += 1;
        self.open.insert(id, purpose);
        self.asks.push((id, ask));
        id
    }

    /// Does what a button or a key asks for. `force` makes a stop a kill.
    pub fn act(&mut self, action: Action, force: bool, worker: &View, link: &Link) -> Acted {
        if let Some(why) = screen::refusal(action, worker, &self.me, link) {
            let verb = if force { "Kill" } else { action.label() };
            return Acted::Refused(format!("{verb}: {why}"));
        }
        let name = worker.name.clone();
        let ask = match action {
            Action::Start => Ask::Start { name, kind: None },
            Action::Stop => Ask::Stop { name, force },
            Action::Restart => Ask::Restart { name },
            Action::Signal => return Acted::Form(Form::Signal { worker: name, signal: String::new() }),
            Action::HandOver => return Acted::Form(Form::HandOver { worker: name, to: String::new() }),
            Action::Remove => return Acted::Form(Form::Remove { worker: name }),
        };
        self.ask(ask);
        Acted::Asked
    }

    /// Takes a lease, or gives it back.
    pub fn change_lease(&mut self, worker: &View, link: &Link) -> Acted {
        if !link.is_up() {
            return Acted::Refused(format!("Hold: {}", Link::AWAY));
        }
        let name = worker.name.clone();
        if self.held.remove(&name) {
            self.ask(Ask::Release { name });
        } else {
            self.held.insert(name.clone());
            self.ask(Ask::Lease { name });
        }
        Acted::Asked
    }

    /// Takes the answer to a request; returns what a person is to be told of it.
    pub fn answered(&mut self, id: AskId, answer: Result<Answer, Trouble>) -> Option<News> {
        match (self.open.remove(&id)?, answer) {
            (Purpose::Runs(of), answer) => {
                // A history that can't be had is an empty one, and asked for again with the next change.
                let (runs, more) = match answer {
                    Ok(Answer::Runs { runs, more, .. }) => (runs, more),
                    Ok(_) | Err(_) => (Vec::new(), false),
                };
                self.runs = Some(Runs { of, runs, more });
                None
            }
            (Purpose::Graphs, answer) => {
                if let Ok(Answer::Graphs(graphs)) = answer {
                    self.graphs = graphs;
                }
                None
            }
            (Purpose::Locks(seen), answer) => {
                self.seen.0 = seen;
                if let Ok(Answer::Locks(locks)) = answer {
                    self.locks = Some(locks);
                }
                None
            }
            (Purpose::Queue(seen), answer) => {
                self.seen.1 = seen;
                if let Ok(Answer::Queue(queue)) = answer {
                    self.queue = Some(queue);
                }
                None
            }
            (purpose @ (Purpose::Button | Purpose::Form), Ok(Answer::Done { said, shows, holds })) => {
                if let Some(name) = shows {
                    if holds {
                        self.held.insert(name.clone());
                        self.ends.insert(name.clone());
                    }
                    self.list.filter.clear();
                    self.list.select(name);
                }
                Some(if purpose == Purpose::Form { News::FormDone(id, said) } else { News::Said(said) })
            }
            (Purpose::Form, Err(trouble)) => Some(News::FormRefused(id, trouble)),
            (Purpose::Button, Err(trouble)) => Some(News::Trouble(trouble)),
            (Purpose::Button | Purpose::Form, Ok(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::testing::view;
    use serde_json::json;

    fn desk() -> (Desk, Known) {
        (Desk::new(Owner::cli()), Known { link: Link::Up, ..Known::default() })
    }

    fn empty_locks() -> Answer {
        Answer::Locks(LockStatusData { locks: Vec::new(), claims_ms: None })
    }

    #[test]
    fn runs_are_asked_for_once_for_each_change_of_the_selected_worker() {
        let (mut desk, known) = desk();
        let worker = view(json!({}));
        desk.keep_up(&known, Some(&worker), Shows::default());
        desk.keep_up(&known, Some(&worker), Shows::default());
        let asked = desk.take();
        assert!(matches!(asked.as_slice(), [(1, Ask::Runs { .. })]), "{asked:?}");
        let runs = Answer::Runs { name: worker.name.clone(), runs: Vec::new(), more: true };
        assert_eq!(desk.answered(1, Ok(runs)), None);
        assert!(desk.runs_of(&worker.name).unwrap().more);
        desk.keep_up(&known, Some(&worker), Shows::default());
        assert!(desk.take().is_empty());
        let again = view(json!({"run": 2}));
        desk.keep_up(&known, Some(&again), Shows::default());
        assert_eq!(desk.take().len(), 1);
        let away = Known { link: Link::Away, ..Known::default() };
        desk.keep_up(&away, Some(&worker), Shows::default());
        assert!(desk.take().is_empty(), "nobody would answer");
    }

    #[test]
    fn locks_are_asked_for_again_only_behind_an_answer_and_after_a_change() {
        let (mut desk, mut known) = desk();
        let shows = Shows { locks: true, queue: false };
        known.locks = 1;
        desk.keep_up(&known, None, shows);
        known.locks = 9;
        desk.keep_up(&known, None, shows);
        assert_eq!(desk.take(), [(1, Ask::Locks)]);
        desk.answered(1, Ok(empty_locks()));
        desk.keep_up(&known, None, shows);
        assert_eq!(desk.take(), [(2, Ask::Locks)]);
        desk.answered(2, Ok(empty_locks()));
        desk.keep_up(&known, None, shows);
        assert!(desk.take().is_empty());
        desk.keep_up(&known, None, Shows { locks: false, queue: true });
        assert!(desk.take().is_empty(), "the queue has not changed");
    }

    #[test]
    fn an_action_that_is_not_allowed_says_why_and_asks_nothing() {
        let (mut desk, known) = desk();
        let others = view(json!({"owner": "desktop", "owned": false}));
        let refused = desk.act(Action::Stop, true, &others, &known.link);
        assert_eq!(refused, Acted::Refused("Kill: it is owned by desktop".to_owned()));
        let away = desk.act(Action::Stop, false, &view(json!({})), &Link::Away);
        assert_eq!(away, Acted::Refused("Stop: the supervisor is not running".to_owned()));
        assert!(desk.take().is_empty());
        assert_eq!(desk.act(Action::Stop, false, &view(json!({})), &known.link), Acted::Asked);
        let idle = view(json!({"state": "idle", "pid": null}));
        assert!(matches!(desk.act(Action::Remove, false, &idle, &known.link), Acted::Form(_)));
        assert_eq!(desk.take().len(), 1);
    }

    #[test]
    fn answers_are_told_by_their_purpose() {
        let (mut desk, _) = desk();
        let name = Name::any("notes").unwrap();
        let done =
            |holds| Ok(Answer::Done { said: "started notes".to_owned(), shows: Some(name.clone()), holds });
        let trouble = Trouble { code: "usage".to_owned(), message: "no".to_owned(), cause: None, hint: None };
        desk.list.filter = "x".to_owned();
        let id = desk.send(Ask::Graphs);
        assert_eq!(desk.answered(id, Err(trouble.clone())), Some(News::FormRefused(id, trouble.clone())));
        let id = desk.send(Ask::Graphs);
        assert_eq!(desk.answered(id, done(true)), Some(News::FormDone(id, "started notes".to_owned())));
        assert_eq!((desk.list.selected(), desk.list.filter.as_str()), (Some(&name), ""));
        assert!(desk.held.contains(&name));
        assert_eq!(desk.answered(id, done(false)), None, "it was answered already");
        desk.ask(Ask::Graphs);
        assert_eq!(desk.answered(3, Err(trouble.clone())), Some(News::Trouble(trouble)));
    }
}

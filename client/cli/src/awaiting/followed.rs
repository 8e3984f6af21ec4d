//! The workers that are waited for, as the supervisor reports them: by a subscription with a snapshot, on one connection
//! after the other.

use super::RETRY;
use super::watch::Watch;
use crate::command::GOB_FAILED;
use crate::context::Context;
use crate::failure::Failure;
use crate::holding::went_away;
use crate::stream::GONE;
use crate::suggest::{note_waiting, with_remedy};
use crate::text::escape;
use gob_client::blocking::{Client, Connector};
use gob_client::call::{Get, Subscribe};
use gob_client::protocol::{ErrorCode, Event, EventKind, Lagged};
use gob_client::{Error, Name, View};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Time for another supervisor to come. The runs of one that has gone are over, and only another one can tell of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Followed workers and the connection that tells of them.
pub(super) struct Followed<'a> {
    context: &'a Context,
    connector: Connector,
    client: Option<Client>,
    lost_at: Option<Instant>,
    workers: Vec<Worker>,
}

/// The last knowledge of a worker.
struct Worker {
    view: View,
    at: At,
}

/// How far a worker has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// It has a run, or will have one.
    Going,
    /// It has no run as of an event, which the start of the next one may follow at once.
    Pausing,
    /// It has ended.
    Ended,
}

impl<'a> Followed<'a> {
    /// Subscribes to these workers. Fails for a name without a worker.
    pub(super) fn new(context: &'a Context, mut client: Client, names: &[Name]) -> Result<Self, Failure> {
        let connector = context.connector()?.autostart(false);
        let found = subscribe(&mut client, names.to_vec())?;
        let mut workers = Vec::new();
        for name in names {
            let view = match found.iter().find(|view| view.name == *name) {
                Some(view) => view.clone(),
                None => match client.ask(Get { name: name.clone() }) {
                    Ok(data) => data.worker,
                    Err(error) => return Err(with_remedy(&mut client, name, error.into())),
                },
            };
            let at = if view.state.goes_on() { At::Going } else { At::Ended };
            if at == At::Ended {
                note_waiting(context, &mut client, name);
            }
            workers.push(Worker { view, at });
        }
        Ok(Self { context, connector, client: Some(client), lost_at: None, workers })
    }

    /// Begins to watch the jobs for silence.
    pub(super) fn watch(&mut self) -> Result<Watch, Failure> {
        let views = self.workers.iter().filter(|worker| worker.at != At::Ended).map(|worker| &worker.view);
        Watch::new(self.client.as_mut(), views)
    }

    /// Returns the last view of each worker.
    pub(super) fn views(&self) -> impl Iterator<Item = &View> {
        self.workers.iter().map(|worker| &worker.view)
    }

    /// Returns the last view of each worker that has not ended.
    pub(super) fn left(&self) -> impl Iterator<Item = &View> {
        self.workers.iter().filter(|worker| worker.at != At::Ended).map(|worker| &worker.view)
    }

    pub(super) fn have_all_ended(&self) -> bool {
        self.left().next().is_none()
    }

    /// Returns the connection, while there is one.
    pub(super) const fn client(&mut self) -> Option<&mut Client> {
        self.client.as_mut()
    }

    /// Returns the descriptor that is readable when there is news.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.client.as_ref().map(Client::as_fd)
    }

    /// Returns whether there is something to do without more news: to take in an event that came beside an answer, or
    /// to get a connection.
    pub(super) fn is_due(&self) -> bool {
        self.client.as_ref().is_none_or(Client::has_event)
    }

    /// Takes in the news that has come. Without a connection it tries to get one, for a moment.
    pub(super) fn hear(&mut self) -> Result<(), Failure> {
        let Some(client) = &mut self.client else { return self.reach_again() };
        let mut lines = Vec::new();
        let ended = loop {
            match client.arrived_event() {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => break client.has_ended(),
                Err(error) if went_away(&error) => break true,
                Err(error) => return Err(error.into()),
            }
        };
        lines.iter().for_each(|line| self.take(line));
        self.confirm()?;
        if ended && self.client.take().is_some() && !self.have_all_ended() {
            self.lost_at = Some(Instant::now());
            self.context.note(GONE);
        }
        Ok(())
    }

    /// Takes an event or `lagged`. Any other line tells nothing.
    fn take(&mut self, line: &str) {
        if let Ok(Event { event, worker: Some(view), .. }) = serde_json::from_str::<Event>(line) {
            let Some(worker) = self.workers.iter_mut().find(|worker| worker.view.name == view.name) else {
                return;
            };
            if worker.at == At::Ended {
                return;
            }
            let is_over = event == EventKind::WorkerRemoved || !view.state.goes_on();
            *worker = Worker { at: if is_over { At::Pausing } else { At::Going }, view };
        } else if let Ok(lagged) = serde_json::from_str::<Lagged>(line) {
            self.replace(&lagged.workers);
        }
    }

    /// Takes a snapshot. A worker that is missing in it was removed.
    fn replace(&mut self, views: &[View]) {
        for worker in self.workers.iter_mut().filter(|worker| worker.at != At::Ended) {
            match views.iter().find(|view| view.name == worker.view.name) {
                Some(view) if view.state.goes_on() => *worker = Worker { view: view.clone(), at: At::Going },
                Some(view) => *worker = Worker { view: view.clone(), at: At::Ended },
                None => {
                    worker.at = At::Ended;
                    worker.view.reason.get_or_insert_with(|| "it was removed".into());
                }
            }
        }
    }

    /// Asks whether a worker without a run is at rest: a restart has no run for a moment either.
    fn confirm(&mut self) -> Result<(), Failure> {
        for worker in self.workers.iter_mut().filter(|worker| worker.at == At::Pausing) {
            let name = worker.view.name.clone();
            match self.client.as_mut().map(|client| client.ask(Get { name })) {
                Some(Ok(data)) => {
                    let at = if data.worker.state.goes_on() { At::Going } else { At::Ended };
                    *worker = Worker { view: data.worker, at };
                }
                // Its end was the last news of a supervisor that has gone, or it was removed after its end.
                Some(Err(error)) if went_away(&error) || is_unknown(&error) => worker.at = At::Ended,
                Some(Err(error)) => return Err(error.into()),
                None => worker.at = At::Ended,
            }
        }
        Ok(())
    }

    /// Tries to reach another supervisor.
    fn reach_again(&mut self) -> Result<(), Failure> {
        if self.lost_at.is_none_or(|at| at.elapsed() >= PATIENCE) {
            let left: Vec<String> = self.left().map(|view| escape(view.name.as_str())).collect();
            let message = format!("the supervisor has gone, and with it {}", left.join(", "));
            let failure = Failure::own("connection-lost", GOB_FAILED, message);
            return Err(
                failure.hint("gobctl daemon start starts another one; gobctl daemon logs has its reason")
            );
        }
        let Some(mut client) = self.connector.connect_when_there(Some(Instant::now() + RETRY))? else {
            return Ok(());
        };
        match subscribe(&mut client, self.left().map(|view| view.name.clone()).collect()) {
            Ok(views) => {
                self.replace(&views);
                self.client = Some(client);
                Ok(())
            }
            Err(error) if went_away(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn subscribe(client: &mut Client, names: Vec<Name>) -> Result<Vec<View>, Error> {
    let wanted = Subscribe { names: Some(names), snapshot: true, ..Subscribe::default() };
    Ok(client.subscribe(wanted)?.workers.unwrap_or_default())
}

fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::Refused(error) if error.code == ErrorCode::ServerNotFound)
}

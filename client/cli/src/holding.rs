//! Holds leases until interrupted, and prints the fate of the held workers.
//!
//! A lease belongs to its connection. When the supervisor goes, this waits for another one, without starting
//! it, and takes the leases again, so that a killed or restarted supervisor costs no lease. It ends when
//! there is nothing left to hold.

use crate::context::Context;
use crate::failure::Failure;
use crate::render;
use crate::signals::Signals;
use crate::stream::{End, gone};
use gob_client::blocking::{Client, Connector};
use gob_client::call::{Lease, Subscribe};
use gob_client::protocol::answer::WorkerData;
use gob_client::protocol::event::{Event, EventKind, Lagged};
use gob_client::protocol::{ErrorCode, State};
use gob_client::{Error, Name, View};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::ops::ControlFlow;
use std::os::fd::AsFd;

/// The parameters of holding leases.
pub(crate) struct Holding<'a> {
    pub(crate) context: &'a Context,
    pub(crate) verb: &'static str,
    /// The end of the holding.
    pub(crate) end: End,
}

/// Holds this connection's leases until this program is ended, or nothing is left to hold.
pub(crate) fn hold(holding: &Holding<'_>, mut client: Client, mut names: Vec<Name>) -> Result<u8, Failure> {
    let connector = holding.context.connector()?.autostart(false);
    loop {
        holding.watch(&mut client, &mut names, None)?;
        holding.context.note(&gone(client.lost_way()));
        client = holding.take_again(&connector, &mut names)?;
    }
}

/// The reason why a hold with signals ended.
pub(crate) enum HeldUntil {
    /// One of the signals has come.
    Interrupted,
    /// The supervisor has gone, and with it the leases.
    Lost,
}

/// Holds this connection's leases until one of the signals comes, the supervisor goes, or nothing is left to hold.
pub(crate) fn hold_until(
    holding: &Holding<'_>,
    client: &mut Client,
    names: &mut Vec<Name>,
    signals: &Signals,
) -> Result<HeldUntil, Failure> {
    holding.watch(client, names, Some(signals))
}

/// Takes leases again from each following supervisor, for as long as this program runs, on a thread: the
/// caller has something else to wait for. Ends when there is nothing left to hold.
pub(crate) fn hold_again(context: &Context, verb: &'static str, mut names: Vec<Name>) {
    let telling = context.telling();
    let context = context.clone();
    let holds = move || {
        let Ok(connector) = context.connector() else { return };
        let connector = connector.autostart(false);
        let holding = Holding { context: &context, verb, end: End::of(None) };
        loop {
            let ended = holding.take_again(&connector, &mut names).and_then(|mut client| {
                while client.next_event(None)?.is_some() {}
                Ok(gone(client.lost_way()))
            });
            match ended {
                Ok(text) => context.note(&text),
                Err(failure) => {
                    failure.report(context.telling());
                    return;
                }
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().spawn(holds) {
        Failure::no_thread(1, "the leases are taken again", &error).report(telling);
    }
}

impl Holding<'_> {
    /// Prints the fate of the workers until the connection ends, or a signal comes.
    fn watch(
        &self,
        client: &mut Client,
        names: &mut Vec<Name>,
        signals: Option<&Signals>,
    ) -> Result<HeldUntil, Failure> {
        let wanted = Subscribe { names: Some(names.clone()), ..Subscribe::default() };
        match client.subscribe(wanted) {
            Ok(_) => {}
            Err(error) if went_away(&error) => return Ok(HeldUntil::Lost),
            Err(error) => return Err(error.into()),
        }
        loop {
            let next = match self.next(client, signals) {
                Err(Failure::Client(error)) if went_away(&error) => return Ok(HeldUntil::Lost),
                next => next?,
            };
            let next = match next {
                ControlFlow::Continue(next) => next,
                ControlFlow::Break(_) => return Ok(HeldUntil::Interrupted),
            };
            let Some(line) = next else {
                self.end.check(self.verb)?;
                if client.has_ended() {
                    return Ok(HeldUntil::Lost);
                }
                continue;
            };
            if let Ok(event) = serde_json::from_str::<Event>(&line) {
                let Some(worker) = &event.worker else { continue };
                if let Some(text) = said_of(event.event, worker) {
                    self.context.note(&text);
                }
                if event.event == EventKind::WorkerRemoved {
                    self.lose(names, &worker.name)?;
                }
            } else if let Ok(lagged) = serde_json::from_str::<Lagged>(&line) {
                for name in names.clone() {
                    match lagged.workers.iter().find(|worker| worker.name == name) {
                        Some(worker) => self.context.note(&format!("{name} is {}", worker.state)),
                        None => self.lose(names, &name)?,
                    }
                }
            }
        }
    }

    /// Returns the next event; breaks when a signal comes before it.
    fn next(
        &self,
        client: &mut Client,
        signals: Option<&Signals>,
    ) -> Result<ControlFlow<Signal, Option<String>>, Failure> {
        let Some(signals) = signals else {
            return Ok(ControlFlow::Continue(client.next_event(self.end.at())?));
        };
        loop {
            if let Some(signal) = signals.next() {
                return Ok(ControlFlow::Break(signal));
            }
            let event = client.arrived_event()?;
            if event.is_some() || client.has_ended() {
                return Ok(ControlFlow::Continue(event));
            }
            let fds = [signals.as_fd(), client.as_fd()];
            let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => {
                    let failure = Failure::own("internal", 1, "cannot wait".to_owned());
                    return Err(failure.cause(errno.to_string()));
                }
            }
        }
    }

    /// Waits for another supervisor and takes the leases again.
    fn take_again(&self, connector: &Connector, names: &mut Vec<Name>) -> Result<Client, Failure> {
        'connections: loop {
            let Some(mut client) = connector.connect_when_there(self.end.at())? else {
                return Err(self.end.over(self.verb));
            };
            for name in names.clone() {
                match client.ask(Lease { name: name.clone() }) {
                    Ok(WorkerData { worker }) => {
                        let (who, state) = (render::who(&worker), worker.state);
                        self.context.note(&format!("holding {name} again ({who}, {state})"));
                        if !state.is_live() {
                            let argument = name.as_argument();
                            self.context.note(&format!("{name} does not run: gobctl start {argument}"));
                        }
                    }
                    Err(Error::Refused(error)) if error.code == ErrorCode::ServerNotFound => {
                        self.context.note(&format!("the new supervisor does not know {name}"));
                        self.lose(names, &name)?;
                    }
                    Err(error) if went_away(&error) => continue 'connections,
                    Err(error) => return Err(error.into()),
                }
            }
            return Ok(client);
        }
    }

    /// Removes a worker that is gone.
    fn lose(&self, names: &mut Vec<Name>, gone: &Name) -> Result<(), Failure> {
        names.retain(|name| name != gone);
        if names.is_empty() {
            let message = format!("there is no worker {gone} any more, and nothing is left to hold");
            let failure = Failure::own(ErrorCode::ServerNotFound.as_str(), 4, message);
            return Err(failure.hint(format!("gobctl start {} --lease", gone.as_argument())));
        }
        Ok(())
    }
}

/// Returns whether the supervisor has gone or is on its way out.
pub(crate) fn went_away(error: &Error) -> bool {
    matches!(error, Error::Lost { .. } | Error::Io { .. })
        || matches!(error, Error::Refused(error) if error.code == ErrorCode::ShuttingDown)
}

/// Returns the message about an event for a holder of the worker.
pub(crate) fn said_of(event: EventKind, worker: &View) -> Option<String> {
    let name = &worker.name;
    let why = worker.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    match event {
        EventKind::WorkerReady => Some(format!("{name} is ready ({})", render::who(worker))),
        EventKind::WorkerStopping => Some(format!("{name} is being stopped{why}")),
        EventKind::WorkerStopped | EventKind::WorkerCeded | EventKind::WorkerBackoff => {
            Some(format!("{name} has ended and is {}{why}", worker.state))
        }
        EventKind::WorkerFailed => Some(format!("{name} has failed{why}")),
        EventKind::WorkerUnhealthy => Some(format!("{name} is unhealthy{why}")),
        EventKind::WorkerRemoved => Some(format!("{name} was removed")),
        EventKind::WorkerUpdated if worker.state == State::External => {
            Some(format!("{name} is held by a process that is not gob's"))
        }
        EventKind::WorkerOwnerChanged => Some(format!("{name} is owned by {} now", worker.owner)),
        EventKind::WorkerAdded
        | EventKind::WorkerStarting
        | EventKind::WorkerStarted
        | EventKind::WorkerUpdated
        | EventKind::LeaseGranted
        | EventKind::LeaseReleased
        | EventKind::Lagged
        | EventKind::LockWaiting
        | EventKind::LockGranted
        | EventKind::LockReleased
        | EventKind::LockBroken
        | EventKind::QueueJobAdded
        | EventKind::QueueJobStarted
        | EventKind::QueueJobFinished
        | EventKind::QueueJobRecovered
        | EventKind::SupervisorStarted
        | EventKind::SupervisorHealed
        | EventKind::SupervisorUpgraded
        | EventKind::SupervisorStopping => None,
    }
}

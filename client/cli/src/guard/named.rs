//! A lock of the supervisor while its command runs.
//!
//! The lock is the connection's, which the guard inherits from gobctl as its standard input: that is the only descriptor that
//! a program can take over without a number. When the supervisor goes, the guard claims the lock from the next one by its
//! token. The next one waits for 6 s for such claims; a guard that finds no supervisor within 3 s ends the command, so that it
//! is gone before anybody else can have the lock.

use super::Hold;
use crate::context::Context;
use crate::failure::Failure;
use crate::stream::lost_way;
use gob_client::Error;
use gob_client::blocking::{Client, Connector};
use gob_client::call::{LockAcquire, LockRelease, Sent, Subscribe};
use gob_client::protocol::answer::ServerInfo;
use gob_client::protocol::event::{Event, EventKind};
use gob_client::protocol::{LockMode, LockName};
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Time in which the next supervisor has to be found.
const CLAIM_WITHIN: Duration = Duration::from_secs(3);
/// Time limit of its answer, which it gives after 6 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);
/// Time limit of the answer to the release; the end of the connection releases it, too.
const RELEASE_WITHIN: Duration = Duration::from_millis(500);

/// A lock that gobctl holds, and the connection that it holds it by.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NamedOrder {
    pub(crate) lock: LockName,
    pub(crate) mode: LockMode,
    pub(crate) priority: i32,
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) process: String,
    pub(crate) token: u64,
    /// Tokens of the same party, as the request for the lock had them: a claim without them would be another party's.
    pub(crate) within: Vec<u64>,
    pub(crate) server: ServerInfo,
    pub(crate) socket: PathBuf,
    /// The number of the command's standard input.
    pub(crate) stdin: RawFd,
}

pub(super) struct NamedHold {
    order: NamedOrder,
    connector: Connector,
    state: State,
    /// A renewal of the TTL that is under way.
    renewal: Option<Sent<LockAcquire>>,
    renew_at: Option<Instant>,
}

enum State {
    Held(Box<Client>),
    Claiming(Claiming),
}

impl NamedHold {
    /// Takes over the lock that gobctl holds.
    pub(super) fn take(context: &Context, order: NamedOrder) -> Result<Self, Failure> {
        let connector = context.connector()?.autostart(false);
        let inherited = io::stdin().as_fd().try_clone_to_owned();
        let inherited = inherited.map_err(|source| Error::Io { socket: order.socket.clone(), source })?;
        let mut client = connector.go_on(inherited, &order.socket, order.server.clone())?;
        // An end that came before is told by the renewal.
        client.send(ends())?;
        Ok(Self {
            renew_at: Some(Instant::now()),
            order,
            connector,
            state: State::Held(Box::new(client)),
            renewal: None,
        })
    }

    /// Sends what is due and takes in what has come; the reason why the lock is lost.
    fn attend(&mut self) -> Result<(), String> {
        let State::Held(client) = &mut self.state else { return Ok(()) };
        while let Ok(Some(line)) = client.arrived_event() {
            let event = serde_json::from_str::<Event>(&line).ok();
            let of_it = event.filter(|event| event.token == Some(self.order.token));
            if let Some(event) = of_it {
                let why = if event.event == EventKind::LockBroken {
                    format!("{} broke the lock {}", event.actor, self.order.lock)
                } else {
                    format!("the time of the lock {} is over", self.order.lock)
                };
                return Err(why);
            }
        }
        if self.renewal.is_none() && self.renew_at.is_some_and(|at| at <= Instant::now()) {
            self.renewal = client.send(claim(&self.order)).ok();
            let third = self.order.ttl_ms.map(|ttl| Duration::from_millis(ttl / 3 + 1));
            self.renew_at = third.and_then(|third| Instant::now().checked_add(third));
        }
        // This also sends what was queued.
        match self.renewal.map(|sent| client.arrived_answer(sent)) {
            None | Some(Ok(None)) => {}
            Some(Err(Error::Refused(error))) => return Err(error.message),
            Some(Ok(Some(_)) | Err(_)) => self.renewal = None,
        }
        Ok(())
    }
}

impl Hold for NamedHold {
    fn readable(&self) -> Option<BorrowedFd<'_>> {
        Some(match &self.state {
            State::Held(client) => client.as_fd(),
            State::Claiming(claiming) => claiming.wake.as_fd(),
        })
    }

    fn next_look(&self) -> Option<Instant> {
        match &self.state {
            State::Held(_) => self.renew_at,
            State::Claiming(claiming) => claiming.until,
        }
    }

    fn look(&mut self) -> Result<(), String> {
        self.attend()?;
        match &mut self.state {
            State::Held(client) if client.has_ended() => {
                self.renewal = None;
                self.state = State::Claiming(Claiming::begin(&self.connector, &self.order)?);
            }
            State::Held(_) => {}
            State::Claiming(claiming) => {
                // Of another machine's supervisor nothing is known but the end of the connection, which has released the lock there.
                let over = self.connector.ssh().map(|ssh| lost_way(ssh.address()));
                let worded = |why| over.map_or(why, |lost| format!("{lost}, and with it the lock"));
                if let Some(client) = claiming.look().map_err(worded)? {
                    self.renew_at = Some(Instant::now());
                    self.state = State::Held(client);
                }
            }
        }
        Ok(())
    }

    fn release(self: Box<Self>) {
        let Self { order, state, .. } = *self;
        if let State::Held(mut client) = state {
            client.call(LockRelease { lock: order.lock, token: order.token }, RELEASE_WITHIN).ok();
        }
    }
}

/// A claim of the lock from the next supervisor, made by a thread: the guard has the command to look after.
struct Claiming {
    told: Receiver<Told>,
    wake: OwnedFd,
    /// The claim must be sent by then.
    until: Option<Instant>,
}

enum Told {
    /// A supervisor has the claim.
    Sent,
    /// The supervisor that had it has gone.
    Again,
    Granted(Box<Client>),
    Refused(String),
}

impl Claiming {
    fn begin(connector: &Connector, order: &NamedOrder) -> Result<Self, String> {
        let (reader, writer) =
            pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|errno| errno.to_string())?;
        let (tell, told) = channel();
        let (connector, order) = (connector.clone(), order.clone());
        let claims = move || claim_until(&connector, &order, &Teller { tell, writer });
        std::thread::Builder::new().spawn(claims).map_err(|error| error.to_string())?;
        Ok(Self { told, wake: reader, until: Instant::now().checked_add(CLAIM_WITHIN) })
    }

    /// Takes in what the thread has told; the connection that holds the lock again, or the reason why it is lost.
    fn look(&mut self) -> Result<Option<Box<Client>>, String> {
        let mut bytes = [0; 16];
        while nix::unistd::read(&self.wake, &mut bytes).is_ok_and(|read| read > 0) {}
        while let Ok(told) = self.told.try_recv() {
            match told {
                Told::Sent => self.until = None,
                Told::Again => self.until = Instant::now().checked_add(CLAIM_WITHIN),
                Told::Granted(client) => return Ok(Some(client)),
                Told::Refused(why) => return Err(why),
            }
        }
        if self.until.is_some_and(|until| until <= Instant::now()) {
            return Err("the supervisor has gone, and with it the lock".to_owned());
        }
        Ok(None)
    }
}

struct Teller {
    tell: Sender<Told>,
    writer: OwnedFd,
}

impl Teller {
    fn tell(&self, told: Told) {
        self.tell.send(told).ok();
        nix::unistd::write(&self.writer, &[0]).ok();
    }
}

fn claim_until(connector: &Connector, order: &NamedOrder, teller: &Teller) {
    loop {
        let until = Instant::now().checked_add(CLAIM_WITHIN);
        let mut client = match connector.connect_when_there(until) {
            Ok(Some(client)) => client,
            // The guard's own time has passed, too.
            Ok(None) => return,
            Err(error) => return teller.tell(Told::Refused(error.to_string())),
        };
        let asked = client.send(ends()).and_then(|_| client.send(claim(order)));
        let Ok(sent) = asked else { return };
        teller.tell(Told::Sent);
        match client.wait(sent, ANSWER_WITHIN) {
            Ok(_) => return teller.tell(Told::Granted(Box::new(client))),
            Err(Error::Lost { .. }) => teller.tell(Told::Again),
            Err(error) => return teller.tell(Told::Refused(error.to_string())),
        }
    }
}

/// The request for the events that tell the end of the lock by a person or its time, from each supervisor.
fn ends() -> Subscribe {
    let events = Some(vec![EventKind::LockReleased, EventKind::LockBroken]);
    Subscribe { events, ..Subscribe::default() }
}

/// The request that renews the lock, and claims it from another supervisor.
fn claim(order: &NamedOrder) -> LockAcquire {
    LockAcquire {
        mode: Some(order.mode),
        priority: Some(order.priority),
        ttl_ms: order.ttl_ms,
        process: Some(order.process.clone()),
        token: Some(order.token),
        within: order.within.clone(),
        ..LockAcquire::new(order.lock.clone())
    }
}

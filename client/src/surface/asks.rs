//! The thread that makes requests: one connection, any number of requests at once, answers in any order.
//!
//! The connection carries the surface's leases, so it stays open; a new one takes them again. It never starts the supervisor
//! but for [`Job::Supervise`].

mod ask;

use crate::blocking::{Client, Connector};
use crate::call;
use crate::call::Sent;
use crate::pulse::Deadline;
use crate::screen::Trouble;
use crate::{Error, Name};
pub use ask::{Answer, Ask};
use ask::{Pending, send};
use gob_protocol::limits::{PING_EVERY_MS, SILENCE_MS};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

/// Requests that may wait to be sent. A person makes one at a time; more is a fault that is told.
const QUEUE: usize = 64;
/// Time after which a request that is not answered is looked at again, in case a write was incomplete.
const LOOK: Duration = Duration::from_millis(250);

/// Time between pings while a request waits that has no time limit of its own (CLI, Defaults).
const PING_EVERY: Duration = Duration::from_millis(PING_EVERY_MS);
/// Time after which a supervisor that answers no ping is given up.
const SILENCE: Duration = Duration::from_millis(SILENCE_MS);

/// The number of a request of this surface.
pub type AskId = u64;

/// Something for the thread to do.
#[derive(Debug)]
pub enum Job {
    /// Makes a request.
    Ask(AskId, Box<Ask>),
    /// Starts the supervisor.
    Supervise,
    /// The supervisor is there again: leases that were lost are taken again.
    Reconnect,
}

/// Something that the thread tells.
#[derive(Debug)]
pub enum Told {
    /// A request was answered.
    Answer(AskId, Result<Answer, Trouble>),
    /// The supervisor could not be started.
    NotStarted(Trouble),
}

/// The way to the thread. It ends with the process, and with its connection the leases do.
#[derive(Debug)]
pub struct Asks {
    jobs: SyncSender<Job>,
    bell: Arc<EventFd>,
    answers: Receiver<Told>,
}

impl Asks {
    /// Begins the thread; `wake` is called after each answer.
    ///
    /// # Errors
    /// When no thread or pair of sockets can be made.
    pub fn begin(connector: Connector, wake: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE);
        let (tell, answers) = sync_channel(2 * QUEUE);
        let bell =
            Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let rung = Arc::clone(&bell);
        let desk = Desk {
            connector,
            queue,
            rung,
            tell,
            wake,
            client: None,
            open: Vec::new(),
            ping: None,
            pinged: Instant::now(),
            held: BTreeSet::new(),
        };
        std::thread::Builder::new().name("asks".to_owned()).spawn(move || desk.run())?;
        Ok(Self { jobs, bell, answers })
    }

    /// Hands a job over; false when too many wait.
    pub fn give(&self, job: Job) -> bool {
        let given = self.jobs.try_send(job).is_ok();
        // It fails only when the count is at its end: the thread is awake then.
        self.bell.write(1).ok();
        given
    }

    /// Returns the next answer that has come.
    pub fn told(&self) -> Option<Told> {
        self.answers.try_recv().ok()
    }
}

/// A request that is not answered yet.
struct Open {
    id: AskId,
    pending: Pending,
    type_name: &'static str,
    asked: Instant,
    deadline: Deadline,
}

/// Why a connection is given up.
enum Lost {
    /// It has ended.
    Ended,
    /// The supervisor did not answer a ping for so long.
    Silent(Duration),
}

struct Desk<W> {
    connector: Connector,
    queue: Receiver<Job>,
    rung: Arc<EventFd>,
    tell: SyncSender<Told>,
    wake: W,
    client: Option<Client>,
    open: Vec<Open>,
    /// The ping that is not answered yet.
    ping: Option<Sent<call::Ping>>,
    /// The time of the last ping, or of its answer.
    pinged: Instant,
    held: BTreeSet<Name>,
}

impl<W: Fn()> Desk<W> {
    fn run(mut self) {
        loop {
            loop {
                match self.queue.try_recv() {
                    Ok(job) => self.take(job),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.collect();
            if let Err(error) = self.beat() {
                self.lost(&error);
            }
            self.wait();
        }
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Ask(id, ask) => self.ask(id, *ask),
            Job::Supervise => {
                if let Err(error) = self.connector.clone().autostart(true).connect() {
                    self.tell(Told::NotStarted(Trouble::from(&error)));
                }
            }
            Job::Reconnect => self.lease_again(),
        }
    }

    fn ask(&mut self, id: AskId, ask: Ask) {
        if let Ask::Lease { name } = &ask {
            self.held.insert(name.clone());
        } else if let Ask::Release { name } = &ask {
            self.held.remove(name);
        }
        let sent = self.connected().and_then(|client| send(client, ask));
        match sent {
            Ok((pending, type_name, deadline)) => {
                self.open.push(Open { id, pending, type_name, asked: Instant::now(), deadline });
            }
            Err(error) => self.tell(Told::Answer(id, Err(Trouble::from(&error)))),
        }
    }

    fn connected(&mut self) -> Result<&mut Client, Error> {
        if self.client.as_ref().is_none_or(Client::has_ended) {
            let mut client = self.connector.clone().autostart(false).connect()?;
            for name in &self.held {
                // A worker that is gone by now has no lease to take.
                client.ask(call::Lease { name: name.clone() }).ok();
            }
            return Ok(self.client.insert(client));
        }
        self.client.as_mut().ok_or(Error::Lost { request: "hello".to_owned() })
    }

    fn lease_again(&mut self) {
        // Its end may not have been noticed yet, where nothing was asked since.
        let is_lost = self.client.as_mut().is_some_and(|client| client.ask(call::Ping).is_err());
        if is_lost {
            self.lost(&Lost::Ended);
        }
        if !self.held.is_empty() {
            self.connected().map(drop).ok();
        }
    }

    /// Takes the answers that have come.
    fn collect(&mut self) {
        let Some(client) = &mut self.client else { return };
        let (mut told, mut lost) = (Vec::new(), client.has_ended());
        self.open.retain_mut(|open| {
            let late = match open.deadline {
                Deadline::In(time) if open.asked.elapsed() >= time => Some(time),
                Deadline::In(_) | Deadline::WhileAlive => None,
            };
            let answer = match ((open.pending)(client), late) {
                (Ok(None), None) => return true,
                (Ok(None), Some(after)) => {
                    Err(Error::Timeout { request: open.type_name.to_owned(), after, sent: true })
                }
                (Ok(Some(answer)), _) => {
                    if let Answer::Done { shows: Some(name), holds: true, .. } = &answer {
                        self.held.insert(name.clone());
                    }
                    Ok(answer)
                }
                (Err(error), _) => {
                    lost |= !matches!(error, Error::Refused(_) | Error::Answer { .. });
                    Err(error)
                }
            };
            told.push((open.id, answer));
            false
        });
        for (id, answer) in told {
            self.tell(Told::Answer(id, answer.map_err(|error| Trouble::from(&error))));
        }
        if lost {
            self.lost(&Lost::Ended);
        }
    }

    /// Proves that the supervisor lives while a request waits for as long as it does.
    fn beat(&mut self) -> Result<(), Lost> {
        let waits = self.open.iter().any(|open| open.deadline == Deadline::WhileAlive);
        let Some(client) = self.client.as_mut().filter(|_| waits) else {
            (self.ping, self.pinged) = (None, Instant::now());
            return Ok(());
        };
        let since = self.pinged.elapsed();
        match self.ping {
            Some(sent) if client.arrived_answer(sent).map_err(|_| Lost::Ended)?.is_some() => {
                (self.ping, self.pinged) = (None, Instant::now());
            }
            Some(_) if since >= SILENCE => return Err(Lost::Silent(since)),
            Some(_) => {}
            None if since >= PING_EVERY => {
                self.ping = Some(client.send(call::Ping).map_err(|_| Lost::Ended)?);
                self.pinged = Instant::now();
            }
            None => {}
        }
        Ok(())
    }

    /// The connection is gone, and every request with it.
    fn lost(&mut self, why: &Lost) {
        (self.client, self.ping) = (None, None);
        for open in std::mem::take(&mut self.open) {
            let request = open.type_name.to_owned();
            let error = match *why {
                Lost::Ended => Error::Lost { request },
                Lost::Silent(silent) => Error::Stalled { request, silent },
            };
            self.tell(Told::Answer(open.id, Err(Trouble::from(&error))));
        }
    }

    fn tell(&self, told: Told) {
        // A surface that does not take its answers is gone.
        self.tell.try_send(told).ok();
        (self.wake)();
    }

    /// Waits for a job, an answer, or the end of the connection.
    fn wait(&mut self) {
        let mut fds = vec![PollFd::new(self.rung.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.client.as_ref().map(|client| PollFd::new(client.as_fd(), PollFlags::POLLIN)));
        let timeout = if self.open.is_empty() {
            PollTimeout::NONE
        } else {
            PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::MAX)
        };
        poll(&mut fds, timeout).ok();
        self.rung.read().ok();
        let has_input = self.client.as_mut().is_some_and(|client| {
            // Nothing is subscribed here: what is readable without a request is the connection's end.
            self.open.is_empty() && (client.arrived_event().is_err() || client.has_ended())
        });
        if has_input {
            self.lost(&Lost::Ended);
        }
    }
}

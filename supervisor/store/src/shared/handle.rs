//! The supervisor's end: it never waits, but for [`Handle::finish`].

use super::address::Address;
use super::failure::Failure;
use super::lives::Life;
use super::news::News;
use super::thread::{self, Asked, Wanted};
use gob_protocol::lock::ask::{LockAsk, LockTold};
use gob_protocol::queue::{QueueAsk, QueueTold};
use gob_protocol::{Name, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Questions that may wait.
const ROOM: usize = 1_024;
/// Stack of the thread.
const STACK_BYTES: usize = 1 << 20;

/// The settings of the shared store.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database.
    pub address: Address,
    /// The file that has the machine's name in the database; it is made at the first connection.
    pub machine: PathBuf,
    /// The supervisor's instance.
    pub instance: String,
    /// The host, for people.
    pub host: String,
    /// Time between two signs of life.
    pub heartbeat: Duration,
    /// Time without one after which others take over what this supervisor holds.
    pub lease: Duration,
    /// Age at which jobs that have ended go.
    pub keep_finished: Duration,
    /// Time in which a question is answered, at the latest with a failure.
    pub within: Duration,
}

/// The connection as `status` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The first connection is being made: questions wait for it, not long.
    Connecting,
    /// The database answers.
    Open,
    /// It does not, for this reason.
    Away(String),
}

/// The state of the shared store, for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The connection.
    pub state: State,
    /// The address without its password.
    pub url: String,
}

/// A message from the thread.
#[derive(Debug)]
pub enum Told {
    /// The answer to a question.
    Answer {
        /// The ticket of the question.
        ticket: u64,
        /// The answer.
        answer: Result<Box<QueueTold>, Failure>,
    },
    /// The answer to a question about locks.
    LockAnswer {
        /// The ticket of the question.
        ticket: u64,
        /// The answer.
        answer: Result<Box<LockTold>, Failure>,
    },
    /// The database answers from now on. What this machine held before has to be recovered before anything is claimed.
    Up,
    /// The database does not answer any more, or still not.
    Away(String),
    /// Others may have what this supervisor holds, or will soon: it has to end its commands.
    Lost(String),
    /// News of other machines.
    News(Box<News>),
    /// Jobs left the queue; the logs of their attempts go with them.
    Trimmed(Vec<Name>),
}

/// The reason why a question was not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// The database is away.
    #[error("{0}")]
    Away(String),
    /// Too many questions wait.
    #[error("too many questions wait for the shared database")]
    Full,
}

/// What a thread has left, for the one that follows it in the same supervisor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedState {
    /// The life by which claims are held, and when it was renewed.
    #[serde(default)]
    pub(super) life: Option<Life>,
    /// Numbers the lives of this supervisor after the first.
    #[serde(default)]
    pub(super) lives: u32,
}

/// The end of a thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// The database is waited for until then.
    pub(super) until: Instant,
    /// No other thread follows: the database hears that this supervisor has gone.
    pub(super) takes_leave: bool,
}

/// The part that handle and thread share.
pub(super) struct Shared {
    state: Mutex<(State, bool)>,
    changed: Condvar,
    /// What is left at the thread's end.
    left: Mutex<SharedState>,
    end: watch::Sender<Option<End>>,
    pub(super) told: Box<dyn Fn(Told) + Send + Sync>,
    pub(super) settings: Settings,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (State, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, state: State) {
        self.lock().0 = state;
    }

    fn left(&self) -> MutexGuard<'_, SharedState> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the life that another thread has left, and the receiver of this one's end.
    pub(super) fn begins(&self) -> (Option<Life>, watch::Receiver<Option<End>>) {
        (self.left().life.clone(), self.end.subscribe())
    }

    /// Returns the number of the next life; `None` where a thread with another address may already have taken it.
    pub(super) fn next_life(&self) -> Option<u32> {
        let mut left = self.left();
        if self.end.borrow().is_some_and(|end| end.takes_leave) {
            return None;
        }
        let number = left.lives;
        left.lives += 1;
        Some(number)
    }

    /// Notes the end of the thread, with the life that it leaves; none where it could not begin.
    pub(super) fn ends(&self, life: Option<Option<Life>>) {
        if let Some(life) = life {
            self.left().life = life;
        }
        self.lock().1 = true;
        self.changed.notify_all();
    }
}

/// The shared store, for the thread that supervises.
pub struct Handle {
    shared: Arc<Shared>,
    asks: mpsc::Sender<Asked>,
}

impl Handle {
    /// Starts the thread, which connects at once: other machines may have work for this one. It goes on with what another one has left.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn spawn(
        settings: Settings,
        left: SharedState,
        told: impl Fn(Told) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (asks, asked) = mpsc::channel(ROOM);
        let state = Mutex::new((State::Connecting, false));
        let shared = Arc::new(Shared {
            state,
            changed: Condvar::new(),
            left: Mutex::new(left),
            end: watch::Sender::new(None),
            told: Box::new(told),
            settings,
        });
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("gob-shared".to_owned()).stack_size(STACK_BYTES);
        thread.spawn(move || thread::run(&its, asked))?;
        Ok(Self { shared, asks })
    }

    /// Asks a question, the answer of which carries `ticket`, a number that no other question under way has.
    ///
    /// # Errors
    /// When the database is away, or too many questions wait: there will be no answer.
    pub fn ask(&self, ticket: u64, now: Timestamp, ask: Box<QueueAsk>) -> Result<(), NotAsked> {
        self.send(ticket, now, Wanted::Queue(ask))
    }

    /// Asks a question about locks, as [`Self::ask`] does.
    ///
    /// # Errors
    /// When the database is away, or too many questions wait: there will be no answer.
    pub fn ask_locks(&self, ticket: u64, now: Timestamp, ask: Box<LockAsk>) -> Result<(), NotAsked> {
        self.send(ticket, now, Wanted::Locks(ask))
    }

    fn send(&self, ticket: u64, now: Timestamp, wanted: Wanted) -> Result<(), NotAsked> {
        if let State::Away(why) = &self.shared.lock().0 {
            return Err(NotAsked::Away(why.clone()));
        }
        let deadline = Instant::now() + self.shared.settings.within;
        self.asks.try_send(Asked { ticket, now, wanted, deadline }).map_err(|_| NotAsked::Full)
    }

    /// Returns the state of the shared store.
    #[must_use]
    pub fn health(&self) -> Health {
        Health { state: self.shared.lock().0.clone(), url: self.shared.settings.address.shown() }
    }

    /// Has the thread answer what waits, for a bounded time, and end. The claims are not given up: another thread follows, which goes on
    /// with [`Self::left`]; or, where `takes_leave`, the database hears that none does.
    pub fn end(&self, within: Duration, takes_leave: bool) {
        let end = End { until: Instant::now() + within, takes_leave };
        self.shared.end.send_replace(Some(end));
    }

    /// Returns whether the thread has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.shared.lock().1
    }

    /// Returns what the thread has left; what it began with, as long as it runs.
    #[must_use]
    pub fn left(&self) -> SharedState {
        self.shared.left().clone()
    }

    /// Has the thread take leave of the database, within a bounded time, and returns what one with another address begins with. That may be
    /// another name of the same database: the numbers of lives go on.
    #[must_use]
    pub fn make_way(&self, within: Duration) -> SharedState {
        self.end(within, true);
        SharedState { life: None, lives: self.left().lives }
    }

    /// Answers what waits, takes leave of the database and ends the thread, for a bounded time.
    pub fn finish(&self, within: Duration) {
        let until = Instant::now() + within;
        self.end(within, true);
        let mut state = self.shared.lock();
        while !state.1 && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.health()).finish()
    }
}

//! The log pane of a screen: one worker's output, read on a thread of its own.
//!
//! A pane takes what to show as orders that replace each other, and hands out its latest page; neither waits for a disk.
//! It follows files by the kernel's notice and never polls: without an order or a write its thread makes no system call.

mod reading;

use super::Stream;
pub use super::reader::Direction;
use super::window::Line;
use nix::sys::eventfd::{EfdFlags, EventFd};
use reading::Reading;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Orders that wait; further ones are dropped, as when a key is held down while a disk hangs.
const MAX_ORDERS: usize = 16;

/// The streams of a pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Streams {
    /// Both, in the order in which lines ended.
    #[default]
    Both,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Streams {
    const fn as_slice(self) -> &'static [Stream] {
        match self {
            Self::Both => &[Stream::Stdout, Stream::Stderr],
            Self::Stdout => &[Stream::Stdout],
            Self::Stderr => &[Stream::Stderr],
        }
    }
}

/// The output to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The log directory of the worker.
    pub dir: PathBuf,
    /// The run; `None` for the latest one, and later ones once they begin.
    pub run: Option<u64>,
    /// The streams.
    pub streams: Streams,
}

/// The lines of a pane at one moment.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The thread has looked at the output; until then nothing is known of it.
    pub is_read: bool,
    /// The run; `None` where there is no output to read.
    pub run: Option<u64>,
    /// Changes when the lines do not adjoin the earlier ones. Numbers of lines can be compared within one generation.
    pub generation: u64,
    /// The number of the first line. A line keeps its number while others come and go.
    pub first: i64,
    /// At most 2,000 lines, and 2 MiB.
    pub lines: Vec<Arc<Line>>,
    /// There are lines before the first one.
    pub has_older: bool,
    /// There are lines behind the last one, which the pane does not follow.
    pub has_newer: bool,
    /// New lines are shown as they come.
    pub follows: bool,
    /// The outcome of the last search.
    pub searched: Option<Searched>,
    /// The reason why output can't be read or followed.
    pub trouble: Option<String>,
}

/// The outcome of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Searched {
    /// The number of the found line.
    Found(i64),
    /// No further line in this direction has it.
    NotFound,
    /// The text is no pattern, with the place of the mistake.
    Invalid(String),
}

impl Page {
    /// Returns the index of the found line.
    #[must_use]
    pub fn found(&self) -> Option<usize> {
        match self.searched {
            Some(Searched::Found(number)) => usize::try_from(number.checked_sub(self.first)?)
                .ok()
                .filter(|index| *index < self.lines.len()),
            Some(Searched::NotFound | Searched::Invalid(_)) | None => None,
        }
    }
}

#[derive(Debug)]
enum Order {
    Follow(bool),
    Older,
    Newer,
    Find { pattern: String, direction: Direction, from: Option<i64> },
}

#[derive(Debug, Default)]
struct Desk {
    target: Option<Option<Target>>,
    orders: VecDeque<Order>,
    page: Arc<Page>,
    is_closed: bool,
}

#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    bell: EventFd,
    /// Counts what was asked for; a search ends early when it has changed.
    asked: AtomicU64,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, change: impl FnOnce(&mut Desk)) {
        change(&mut self.desk());
        self.asked.fetch_add(1, Ordering::Relaxed);
        // It fails only when the count is at its end: the thread is awake then.
        self.bell.write(1).ok();
    }
}

/// A log pane. Dropping it ends its thread.
#[derive(Debug)]
pub struct Pane {
    shared: Arc<Shared>,
}

impl Pane {
    /// Opens a pane that shows nothing yet. `wake` is called on its thread when [`Pane::page`] has changed: soon after an
    /// order, and at most 32 times a second for output.
    ///
    /// # Errors
    /// When the system has no descriptor or thread left.
    pub fn open(wake: impl Fn() + Send + 'static) -> io::Result<Self> {
        let bell = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let shared = Arc::new(Shared { desk: Mutex::default(), bell, asked: AtomicU64::new(0) });
        let its = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("gob-log-pane".to_owned())
            .spawn(move || Reading::new(its, wake).serve())?;
        Ok(Self { shared })
    }

    /// Shows this output, from its end and following; `None` shows nothing.
    pub fn show(&self, target: Option<Target>) {
        self.shared.ask(|desk| {
            desk.orders.clear();
            // The lines of the output before are none of this one's.
            let generation = desk.page.generation + 1;
            desk.page = Arc::new(Page { generation, follows: true, ..Page::default() });
            desk.target = Some(target);
        });
    }

    /// Returns the latest page.
    #[must_use]
    pub fn page(&self) -> Arc<Page> {
        Arc::clone(&self.shared.desk().page)
    }

    /// Follows the output, or holds the lines that are shown.
    pub fn follow(&self, follows: bool) {
        self.order(Order::Follow(follows));
    }

    /// Holds the lines and adds some before them.
    pub fn older(&self) {
        self.order(Order::Older);
    }

    /// Adds some lines behind those that are held.
    pub fn newer(&self) {
        self.order(Order::Newer);
    }

    /// Searches from the line of this number, or else from the end of the page in that direction, and holds what is
    /// found. A later order ends the search.
    pub fn find(&self, pattern: &str, direction: Direction, from: Option<i64>) {
        self.order(Order::Find { pattern: pattern.to_owned(), direction, from });
    }

    fn order(&self, order: Order) {
        self.shared.ask(|desk| {
            if desk.orders.len() < MAX_ORDERS {
                desk.orders.push_back(order);
            }
        });
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        // The thread is not waited for: a disk that hangs would hold this one too.
        self.shared.ask(|desk| desk.is_closed = true);
    }
}

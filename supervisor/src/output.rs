//! The data plane: moves workers' output from their pipes into files (ARCHITECTURE, "Bird's eye").
//!
//! One thread drains pipes into bounded buffers, one writes the buffers to files. They own everything about
//! output: the pipes' read ends, the log files, rotation, the index, the total budget. The loop only
//! hands pipes over and receives reports; no call here waits for a pipe or a disk, except [`Output::flush`].
//!
//! ```text
//! pipes ─▶ drain ─ batches, or the flooding pipe itself ─▶ writer ─▶ <name>/<run>.stdout.log, .stderr.log, .idx
//!            │  ◀── used batches, pipes that calmed down ─────┘
//!            └─ FromOutput ─▶ main
//! ```
//!
//! While the disk keeps up nothing is lost: a pipe whose run has [`RUN_BACKLOG`] bytes waiting is not read
//! until some of them are written. Once nothing was written for [`STALL`] the disk counts as hung, and bytes
//! are read, counted and dropped, so that no worker ever waits for it.

mod batch;
mod budget;
mod drain;
mod exchange;
mod index;
mod loan;
mod pattern;
mod pipe;
mod poller;
mod reports;
mod rest;
mod rotation;
mod run_log;
mod stall;
mod tap;
#[cfg(test)]
mod tests;
mod watch;
mod writer;

pub(crate) use pattern::Pattern;
pub(crate) use rest::OutputState;
pub(crate) use tap::{Tap, TapState};
pub(crate) use watch::{Watch, Watches};

use crate::mailbox::Post;
use drain::Drain;
use exchange::Exchange;
use gob_core::RunKey;
use gob_protocol::Name;
use gob_protocol::handshake::{Handshake, HandshakeError};
use rest::Thread;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use writer::Logs;

/// Bytes of one run that may wait for the disk.
const RUN_BACKLOG: usize = 1 << 20;
/// Batches that may exist at a time, the bound on all that waits for the disk.
const MAX_BATCHES: usize = 32;
/// Time without progress after which the disk counts as hung.
const STALL: Duration = Duration::from_secs(1);

/// Limits of the logs.
#[derive(Debug, Clone)]
pub(crate) struct OutputConfig {
    /// The directory of all logs; made when it is missing.
    pub(crate) log_dir: PathBuf,
    /// Size beyond which a log file is rotated, in bytes.
    pub(crate) rotate_bytes: u64,
    /// Rotated files kept beside the current one.
    pub(crate) keep: u32,
    /// Limit of all logs together, in bytes on the disk.
    pub(crate) budget_bytes: u64,
    /// Ended runs of one worker that keep their logs.
    pub(crate) runs: u32,
}

/// A report to the loop.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FromOutput {
    /// The run's [`Watch`] has its answer.
    Handshake {
        /// The run.
        key: RunKey,
        /// The worker's handshake, or the reason why it never will be ready.
        result: Result<Handshake, HandshakeError>,
    },
    /// The answer to [`Output::drain`].
    Drained {
        /// The run.
        key: RunKey,
    },
}

/// The read ends of a run's output; `None` for a stream that has ended.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    /// Standard output.
    pub(crate) stdout: Option<OwnedFd>,
    /// Standard error.
    pub(crate) stderr: Option<OwnedFd>,
}

/// A run given to [`Output::attach`].
#[derive(Debug)]
struct Attached {
    key: RunKey,
    pipes: Pipes,
    watches: Watches,
    tap: Arc<Tap>,
}

/// An order from the loop to the drain thread.
#[derive(Debug)]
enum Command {
    Attach(Attached),
    Drain(RunKey),
    Forget(Name),
    FindAgain,
    Flush(mpsc::SyncSender<()>),
    Rest,
    GoOn,
    Stop,
}

/// The loop's handle. The threads end when it is dropped.
pub(crate) struct Output {
    // Unbounded, because the loop must not wait; it holds at most a few commands per worker.
    commands: mpsc::Sender<Command>,
    exchange: Arc<Exchange>,
    config: OutputConfig,
    drain: Thread<Option<Box<Drain>>>,
    writer: Thread<Logs>,
}

impl Output {
    /// Starts the two threads.
    ///
    /// # Errors
    /// When the kernel has no thread or descriptor to give. Trouble with the log directory is no error: it is
    /// logged, and each write tries again.
    pub(crate) fn start(config: OutputConfig, to_main: Post<FromOutput>) -> io::Result<Self> {
        let exchange = Arc::new(Exchange::new()?);
        let (commands, orders) = mpsc::channel();
        let drain = Drain::new(Arc::clone(&exchange), orders, to_main)?;
        let mut output = Self::at_rest(config, exchange, commands, Box::new(drain), Logs::new());
        output.run_after(Duration::ZERO)?;
        Ok(output)
    }

    const fn at_rest(
        config: OutputConfig,
        exchange: Arc<Exchange>,
        commands: mpsc::Sender<Command>,
        drain: Box<Drain>,
        logs: Logs,
    ) -> Self {
        Self { commands, exchange, config, drain: Thread::Ended(Some(drain)), writer: Thread::Ended(logs) }
    }

    /// Takes over a run's pipes and creates its files. Its output is shown to the watches. A run with
    /// existing files is continued.
    pub(crate) fn attach(&self, key: RunKey, pipes: Pipes, watches: Watches) -> Arc<Tap> {
        let tap = Arc::new(Tap::default());
        self.send(Command::Attach(Attached { key, pipes, watches, tap: Arc::clone(&tap) }));
        tap
    }

    /// Reads all output of a run up to now and then answers [`FromOutput::Drained`], also for a run that is
    /// no longer attached; calls before the answer share one answer. After the run's leader was reaped this
    /// means: the leader's last words are in [`Tap`].
    pub(crate) fn drain(&self, key: RunKey) {
        self.send(Command::Drain(key));
    }

    /// Deletes a worker's logs, all runs. Attached runs of it are detached.
    pub(crate) fn forget(&self, name: Name) {
        self.send(Command::Forget(name));
    }

    /// Begins deleted files of live runs anew, at the latest with the next bytes.
    pub(crate) fn find_again(&self) {
        self.exchange.counters.losses.fetch_add(1, Ordering::Release);
        self.send(Command::FindAgain);
    }

    /// Reads the output of all runs up to now and waits until it is in the files, and until forgotten logs
    /// are gone. False after `limit`.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let (done, wait) = mpsc::sync_channel(1);
        self.send(Command::Flush(done));
        wait.recv_timeout(limit).is_ok()
    }

    /// Returns the bytes written to logs, and the bytes dropped, since the start.
    pub(crate) fn counters(&self) -> (u64, u64) {
        let counters = &self.exchange.counters;
        (counters.written.load(Ordering::Relaxed), counters.dropped.load(Ordering::Relaxed))
    }

    fn send(&self, command: Command) {
        // Without a drain thread the order is dropped, and a caller that waits for its answer gets none.
        if self.commands.send(command).is_ok() {
            self.exchange.bell.ring();
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.send(Command::Stop);
    }
}

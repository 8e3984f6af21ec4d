//! The data plane at rest, between two programs of the supervisor: both threads have ended, nothing that was read waits for the disk,
//! and what is in the pipes stays there.
//!
//! A rest that does not come about, since a disk hangs, is called off, and nothing is lost by it.

use super::drain::{Drain, DrainState};
use super::exchange::{Ending, Exchange};
use super::run_log::{RunLog, RunLogState};
use super::tap::Tap;
use super::writer::{Logs, Writer};
use super::{Command, FromOutput, Output, OutputConfig};
use crate::mailbox::Post;
use crate::sys::sched::let_others_finish;
use crate::sys::spawn::block_signals;
use crate::upgrade::{Inherited, Named, Unfit};
use gob_core::RunKey;
use gob_protocol::Name;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// The threads read and write; nothing in them recurses.
const STACK_BYTES: usize = 256 * 1024;

/// Time in which clients that have waited are answered. Workers that have waited for room in their pipes get it only then, also that
/// which [`Output::squeeze`] took: each would take a processor at once.
const CLIENTS_FIRST: Duration = Duration::from_millis(20);

/// A thread, or what it has left.
pub(super) enum Thread<T> {
    Runs(JoinHandle<T>),
    Ended(T),
    /// A panic has ended it.
    Lost,
}

impl<T: Send + 'static> Thread<T> {
    fn start(name: &str, run: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
        let run = move || {
            block_signals();
            let_others_finish();
            run()
        };
        thread.spawn(run).map(Self::Runs)
    }

    /// Takes in what the thread has left; true when it has ended.
    fn has_ended(&mut self) -> bool {
        if matches!(self, Self::Runs(thread) if thread.is_finished()) {
            self.wait();
        }
        !matches!(self, Self::Runs(_))
    }

    fn wait(&mut self) {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Runs(thread) => thread.join().map_or(Self::Lost, Self::Ended),
            ended @ (Self::Ended(_) | Self::Lost) => ended,
        };
    }

    /// Takes what an ended thread has left.
    fn take(&mut self) -> Option<T> {
        match std::mem::replace(self, Self::Lost) {
            Self::Ended(left) => Some(left),
            other @ (Self::Runs(_) | Self::Lost) => {
                *self = other;
                None
            }
        }
    }

    const fn left(&self) -> Option<&T> {
        match self {
            Self::Ended(left) => Some(left),
            Self::Runs(_) | Self::Lost => None,
        }
    }
}

/// The data plane as data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OutputState {
    drain: DrainState,
    logs: LogsState,
    /// Bytes written and dropped.
    counters: (u64, u64),
    /// Workers whose logs are still to be deleted.
    forgotten: Vec<Name>,
}

/// The logs of all runs, by the numbers that the two threads have given these.
pub(crate) type LogsState = Vec<(u64, RunLogState)>;

impl OutputState {
    /// Checks that this program can go on with it.
    pub(crate) fn check(&self) -> Result<(), Unfit> {
        self.drain.check()
    }
}

impl Output {
    /// Starts the threads that have ended, for clients and workers that have waited.
    ///
    /// # Errors
    /// When the kernel has no thread to give.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        self.run_after(CLIENTS_FIRST)
    }

    /// As [`Self::run`]; workers that wait go on after this time.
    pub(super) fn run_after(&mut self, pause: Duration) -> io::Result<()> {
        if let Some(mut drain) = self.drain.take().flatten() {
            self.drain = Thread::start("output-drain", move || {
                std::thread::park_timeout(pause);
                drain.release();
                drain.run()
            })?;
        }
        if let Some(logs) = self.writer.take() {
            let (config, exchange) = (self.config.clone(), Arc::clone(&self.exchange));
            self.writer = Thread::start("output-writer", move || Writer::new(config, exchange, logs).run())?;
        }
        Ok(())
    }

    /// Has the threads rest: they end as soon as nothing waits for the disk.
    pub(crate) fn rest(&self) {
        self.exchange.want_rest();
        self.send(Command::Rest);
    }

    /// Returns whether both threads have ended.
    pub(crate) fn rests(&mut self) -> bool {
        let both = (self.drain.has_ended(), self.writer.has_ended());
        if let Thread::Ended(Some(drain)) = &mut self.drain {
            drain.report();
        }
        both == (true, true)
    }

    /// Returns whether all reports to the loop are in its queue.
    pub(crate) fn has_reported(&self) -> bool {
        self.drain.left().is_none_or(|drain| drain.as_ref().is_none_or(|drain| drain.has_reported()))
    }

    /// Has those who write without a pause wait soon, once the threads have ended: until then they take the processors. True while
    /// there are such.
    pub(crate) fn squeeze(&mut self) -> bool {
        match &mut self.drain {
            Thread::Ended(Some(drain)) => drain.squeeze(),
            Thread::Ended(None) | Thread::Runs(_) | Thread::Lost => false,
        }
    }

    /// Goes on as before.
    ///
    /// # Errors
    /// When the kernel has no thread to give.
    pub(crate) fn go_on(&mut self) -> io::Result<()> {
        let Ending { drain, writer } = self.exchange.want_no_rest();
        if drain {
            self.drain.wait();
        } else {
            self.send(Command::GoOn);
        }
        if writer {
            self.writer.wait();
        }
        if let Thread::Ended(Some(drain)) = &mut self.drain {
            drain.go_on();
        }
        self.run()
    }

    /// Returns what another program needs to go on with it; `None` while it does not rest.
    pub(crate) fn hand_over(&mut self, named: &mut Named) -> Option<OutputState> {
        let (Thread::Ended(Some(drain)), Thread::Ended(logs)) = (&mut self.drain, &self.writer) else {
            return None;
        };
        let counters = &self.exchange.counters;
        Some(OutputState {
            forgotten: drain.forgotten(),
            drain: drain.hand_over(named),
            logs: logs.iter().map(|(id, log)| (*id, log.hand_over(named))).collect(),
            counters: (counters.written.load(Ordering::Relaxed), counters.dropped.load(Ordering::Relaxed)),
        })
    }

    /// Takes over where another program rested, and rests as well ([`Output::run`]). `tap` finds the tap of a run.
    ///
    /// # Errors
    /// When a descriptor is missing.
    pub(crate) fn resume(
        config: OutputConfig,
        to_main: Post<FromOutput>,
        state: OutputState,
        tap: impl Fn(&RunKey) -> Arc<Tap>,
        inherited: &mut Inherited,
    ) -> Result<Self, Unfit> {
        let OutputState { drain, logs, counters: (written, dropped), forgotten } = state;
        let exchange = Arc::new(Exchange::new()?);
        exchange.counters.written.store(written, Ordering::Relaxed);
        exchange.counters.dropped.store(dropped, Ordering::Relaxed);
        let (commands, orders) = mpsc::channel();
        let drain = Drain::resume((Arc::clone(&exchange), orders, to_main), drain, &tap, inherited)?;
        let mut all = Logs::new();
        for (id, log) in logs {
            let tap = tap(log.key());
            all.insert(id, Box::new(RunLog::resume(log, tap, inherited)?));
        }
        let output = Self::at_rest(config, exchange, commands, Box::new(drain), all);
        // A file that was deleted meanwhile is found by no watch.
        output.find_again();
        forgotten.into_iter().for_each(|name| output.forget(name));
        Ok(output)
    }
}

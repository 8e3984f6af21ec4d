//! Waits until workers have no run any more, for `wait` and `run`: one poll over the supervisor's events, the signals
//! of this program, and the log files.
//!
//! The work is never this program's: at a signal, at the end of its time, or without a supervisor it goes away and says
//! what goes on. Only `run` stops its job, when it is told to.

mod followed;
mod shown;
mod silence;
mod watch;

use crate::context::Context;
use crate::failure::Failure;
use crate::goes_on::{INTERRUPTED, arguments, listed, told};
use crate::holding::went_away;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::stream::End;
use crate::text::{escape, took};
use crate::verbs::stop;
use followed::Followed;
use gob_client::blocking::Client;
use gob_client::call::{Sent, Stop};
use gob_client::{Name, View};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use shown::Shown;
pub(crate) use shown::print_output;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use watch::Watch;
pub(crate) use watch::expected;

/// Exit code after the terminal has hung up.
const HUNG_UP: u8 = 129;
/// Time between attempts to reach another supervisor.
const RETRY: Duration = Duration::from_millis(100);
/// Time for the answer to a stop once the worker has ended.
const RECEIPT: Duration = Duration::from_secs(2);

/// The result of a wait.
pub(crate) enum Awaited {
    /// Every worker has ended; in the order of the names, the last view of each.
    Ended(Vec<View>),
    /// This program goes away, with this exit code, and the work goes on.
    Left(u8),
}

/// The way in which a verb waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    /// Shows the output as it comes.
    pub(crate) streams: bool,
    /// Stops the worker at the first INT or TERM, and kills it at the second.
    pub(crate) stops: bool,
}

/// A wait for the end of workers.
pub(crate) struct Awaiting<'a> {
    context: &'a Context,
    way: Way,
    end: End,
    begun: Instant,
    followed: Followed<'a>,
    shown: Option<Shown>,
    signals: Signals,
    /// The latest request to stop.
    stop: Option<Sent<Stop>>,
    watch: Watch,
    progress: Progress,
}

impl<'a> Awaiting<'a> {
    /// Follows workers by name over this connection. Fails for a name without a worker.
    pub(crate) fn new(
        context: &'a Context,
        way: Way,
        (client, signals): (Client, Signals),
        names: &[Name],
        end: End,
    ) -> Result<Self, Failure> {
        let mut followed = Followed::new(context, client, names)?;
        let watch = followed.watch()?;
        let shown = way.streams.then(|| Shown::new(context, followed.views())).transpose()?;
        let told: Vec<String> = names.iter().map(|name| escape(name.as_str())).collect();
        let progress = Progress::new(context, format!("waiting for {}", told.join(", ")));
        let begun = Instant::now();
        Ok(Self { context, way, end, begun, followed, shown, signals, stop: None, watch, progress })
    }

    /// Waits until every worker has ended, or there is a reason to leave.
    pub(crate) fn wait(mut self) -> Result<Awaited, Failure> {
        let result = self.go_on();
        self.progress.clear();
        result
    }

    fn go_on(&mut self) -> Result<Awaited, Failure> {
        loop {
            self.followed.hear()?;
            self.show(Shown::follow)?;
            self.take_receipt()?;
            if self.followed.have_all_ended() {
                break;
            }
            while let Some(signal) = self.signals.next() {
                self.progress.clear();
                if let Some(code) = self.heed(signal)? {
                    return Ok(Awaited::Left(code));
                }
            }
            self.in_time()?;
            self.watch()?;
            self.poll()?;
        }
        self.progress.clear();
        self.await_receipt();
        let views: Vec<View> = self.followed.views().cloned().collect();
        let context = self.context;
        self.show(|shown| shown.finish(context, &views))?;
        Ok(Awaited::Ended(views))
    }

    /// Shows output while there is a reader for it. Without one the wait goes on: its end still tells something.
    fn show(&mut self, show: impl FnOnce(&mut Shown) -> Result<(), Failure>) -> Result<(), Failure> {
        match self.shown.as_mut().map_or(Ok(()), show) {
            Err(Failure::Closed) => {
                self.shown = None;
                Ok(())
            }
            result => result,
        }
    }

    /// Acts on a signal; returns the exit code with which this program leaves.
    fn heed(&mut self, signal: Signal) -> Result<Option<u8>, Failure> {
        let left: Vec<Name> = self.followed.left().map(|worker| worker.name.clone()).collect();
        let others = self.followed.left().find(|worker| !worker.owned).map(|worker| worker.owner.clone());
        let code = match (signal, others) {
            (Signal::SIGHUP, _) => {
                self.context.note(&told(&left, "", "gobctl wait"));
                return Ok(Some(HUNG_UP));
            }
            (_, Some(owner)) if self.way.stops => {
                told(&left, &format!(", as {owner} owns it"), "gobctl wait")
            }
            (_, None) if self.way.stops => return self.stop().map(|()| None),
            _ => format!("interrupted; {}", told(&left, " running", "gobctl wait")),
        };
        self.context.note(&code);
        Ok(Some(INTERRUPTED))
    }

    /// Sends a stop; one that has been sent already becomes a kill.
    fn stop(&mut self) -> Result<(), Failure> {
        let force = self.stop.is_some();
        let Some(name) = self.followed.left().map(|worker| worker.name.clone()).next() else { return Ok(()) };
        let again = if force { "" } else { "; interrupt again to kill it" };
        let verb = if force { "killing" } else { "stopping" };
        self.context.note(&format!("{verb} {}{again}", escape(name.as_str())));
        if let Some(client) = self.followed.client() {
            self.stop = Some(client.send(Stop { name, force, grace_ms: None })?);
        }
        // Queued requests go out with a look for the answer.
        self.take_receipt()
    }

    /// Tells the answer to a stop once it has come.
    fn take_receipt(&mut self) -> Result<(), Failure> {
        let Some((sent, client)) = self.stop.zip(self.followed.client()) else { return Ok(()) };
        let answer = match client.arrived_answer(sent) {
            Ok(None) => return Ok(()),
            Ok(Some(reply)) => stop::told_of(&reply).map(|text| self.tell(&text)),
            // The end of the connection is noticed with the next event.
            Err(error) if went_away(&error) => Ok(()),
            Err(error) => Err(error.into()),
        };
        self.stop = None;
        if let Err(failure) = answer {
            self.progress.clear();
            failure.report(self.context.telling());
        }
        Ok(())
    }

    fn tell(&mut self, text: &str) {
        if !text.is_empty() {
            self.progress.clear();
            self.context.note(text);
        }
    }

    /// Waits for the answer to a stop of a worker that has ended.
    fn await_receipt(&mut self) {
        let Some((sent, client)) = self.stop.take().zip(self.followed.client()) else { return };
        match client.wait(sent, RECEIPT) {
            Ok(reply) => self.tell(&stop::told_of(&reply).unwrap_or_default()),
            Err(error) if went_away(&error) => {}
            Err(error) => drop(Failure::from(error).report(self.context.telling())),
        }
    }

    /// Leaves jobs that seem stuck.
    fn watch(&mut self) -> Result<(), Failure> {
        let left: Vec<Name> = self.followed.left().map(|worker| worker.name.clone()).collect();
        self.watch.take_answers(self.context, self.followed.client());
        self.watch.look(self.context, &left, self.followed.client())
    }

    fn in_time(&self) -> Result<(), Failure> {
        let is_over = self.end.at().is_some_and(|at| Instant::now() >= at);
        if !is_over {
            return Ok(());
        }
        let left: Vec<Name> = self.followed.left().map(|worker| worker.name.clone()).collect();
        let (shown, run) = (listed(&left), if left.len() == 1 { "runs" } else { "run" });
        let after = took(self.context.timeout.unwrap_or_default());
        let failure = Failure::own("client-timeout", 124, format!("{shown} still {run} after {after}"));
        let arguments = arguments(&left);
        Err(failure.hint(format!("wait on: gobctl wait {arguments}; or end it: gobctl stop {arguments}")))
    }

    /// Waits until there is something to do.
    fn poll(&mut self) -> Result<(), Failure> {
        let ticks = !self.way.streams && std::io::stderr().is_terminal();
        if ticks {
            self.progress.show(self.begun.elapsed());
        }
        let now = Instant::now();
        let tick = ticks.then_some(now + Progress::EVERY);
        // Without a connection `hear` does the waiting.
        let due = self.followed.is_due().then_some(now);
        let until = [self.end.at(), tick, due, self.watch.next()].into_iter().flatten().min();
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.followed.fd().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        fds.extend(self.shown.as_ref().and_then(Shown::fd).map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        match poll(&mut fds, timeout(until)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Failure::own("internal", 1, "cannot wait".to_owned()).cause(errno.to_string())),
        }
    }
}

/// Returns the time left, rounded up, so that a wait does not end just before.
fn timeout(until: Option<Instant>) -> PollTimeout {
    let Some(until) = until else { return PollTimeout::NONE };
    let left = until.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

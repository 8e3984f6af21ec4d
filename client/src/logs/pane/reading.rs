//! The thread of a pane: reads what is shown, takes orders, and publishes pages.

use super::{Order, Page, Searched, Shared, Target};
use crate::blocking::poll_timeout;
use crate::logs::pattern::Pattern;
use crate::logs::reader::Reader;
use crate::logs::{Watch, runs};
use nix::poll::{PollFd, PollFlags, poll};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Time between two readings: more pages would not be seen.
const FRAME: Duration = Duration::from_millis(31);
/// Time that bytes without a record are waited for: the supervisor writes the record right behind them.
const SETTLE: Duration = Duration::from_millis(200);
/// The state of a pane's thread.
pub(super) struct Reading<W> {
    shared: Arc<Shared>,
    wake: W,
    target: Option<Target>,
    reader: Option<Reader>,
    watch: Option<Watch>,
    /// The generations of the readers before.
    generation: u64,
    searched: Option<Searched>,
    /// The reason why the files can't be read.
    unread: Option<String>,
    /// The reason why changes of the files are not noticed.
    unwatched: Option<String>,
    /// The time at which bytes without a record are taken as they are.
    settled: Option<Instant>,
}

impl<W: Fn()> Reading<W> {
    pub(super) const fn new(shared: Arc<Shared>, wake: W) -> Self {
        Self {
            shared,
            wake,
            target: None,
            reader: None,
            watch: None,
            generation: 0,
            searched: None,
            unread: None,
            unwatched: None,
            settled: None,
        }
    }

    pub(super) fn serve(mut self) {
        loop {
            let looked = Instant::now();
            self.shared.bell.read().ok();
            let (target, orders) = {
                let mut desk = self.shared.desk();
                if desk.is_closed {
                    return;
                }
                (desk.target.take(), std::mem::take(&mut desk.orders))
            };
            let is_ordered = target.is_some() || !orders.is_empty();
            if let Some(target) = target {
                self.begin(target);
            }
            let mut changed = self.read(Self::look);
            for order in orders {
                changed |= self.read(|reading| reading.obey(order).map(|()| true));
            }
            if changed || is_ordered {
                self.publish();
            }
            self.settle(changed);
            self.wait(looked + FRAME);
        }
    }

    fn begin(&mut self, target: Option<Target>) {
        self.replace(None);
        (self.watch, self.unwatched, self.unread) = (None, None, None);
        if let Some(target) = &target {
            match Watch::new(vec![target.dir.clone()]) {
                Ok(watch) => self.watch = Some(watch),
                Err(error) => self.unwatched = Some(unwatched(&error)),
            }
        }
        self.target = target;
    }

    fn replace(&mut self, reader: Option<Reader>) {
        self.generation += 1 + self.reader.as_ref().map_or(0, Reader::generation);
        self.reader = reader;
        self.searched = None;
    }

    /// Waits for an order or, once the next page is due, for a change of the files.
    fn wait(&mut self, next_page: Instant) {
        let is_behind = self.reader.as_ref().is_some_and(Reader::is_behind);
        if self.rings_before(Some(next_page)) || is_behind {
            return;
        }
        match &self.watch {
            Some(watch) => {
                if let Err(error) = watch.wait_until(self.settled, Some(self.shared.bell.as_fd())) {
                    (self.watch, self.unwatched) = (None, Some(unwatched(&error)));
                    self.publish();
                }
            }
            None => drop(self.rings_before(self.settled)),
        }
    }

    /// Waits for an order alone; returns whether one has come.
    fn rings_before(&self, until: Option<Instant>) -> bool {
        let mut bell = [PollFd::new(self.shared.bell.as_fd(), PollFlags::POLLIN)];
        // A signal ends the wait early, which does no harm.
        poll(&mut bell, poll_timeout(until)).is_ok_and(|count| count > 0)
    }

    /// Plans when bytes without a record are taken, unless more comes.
    fn settle(&mut self, changed: bool) {
        let has_untold = self.reader.as_ref().is_some_and(|reader| reader.has_untold().unwrap_or(false));
        let again = Instant::now() + SETTLE;
        let at = if changed { again } else { self.settled.unwrap_or(again) };
        self.settled = has_untold.then_some(at);
    }

    /// Reads by this function, and keeps the reason when that fails; returns whether anything is different.
    fn read(&mut self, by: impl FnOnce(&mut Self) -> io::Result<bool>) -> bool {
        let read = by(self);
        let unread = read.as_ref().err().map(|error| format!("the log can't be read: {error}"));
        let is_other = unread != self.unread;
        self.unread = unread;
        read.unwrap_or(false) || is_other
    }

    /// Takes in what the files show now; returns whether anything is different.
    fn look(&mut self) -> io::Result<bool> {
        let Some(target) = &self.target else { return Ok(false) };
        let is_removed = self.reader.as_ref().map_or(Ok(false), Reader::is_removed)?;
        let shown = self.reader.as_ref().map(Reader::number);
        let follows = self.reader.as_ref().is_none_or(Reader::follows);
        let wanted = match target.run {
            Some(run) => Some(run),
            None if follows || is_removed => runs(&target.dir)?.last().copied(),
            None => shown,
        };
        if is_removed || wanted != shown {
            let streams = target.streams.as_slice();
            let reader = wanted.map(|run| Reader::open(&target.dir, run, streams)).transpose()?;
            self.replace(reader);
            return Ok(true);
        }
        let Some(reader) = &mut self.reader else { return Ok(false) };
        if reader.catch_up()? {
            return Ok(true);
        }
        let is_settled = self.settled.is_some_and(|at| at <= Instant::now());
        if is_settled {
            self.settled = None;
            reader.take_untold()?;
        }
        Ok(is_settled)
    }

    fn obey(&mut self, order: Order) -> io::Result<()> {
        let Some(reader) = &mut self.reader else { return Ok(()) };
        match order {
            Order::Follow(follows) => reader.follow(follows),
            Order::Older => reader.older(),
            Order::Newer => reader.newer(),
            Order::Find { pattern, direction, from } => {
                let asked = self.shared.asked.load(Ordering::Relaxed);
                let is_interrupted = || self.shared.asked.load(Ordering::Relaxed) != asked;
                self.searched = Some(match Pattern::typed(&pattern) {
                    Ok(pattern) => reader
                        .find(&pattern, direction, from, &is_interrupted)?
                        .map_or(Searched::NotFound, Searched::Found),
                    Err(mistake) => Searched::Invalid(mistake),
                });
                Ok(())
            }
        }
    }

    fn publish(&self) {
        let trouble = self.unread.clone().or_else(|| self.unwatched.clone());
        let page = match &self.reader {
            Some(reader) => Page {
                is_read: true,
                run: Some(reader.number()),
                generation: self.generation + reader.generation(),
                first: reader.window().first(),
                lines: reader.window().lines().iter().cloned().collect(),
                has_older: reader.has_older(),
                has_newer: reader.has_newer(),
                follows: reader.follows(),
                searched: self.searched.clone(),
                trouble,
            },
            None => {
                Page { is_read: true, generation: self.generation, follows: true, trouble, ..Page::default() }
            }
        };
        self.shared.desk().page = Arc::new(page);
        (self.wake)();
    }
}

fn unwatched(error: &io::Error) -> String {
    format!("new output is not shown: {error}")
}

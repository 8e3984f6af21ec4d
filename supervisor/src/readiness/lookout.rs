//! Looks where runs listen: when their time has come, or when a client asks.
//!
//! One look at a time, for all runs that it is about; others wait for the next one. Looks that were asked for begin at once. The
//! others are put together ([`GRID`]) and kept to a small part of the time ([`SHARE`]), so that a thousand workers that start
//! together cost no more than a few looks. Between looks nothing runs.

use super::Found;
use super::listeners::{self, Wanted};
use super::sockets::Looks;
use crate::mailbox::Post;
use gob_core::{PortsSeen, RunKey};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// The grid on which looks begin that were not asked for.
const GRID: Duration = Duration::from_millis(100);
/// A look is followed by a pause of so many times its length before the next that was not asked for.
const SHARE: u32 = 10;
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The runs that wait for a look.
#[derive(Debug)]
pub(super) struct Lookout {
    shared: Arc<Shared>,
    /// Looks, from the first order on.
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Rung when there is something new to wait for.
    bell: Notify,
    /// The origin of the grid.
    start: Instant,
}

#[derive(Debug, Default)]
struct Waiting {
    due: BTreeMap<RunKey, (Instant, Wanted)>,
    asked: BTreeMap<RunKey, Wanted>,
    /// The latest request, until a look begins.
    ticket: Option<u64>,
}

impl Lookout {
    pub(super) fn new() -> Self {
        let (waiting, bell) = (Mutex::default(), Notify::new());
        Self { shared: Arc::new(Shared { waiting, bell, start: Instant::now() }), task: None }
    }

    /// Looks at a run after so long, or earlier where that was ordered before.
    pub(super) fn later(&mut self, wanted: Wanted, after: Duration, looks: &Looks, found: &Post<Found>) {
        let at = self.shared.on_grid(Instant::now() + after);
        let mut waiting = self.shared.lock();
        let at = waiting.due.get(&wanted.key).map_or(at, |(earlier, _)| at.min(*earlier));
        waiting.due.insert(wanted.key.clone(), (at, wanted));
        drop(waiting);
        self.ring(looks, found);
    }

    /// Looks at these runs in the first look that begins from now on.
    pub(super) fn now(&mut self, ticket: u64, of: Vec<Wanted>, looks: &Looks, found: &Post<Found>) {
        let mut waiting = self.shared.lock();
        waiting.ticket = Some(ticket);
        waiting.asked.extend(of.into_iter().map(|wanted| (wanted.key.clone(), wanted)));
        drop(waiting);
        self.ring(looks, found);
    }

    fn ring(&mut self, looks: &Looks, found: &Post<Found>) {
        self.shared.bell.notify_one();
        let shared = Arc::clone(&self.shared);
        let (looks, found) = (looks.clone(), found.clone());
        self.task.get_or_insert_with(|| tokio::task::spawn_local(shared.look_out(looks, found)));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the first time on the grid that is not before this one.
    fn on_grid(&self, at: Instant) -> Instant {
        let since = at.saturating_duration_since(self.start).as_millis();
        let steps = since.div_ceil(GRID.as_millis());
        self.start + GRID.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
    }

    async fn look_out(self: Arc<Self>, looks: Looks, found: Post<Found>) {
        let mut not_before = self.start;
        loop {
            let at = self.lock().next(not_before);
            match at {
                None => self.bell.notified().await,
                Some(at) if at > Instant::now() => {
                    // Either there is something new, or it is time.
                    drop(timeout_at(at, self.bell.notified()).await);
                }
                Some(_) => {
                    let began = Instant::now();
                    let seen = self.look(&looks, began >= not_before).await;
                    let ended = Instant::now();
                    not_before = ended + ((ended - began) * SHARE).min(LONGEST_PAUSE);
                    if !found.send(Found::Ports(Box::new(seen))).await {
                        return;
                    }
                }
            }
        }
    }

    /// Looks at all runs whose time has come, and at those that were asked for.
    async fn look(&self, looks: &Looks, with_due: bool) -> PortsSeen {
        let (ticket, due, of) = self.lock().take(Instant::now(), with_due);
        PortsSeen { ticket, due, found: looks.all(of).await }
    }
}

impl Waiting {
    /// Returns the begin of the next look.
    fn next(&self, not_before: Instant) -> Option<Instant> {
        if self.ticket.is_some() {
            return Some(Instant::now());
        }
        self.due.values().map(|(at, _)| (*at).max(not_before)).min()
    }

    /// Takes a look's request, the runs whose time has come, and all runs to look at.
    fn take(&mut self, now: Instant, with_due: bool) -> (u64, Vec<RunKey>, Vec<Wanted>) {
        let ticket = self.ticket.take().unwrap_or(0);
        let mut all = std::mem::take(&mut self.asked);
        let mut due = Vec::new();
        if with_due {
            let come: Vec<RunKey> =
                self.due.iter().filter(|(_, (at, _))| *at <= now).map(|(key, _)| key.clone()).collect();
            for key in come {
                if let Some((_, wanted)) = self.due.remove(&key) {
                    all.insert(key.clone(), wanted);
                    due.push(key);
                }
            }
        }
        (ticket, due, all.into_values().collect())
    }
}

impl Looks {
    /// Returns where each of these runs listens.
    pub(super) async fn all(
        &self,
        of: Vec<Wanted>,
    ) -> Result<BTreeMap<RunKey, Vec<gob_core::Listener>>, gob_core::Miss> {
        if of.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.look("ports", move || listeners::of_runs(&of)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::tag::Tag;
    use gob_protocol::Name;

    fn wanted(name: &str) -> Wanted {
        let key = RunKey { name: Name::any(name).unwrap(), run: 1 };
        Wanted { key, tree: super::super::Tree { tag: Tag(1), leader: None }, leader: 1 }
    }

    fn names(keys: &[RunKey]) -> Vec<&str> {
        keys.iter().map(|key| key.name.as_str()).collect()
    }

    #[test]
    fn runs_whose_time_comes_within_one_step_of_the_grid_share_a_look() {
        let lookout = Lookout::new();
        let start = lookout.shared.start;
        let at = |ms| lookout.shared.on_grid(start + Duration::from_millis(ms)) - start;
        assert_eq!([0, 1, 99, 100, 101].map(|ms| at(ms).as_millis()), [0, 100, 100, 100, 200]);
        let mut waiting = Waiting::default();
        for (name, ms) in [("a", 1), ("b", 99), ("c", 101)] {
            waiting.due.insert(wanted(name).key, (start + at(ms), wanted(name)));
        }
        assert_eq!(waiting.next(start), Some(start + GRID));
        let (ticket, due, all) = waiting.take(start + GRID, true);
        assert_eq!((ticket, names(&due), all.len()), (0, vec!["a", "b"], 2));
        assert_eq!(waiting.next(start + GRID * 9), Some(start + GRID * 9), "not sooner than it may");
    }

    #[test]
    fn a_request_is_not_kept_waiting_and_does_not_hurry_the_others() {
        let start = Instant::now();
        let mut waiting = Waiting::default();
        waiting.due.insert(wanted("a").key, (start, wanted("a")));
        (waiting.ticket, waiting.asked) = (Some(7), [(wanted("b").key, wanted("b"))].into());
        let later = start + Duration::from_secs(100);
        assert!(waiting.next(later).is_some_and(|at| at < later));
        let (ticket, due, all) = waiting.take(start + GRID, false);
        assert_eq!((ticket, due.len(), all.len()), (7, 0, 1));
        assert_eq!(waiting.next(later), Some(later));
        waiting.take(later, true);
        assert_eq!(waiting.next(start), None, "nothing is waited for any more");
    }
}

//! The wait for the end of a worker: on a subscription of its own, which outlives the supervisor, and never for longer than asked.

use crate::call::{Call, now};
use crate::refusal::Refusal;
use gob_client::call::{Get, Subscribe};
use gob_client::protocol::{Event, EventKind, Lagged, Timestamp};
use gob_client::screen::Row;
use gob_client::screen::times::{short_duration, since};
use gob_client::subscription::Update;
use gob_client::tokio::Subscription;
use gob_client::{Error, Name, View};
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};

/// Time between two words of progress.
const TICK: Duration = Duration::from_secs(1);

/// The outcome of a wait.
pub(crate) enum Waited {
    /// The worker is at rest, or was removed.
    Over(Box<View>),
    /// The time is over, and the worker is not at rest; with the time for which it had written nothing by then.
    Going(Box<View>, Option<Duration>),
    /// The supervisor has gone, and no other one came; the last that is known.
    Gone(Box<View>),
}

/// A wait.
struct Wait<'a> {
    call: &'a Call,
    name: &'a Name,
    view: View,
    /// The moment that the view is of.
    seen: Timestamp,
    is_connected: bool,
}

/// Waits until a worker is at rest, for `limit` at most.
pub(crate) async fn wait(call: &Call, first: View, limit: Duration) -> Result<Waited, Refusal> {
    let name = first.name.clone();
    if !first.state.goes_on() {
        return Ok(Waited::Over(Box::new(first)));
    }
    let begun = Instant::now();
    let mut wait = Wait { call, name: &name, view: first, seen: now(), is_connected: true };
    let filter = Subscribe { names: Some(vec![name.clone()]), snapshot: true, ..Subscribe::default() };
    let connector = call.link().connector().clone().autostart(false);
    let mut events = Subscription::new(connector, filter);
    let mut ticks = interval_at(begun, TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        // Kept over the ticks: a drop would give up an attempt to connect.
        let mut next = pin!(timeout_at(begun + limit, events.next()));
        let update = loop {
            tokio::select! {
                update = &mut next => break update,
                _ = ticks.tick(), if call.has_progress() => wait.tell(begun.elapsed(), limit).await,
            }
        };
        match update {
            Err(_) => return wait.give_up().await,
            Ok(update) => {
                if wait.take(update.map_err(Refusal::from)?).await? {
                    return Ok(Waited::Over(Box::new(wait.view)));
                }
            }
        }
    }
}

impl Wait<'_> {
    /// Takes news; returns whether the worker is at rest.
    async fn take(&mut self, update: Update) -> Result<bool, Refusal> {
        match update {
            Update::Disconnected => {
                self.is_connected = false;
                Ok(false)
            }
            Update::Subscribed(data) => {
                self.is_connected = true;
                Ok(self.replace(data.workers.unwrap_or_default()))
            }
            Update::Frame(line) => {
                if let Ok(lagged) = serde_json::from_str::<Lagged>(&line) {
                    return Ok(self.replace(lagged.workers));
                }
                let Ok(Event { event, worker: Some(view), .. }) = serde_json::from_str::<Event>(&line) else {
                    return Ok(false);
                };
                self.set(view);
                if event == EventKind::WorkerRemoved {
                    return Ok(true);
                }
                // A restart has no run for a moment either: another look tells.
                Ok(!self.view.state.goes_on() && !self.look().await?)
            }
        }
    }

    fn set(&mut self, view: View) {
        (self.view, self.seen) = (view, now());
    }

    /// Returns the time for which the worker had written nothing when it was last seen: its view knows of nothing later.
    fn silence(&self) -> Option<Duration> {
        let last = self.view.last_output_at.max(self.view.started_at)?;
        self.view.pid.map(|_| since(last, self.seen))
    }

    /// Takes a snapshot; returns whether the worker is at rest. One that is missing in it was removed.
    fn replace(&mut self, workers: Vec<View>) -> bool {
        match workers.into_iter().find(|view| view.name == *self.name) {
            Some(view) => {
                self.set(view);
                !self.view.state.goes_on()
            }
            None => true,
        }
    }

    /// Asks for the worker as it is now; returns whether it goes on.
    async fn look(&mut self) -> Result<bool, Refusal> {
        match self.call.link().ask(Get { name: self.name.clone() }).await {
            Ok(data) => self.set(data.worker),
            // It was removed after its end, or its supervisor has gone: the last news counts.
            Err(Error::Refused(_) | Error::Lost { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(self.view.state.goes_on())
    }

    async fn give_up(mut self) -> Result<Waited, Refusal> {
        if !self.is_connected {
            return Ok(Waited::Gone(Box::new(self.view)));
        }
        let is_going = self.look().await?;
        let silent = self.silence();
        let view = Box::new(self.view);
        Ok(if is_going { Waited::Going(view, silent) } else { Waited::Over(view) })
    }

    async fn tell(&mut self, waited: Duration, limit: Duration) {
        if self.is_connected {
            // For the time of its last output alone: without an answer the last one is told.
            self.look().await.ok();
        }
        let state = match self.is_connected {
            true => Row::from(&self.view).state(now()),
            false => "its supervisor has gone".to_owned(),
        };
        let silent = self.silence().map(|silent| format!(", silent for {}", short_duration(silent)));
        let message = format!("{}: {state}{}", self.name, silent.unwrap_or_default());
        // Progress has to grow, also in the first millisecond.
        let done = waited.as_secs_f64().max(0.001);
        self.call.progress(done, Some(limit.as_secs_f64()), message).await;
    }
}

//! The thread that follows every event.
//!
//! It never starts the supervisor. While none runs it waits for a change in gob's directories; the surface says so after a
//! moment, since a supervisor that is started again is back before that.

use super::known::{Known, Summary};
use crate::Error;
use crate::blocking::Connector;
use crate::screen::{Alarm, Link, Trouble};
use crate::subscription::{Subscription, Update};
use gob_protocol::request::Subscribe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time without a supervisor after which the surface says so.
const MOMENT: Duration = Duration::from_millis(500);
/// Time after which a supervisor that could not be used is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// Knowledge that the feed's thread keeps up to date.
#[derive(Debug, Clone, Default)]
pub struct Feed {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    known: Mutex<Known>,
    again: Condvar,
}

impl Feed {
    /// Returns the knowledge; for a moment only.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to follow. `wake` is called after each update; `told` gets the summary, and the notification that it raises.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn follow(
        &self,
        connector: Connector,
        wake: impl Fn() + Send + 'static,
        told: impl FnMut(Option<Alarm>, Summary) + Send + 'static,
    ) -> std::io::Result<()> {
        let feed = self.clone();
        let thread = std::thread::Builder::new().name("feed".to_owned());
        thread.spawn(move || feed.run(&connector.autostart(false), &wake, told)).map(drop)
    }

    /// Tells why the supervisor could not be started.
    pub fn refused(&self, trouble: Trouble) {
        self.known().link = Link::Refused(trouble);
    }

    /// Tries again at once where the supervisor could not be used.
    pub fn again(&self) {
        self.shared.again.notify_all();
    }

    fn run(&self, connector: &Connector, wake: &impl Fn(), mut told: impl FnMut(Option<Alarm>, Summary)) {
        loop {
            let mut subscription = Subscription::new(connector.clone(), Subscribe::default());
            let trouble = self.drive(&mut subscription, wake, &mut told);
            let mut known = self.known();
            known.link = Link::Refused(trouble);
            wake();
            // A lost wake-up costs one interval.
            drop(self.shared.again.wait_timeout(known, AGAIN));
        }
    }

    /// Follows until an error that does not pass by itself.
    fn drive(
        &self,
        subscription: &mut Subscription,
        wake: &impl Fn(),
        told: &mut impl FnMut(Option<Alarm>, Summary),
    ) -> Trouble {
        let mut deadline = Some(MOMENT);
        loop {
            let update = match subscription.next(deadline.map(|wait| Instant::now() + wait)) {
                Ok(update) => update,
                Err(error) => return Trouble::from(&error),
            };
            let mut known = self.known();
            let alarm = match update {
                None => {
                    deadline = None;
                    // The reason why it could not be started stays to be read.
                    if !matches!(known.link, Link::Refused(_)) {
                        known.link = match subscription.passing() {
                            Some(error @ Error::Silent { .. }) => Link::Refused(Trouble::from(error)),
                            _ => Link::Away,
                        };
                    }
                    None
                }
                Some(Update::Subscribed(data)) => {
                    deadline = None;
                    known.subscribed(&data);
                    None
                }
                Some(Update::Frame(line)) => known.frame(&line),
                Some(Update::Disconnected) => {
                    deadline = Some(MOMENT);
                    None
                }
            };
            let summary = known.summary();
            drop(known);
            told(alarm, summary);
            wake();
        }
    }
}

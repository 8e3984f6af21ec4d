//! The thread that follows every event.
//!
//! It never starts the supervisor. While none runs it waits for a change in gob's directories; the window says so after a
//! moment, since a supervisor that is started again is back before that.

use crate::known::Known;
use crate::tray::Summary;
use crate::wake::Wake;
use gob_client::blocking::Connector;
use gob_client::protocol::request::Subscribe;
use gob_client::screen::{Alarm, Link, Trouble};
use gob_client::subscription::{Subscription, Update};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time without a supervisor after which the window says so.
const MOMENT: Duration = Duration::from_millis(500);
/// Time after which a supervisor that could not be used is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// Knowledge that the feed's thread keeps up to date.
#[derive(Clone, Default)]
pub(crate) struct Feed {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    known: Mutex<Known>,
    again: Condvar,
}

impl Feed {
    /// Returns the knowledge; for a moment only.
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to follow. `told` gets the summary after each update, and the notification that it raises.
    ///
    /// # Errors
    /// When no thread can be made.
    pub(crate) fn follow(
        &self,
        connector: Connector,
        wake: Wake,
        told: impl FnMut(Option<Alarm>, Summary) + Send + 'static,
    ) -> std::io::Result<()> {
        let feed = self.clone();
        let thread = std::thread::Builder::new().name("feed".to_owned());
        thread.spawn(move || feed.run(&connector.autostart(false), &wake, told)).map(drop)
    }

    /// Tells why the supervisor could not be started.
    pub(crate) fn refused(&self, trouble: Trouble) {
        self.known().link = Link::Refused(trouble);
    }

    /// Tries again at once where the supervisor could not be used.
    pub(crate) fn again(&self) {
        self.shared.again.notify_all();
    }

    fn run(&self, connector: &Connector, wake: &Wake, mut told: impl FnMut(Option<Alarm>, Summary)) {
        loop {
            let mut subscription = Subscription::new(connector.clone(), Subscribe::default());
            let trouble = self.drive(&mut subscription, wake, &mut told);
            let mut known = self.known();
            known.link = Link::Refused(trouble);
            wake.now();
            // A lost wake-up costs one interval.
            drop(self.shared.again.wait_timeout(known, AGAIN));
        }
    }

    /// Follows until an error that does not pass by itself.
    fn drive(
        &self,
        subscription: &mut Subscription,
        wake: &Wake,
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
                        known.link = Link::Away;
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
            wake.now();
        }
    }
}

//! A subscription that outlives its connection: it continues after its last event, and reports gaps.
//!
//! [`Cursor`] is the part without I/O: the last event, the life of its supervisor, and the next request.
//! [`Subscription`] drives it over blocking connections; the feature `tokio` adds one that doesn't block.
//!
//! ```no_run
//! use gob_client::blocking::Connector;
//! use gob_client::model::Model;
//! use gob_client::protocol::request::Subscribe;
//! use gob_client::subscription::{Subscription, Update};
//! use gob_client::{Dirs, Owner};
//!
//! # fn main() -> Result<(), gob_client::Error> {
//! let connector = Connector::new(Dirs::from_env()?, Owner::cli()).autostart(false);
//! let mut subscription = Subscription::new(connector, Subscribe::default());
//! let mut model = Model::default();
//! while let Some(update) = subscription.next(None)? {
//!     match update {
//!         Update::Subscribed(data) => drop(model.subscribed(&data)),
//!         Update::Frame(line) => drop(model.apply(&line)),
//!         Update::Disconnected => break,
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use crate::blocking::{Client, Connector};
use crate::error::Error;
use crate::ssh::Address;
use gob_protocol::answer::SubscribeData;
use gob_protocol::request::Subscribe;
use serde::Deserialize;
use std::time::{Duration, Instant};

/// One item for a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// The subscription is connected, for the first time or again. With a snapshot, earlier knowledge is
    /// void; `gap` means that events are missing. Without one, nothing was missed, and the events meanwhile
    /// follow. A snapshot is whole, also where it came in pages.
    Subscribed(SubscribeData),
    /// An event as it came, or `lagged` with its whole snapshot.
    Frame(String),
    /// The connection is gone; the next call waits for another one.
    Disconnected,
}

/// The position of a subscriber.
#[derive(Debug, Clone)]
pub struct Cursor {
    filter: Subscribe,
    /// The life of the supervisor, and its last known event.
    at: Option<(String, u64)>,
}

impl Cursor {
    /// Starts with a snapshot and the given filters.
    #[must_use]
    pub fn new(filter: Subscribe) -> Self {
        Self::exactly(Subscribe { snapshot: filter.since.is_none(), ..filter })
    }

    /// Starts with exactly the given request.
    #[must_use]
    pub const fn exactly(filter: Subscribe) -> Self {
        Self { filter, at: None }
    }

    /// Returns the request for a new connection.
    #[must_use]
    pub fn request(&self) -> Subscribe {
        match &self.at {
            None => self.filter.clone(),
            Some((instance, seq)) => Subscribe {
                since: Some(*seq),
                instance: Some(instance.clone()),
                snapshot: false,
                ..self.filter.clone()
            },
        }
    }

    /// Takes the answer to it.
    pub fn subscribed(&mut self, data: &SubscribeData) {
        // In a replay the events up to `seq` are still to come; each moves the cursor by itself.
        let replays = !data.gap && self.request().since.is_some();
        let from = match &self.at {
            Some((_, seq)) if replays => *seq,
            None if replays => self.filter.since.unwrap_or(data.seq),
            Some(_) | None => data.seq,
        };
        self.at = Some((data.instance.clone(), from));
    }

    /// Takes an event or `lagged`. Any other line moves nothing.
    pub fn frame(&mut self, line: &str) {
        #[derive(Deserialize)]
        struct Seq {
            seq: u64,
        }
        if let (Some((_, at)), Ok(frame)) = (&mut self.at, serde_json::from_str::<Seq>(line)) {
            *at = frame.seq.max(*at);
        }
    }
}

/// A subscription over blocking connections.
#[derive(Debug)]
pub struct Subscription {
    connector: Connector,
    cursor: Cursor,
    /// Connected, and not subscribed yet.
    first: Option<Client>,
    client: Option<Client>,
    /// Why there is no connection.
    passing: Option<Error>,
    /// The other machine, to which the connection was lost.
    lost_way: Option<Address>,
}

impl Subscription {
    /// Creates a subscription that is not connected yet. A connector with auto-start starts a supervisor when
    /// none runs; one without waits for another program to do it.
    #[must_use]
    pub fn new(connector: Connector, filter: Subscribe) -> Self {
        Self::of(connector, None, Cursor::new(filter))
    }

    /// Creates a subscription on an existing connection, with exactly the given request. The connector is for
    /// the connections after it.
    #[must_use]
    pub const fn on(client: Client, connector: Connector, filter: Subscribe) -> Self {
        Self::of(connector, Some(client), Cursor::exactly(filter))
    }

    const fn of(connector: Connector, first: Option<Client>, cursor: Cursor) -> Self {
        Self { connector, cursor, first, client: None, passing: None, lost_way: None }
    }

    /// Waits for the next update; `None` when the deadline passes.
    ///
    /// # Errors
    /// When the listener is no supervisor of this protocol, refuses the subscription, or none can be started.
    /// A missing supervisor is no error.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Update>, Error> {
        let Some(client) = &mut self.client else { return self.connect(deadline) };
        match client.next_event(deadline) {
            Ok(Some(line)) => {
                self.cursor.frame(&line);
                Ok(Some(Update::Frame(line)))
            }
            Ok(None) if !client.has_ended() => Ok(None),
            // The cursor stays: a snapshot whose pages could not be had is requested anew.
            Ok(None) => Ok(Some(self.disconnected())),
            Err(error) => {
                let update = self.disconnected();
                if may_pass(&error) { Ok(Some(update)) } else { Err(error) }
            }
        }
    }

    /// Returns the reason why there is no connection, where it may pass by itself: no supervisor, or one that does not answer.
    #[must_use]
    pub const fn passing(&self) -> Option<&Error> {
        self.passing.as_ref()
    }

    /// Returns the address of the other machine where the last connection to it has ended for a reason that is none of its
    /// supervisor's.
    #[must_use]
    pub const fn lost_way(&self) -> Option<&Address> {
        self.lost_way.as_ref()
    }

    fn disconnected(&mut self) -> Update {
        self.lost_way = self.client.take().and_then(|client| client.lost_way().cloned());
        Update::Disconnected
    }

    fn connect(&mut self, deadline: Option<Instant>) -> Result<Option<Update>, Error> {
        let (cursor, mut first) = (&self.cursor, self.first.take());
        let mut passing = None;
        let connected = when_there((&self.connector, &mut passing), deadline, || {
            let mut client = first.take().map_or_else(|| self.connector.waiting(deadline).connect(), Ok)?;
            let data = client.subscribe(cursor.request())?;
            Ok((client, data))
        });
        self.passing = passing;
        let connected = connected?;
        Ok(connected.map(|(client, data)| {
            self.cursor.subscribed(&data);
            self.client = Some(client);
            Update::Subscribed(data)
        }))
    }
}

impl Connector {
    /// Connects once a supervisor is there, which other programs may have to start; `None` at the deadline.
    ///
    /// # Errors
    /// As [`Connector::connect`], except for errors that may pass by themselves.
    pub fn connect_when_there(&self, deadline: Option<Instant>) -> Result<Option<Client>, Error> {
        when_there((self, &mut None), deadline, || self.waiting(deadline).connect())
    }
}

/// Time between checks of a directory without events.
const LOOK: Duration = Duration::from_secs(5);

/// Tries until it works, after each change where the supervisor's socket is.
pub(crate) fn when_there<T>(
    (connector, passing): (&Connector, &mut Option<Error>),
    deadline: Option<Instant>,
    mut attempt: impl FnMut() -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    loop {
        // Watched before the attempt, so that a socket published right after it wakes the wait.
        let changes = connector.changes();
        match attempt() {
            Ok(done) => return Ok(Some(done)),
            Err(error) if may_pass(&error) => *passing = Some(error),
            Err(error) => return Err(error),
        }
        let now = Instant::now();
        if deadline.is_some_and(|deadline| now >= deadline) {
            return Ok(None);
        }
        let look = now + LOOK;
        changes.wait(deadline.map_or(look, |deadline| deadline.min(look)));
    }
}

/// Returns whether the same may work later without any action.
pub(crate) fn may_pass(error: &Error) -> bool {
    if let Error::Ssh(no_way) = error {
        return no_way.may_pass();
    }
    matches!(error, Error::Nobody { .. } | Error::Lost { .. } | Error::Connect { .. } | Error::Silent { .. })
        || matches!(error, Error::Refused(error) if error.code == gob_protocol::ErrorCode::ShuttingDown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn data(seq: u64, instance: &str, snapshot: bool) -> SubscribeData {
        let workers = if snapshot { json!([]) } else { json!(null) };
        let gap = instance == "j";
        serde_json::from_value(json!({"seq": seq, "instance": instance, "gap": gap, "workers": workers}))
            .unwrap()
    }

    #[test]
    fn the_cursor_requests_events_after_its_last_one() {
        let mut cursor = Cursor::new(Subscribe { names: Some(Vec::new()), ..Subscribe::default() });
        let first = cursor.request();
        assert!(first.snapshot && first.since.is_none() && first.names.is_some());
        cursor.subscribed(&data(5, "i", true));
        cursor.frame("{\"event\":\"worker_ready\",\"seq\":6}");
        cursor.frame("{\"event\":\"lagged\",\"missed\":3,\"seq\":9,\"workers\":[]}");
        cursor.frame("garbage");
        let again = cursor.request();
        assert_eq!((again.since, again.instance.as_deref(), again.snapshot), (Some(9), Some("i"), false));
        // Cut off in the middle of the replay: unseen events are requested again.
        cursor.subscribed(&data(20, "i", false));
        cursor.frame("{\"event\":\"worker_ready\",\"seq\":10}");
        assert_eq!(cursor.request().since, Some(10));
        // Another life, with a snapshot in place of the lost events.
        cursor.subscribed(&data(2, "j", true));
        let last = cursor.request();
        assert_eq!((last.since, last.instance.as_deref()), (Some(2), Some("j")));
    }

    #[test]
    fn a_replay_with_a_snapshot_is_gone_on_with_where_it_was_cut_off() {
        let asked = Subscribe { since: Some(3), snapshot: true, ..Subscribe::default() };
        let mut cursor = Cursor::exactly(asked.clone());
        assert_eq!(cursor.request(), asked);
        cursor.subscribed(&data(7, "i", true));
        cursor.frame("{\"event\":\"worker_ready\",\"seq\":4}");
        assert_eq!((cursor.request().since, cursor.request().snapshot), (Some(4), false));
        assert_eq!(
            Cursor::exactly(Subscribe::default()).request(),
            Subscribe::default(),
            "no snapshot unasked"
        );
    }

    #[test]
    fn a_first_replay() {
        let mut cursor = Cursor::new(Subscribe { since: Some(3), ..Subscribe::default() });
        assert!(!cursor.request().snapshot);
        cursor.subscribed(&data(7, "i", false));
        cursor.frame("{\"event\":\"worker_ready\",\"seq\":4}");
        assert_eq!(cursor.request().since, Some(4));
    }
}

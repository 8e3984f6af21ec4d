//! Events across supervisors, for as long as `--timeout` allows.
//!
//! The first connection may start the supervisor. Later ones wait for one that others start. The wait, and
//! the state afterwards, are printed on standard error.

use crate::context::Context;
use crate::failure::Failure;
use crate::text::took;
use gob_client::protocol::answer::SubscribeData;
use gob_client::protocol::request::Subscribe;
use gob_client::ssh::Address;
use gob_client::subscription::{Subscription, Update};
use std::time::{Duration, Instant};

/// The message that the supervisor has gone.
pub(crate) const GONE: &str =
    "the supervisor has gone; waiting for another one, which gobctl daemon start starts";

/// Returns the message that the supervisor, or the connection to its machine, has gone.
pub(crate) fn gone(lost: Option<&Address>) -> String {
    lost.map_or_else(|| GONE.to_owned(), |address| format!("{}; connecting again", lost_way(address)))
}

/// Returns the beginning of a message about a connection that was lost; what it led to may go on.
pub(crate) fn lost_way(address: &Address) -> String {
    format!("the connection to {address} was lost")
}

/// The end of `--timeout`, if it was given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    at: Option<Instant>,
    after: Duration,
}

impl End {
    /// Counts from now.
    pub(crate) fn of(timeout: Option<Duration>) -> Self {
        let after = timeout.unwrap_or_default();
        Self { at: timeout.and_then(|timeout| Instant::now().checked_add(timeout)), after }
    }

    /// Returns the time itself.
    pub(crate) const fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Fails once the time is over.
    pub(crate) fn check(&self, verb: &str) -> Result<(), Failure> {
        match self.at {
            Some(at) if Instant::now() >= at => Err(self.over(verb)),
            Some(_) | None => Ok(()),
        }
    }

    /// Returns the failure at the end of the time.
    pub(crate) fn over(&self, verb: &str) -> Failure {
        let message = format!("{verb} has ended: its time, {}, is over", took(self.after));
        Failure::own("client-timeout", 124, message).hint("without --timeout it goes on until interrupted")
    }
}

/// One item of a stream.
pub(crate) enum Told {
    /// The stream is connected, with the cause of a snapshot, if there is one.
    Subscribed(SubscribeData),
    /// An event or `lagged`, as it came.
    Frame(String),
    /// The given wait is over.
    Nothing,
}

/// Events, from the life of one supervisor to the next.
pub(crate) struct Stream<'a> {
    context: &'a Context,
    verb: &'static str,
    end: End,
    subscription: Subscription,
    /// The stream had a connection before.
    had_one: bool,
    lost: bool,
}

impl<'a> Stream<'a> {
    /// Connects, and subscribes with the first call of [`Stream::next`].
    pub(crate) fn open(context: &'a Context, verb: &'static str, filter: Subscribe) -> Result<Self, Failure> {
        let end = End::of(context.timeout);
        let first = context.connect("subscribe")?;
        let connector = context.connector()?.autostart(false);
        let subscription = Subscription::on(first, connector, filter);
        Ok(Self { context, verb, end, subscription, had_one: false, lost: false })
    }

    /// Returns the message about the end of the last connection.
    pub(crate) fn gone(&self) -> String {
        gone(self.subscription.lost_way())
    }

    /// Returns whether the supervisor has gone, and no other one is there yet.
    pub(crate) const fn is_lost(&self) -> bool {
        self.lost
    }

    /// Waits for the next item, for `tick` at most.
    pub(crate) fn next(&mut self, tick: Option<Duration>) -> Result<Told, Failure> {
        let tick = tick.map(|tick| Instant::now() + tick);
        let deadline = self.end.at().into_iter().chain(tick).min();
        loop {
            match self.subscription.next(deadline)? {
                Some(Update::Subscribed(data)) => {
                    self.lost = false;
                    if std::mem::replace(&mut self.had_one, true) {
                        self.context.note(&match (data.gap, self.subscription.lost_way()) {
                            (true, _) => {
                                "another supervisor is there; what happened in between is not known, this is what there is"
                                    .to_owned()
                            }
                            (false, None) => "the supervisor is there again; nothing was missed".to_owned(),
                            (false, Some(address)) => format!("connected to {address} again; nothing was missed"),
                        });
                    } else if data.gap {
                        self.context
                            .note("some of these events are gone; this is the state that they led to");
                    }
                    return Ok(Told::Subscribed(data));
                }
                Some(Update::Frame(line)) => return Ok(Told::Frame(line)),
                Some(Update::Disconnected) => {
                    self.lost = true;
                    self.context.note(&self.gone());
                }
                None => {
                    self.end.check(self.verb)?;
                    return Ok(Told::Nothing);
                }
            }
        }
    }
}

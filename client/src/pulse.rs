//! The time limit of an answer, and the pings that prove that a slow supervisor is alive (CLI, Defaults).
//!
//! `Pulse` is the part without I/O and without a clock: a transport calls it for the next step and reports
//! arrivals.

use crate::conn::RequestId;
use gob_protocol::limits::{MAX_UNANSWERED, PING_EVERY_MS, SILENCE_MS};
use std::time::{Duration, Instant};

/// The time limit of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// This long, even if the supervisor is alive.
    In(Duration),
    /// As long as the supervisor lives: it gets a ping on the same connection every 5 s, and is given up once
    /// one of them was not answered for 10 s.
    WhileAlive,
}

impl From<Duration> for Deadline {
    fn from(time: Duration) -> Self {
        Self::In(time)
    }
}

/// Returns the time that lies so far ahead; a century for a time that no clock reaches.
pub(crate) fn ahead(time: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    Instant::now() + time.min(CENTURY)
}

/// The next step of a waiting transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Waits until then, unless something comes before.
    Wait(Instant),
    /// Sends a ping.
    Ping,
    /// Gives the supervisor up.
    Stalled,
}

/// The pings of one connection; one at a time is unanswered.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    asked: Option<(RequestId, Instant)>,
    next: Option<Instant>,
}

impl Pulse {
    /// Time limit of the answer to a ping.
    pub(crate) const SILENCE: Duration = Duration::from_millis(SILENCE_MS);
    const EVERY: Duration = Duration::from_millis(PING_EVERY_MS);

    /// Begins a wait. A ping that is still unanswered was sent in an earlier one, and nothing was read since.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.next = Some(now + Self::EVERY);
        if let Some((_, at)) = &mut self.asked {
            *at = now;
        }
    }

    /// Returns the next step. A connection that is full (PROTOCOL 2) is not read, so that a ping on it proves
    /// nothing.
    pub(crate) fn step(&mut self, now: Instant, unanswered: usize) -> Beat {
        if let Some((_, at)) = self.asked {
            let end = at + Self::SILENCE;
            return if now >= end { Beat::Stalled } else { Beat::Wait(end) };
        }
        let next = *self.next.get_or_insert(now + Self::EVERY);
        if now < next {
            return Beat::Wait(next);
        }
        if unanswered < MAX_UNANSWERED {
            return Beat::Ping;
        }
        self.next = Some(now + Self::EVERY);
        Beat::Wait(now + Self::EVERY)
    }

    /// Notes that a ping was sent.
    pub(crate) fn asked(&mut self, id: RequestId, now: Instant) {
        self.asked = Some((id, now));
        self.next = Some(now + Self::EVERY);
    }

    /// Returns whether the answer is one to a ping, and notes it.
    pub(crate) fn answered(&mut self, id: RequestId) -> bool {
        let is_ping = self.asked.is_some_and(|(asked, _)| asked == id);
        if is_ping {
            self.asked = None;
        }
        is_ping
    }

    /// Returns whether a ping is unanswered.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.asked.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::Connection;
    use gob_protocol::Request;

    #[test]
    fn a_ping_every_five_seconds_and_ten_without_an_answer_are_too_long() {
        let (begun, mut conn) = (Instant::now(), Connection::new());
        let at = |ms| begun + Duration::from_millis(ms);
        let mut pulse = Pulse::default();
        pulse.begin(begun);
        assert_eq!(pulse.step(at(4_999), 1), Beat::Wait(at(5_000)));
        assert_eq!(pulse.step(at(5_000), 1), Beat::Ping);
        let id = conn.request(&Request::Ping).unwrap();
        pulse.asked(id, at(5_000));
        assert_eq!(pulse.step(at(14_999), 2), Beat::Wait(at(15_000)));
        assert!(pulse.answered(id) && !pulse.is_waiting() && !pulse.answered(id));
        assert_eq!(pulse.step(at(15_000), 1), Beat::Ping);
        let id = conn.request(&Request::Ping).unwrap();
        pulse.asked(id, at(15_000));
        assert_eq!(pulse.step(at(25_000), 2), Beat::Stalled);
    }

    #[test]
    fn silence_counts_only_while_the_connection_is_read() {
        let (begun, mut conn) = (Instant::now(), Connection::new());
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut pulse = Pulse::default();
        pulse.asked(conn.request(&Request::Ping).unwrap(), begun);
        pulse.begin(at(3_600));
        assert_eq!(pulse.step(at(3_600), 2), Beat::Wait(at(3_610)));
        let mut pulse = Pulse::default();
        pulse.begin(begun);
        assert_eq!(pulse.step(at(5), MAX_UNANSWERED), Beat::Wait(at(10)), "a full connection is not read");
        assert_eq!(pulse.step(at(10), 1), Beat::Ping);
    }
}

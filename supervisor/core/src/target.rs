//! The target of a probe, and the facts that a probe finds there. Plain data, without words.

use crate::failure::{Errno, Silent};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use gob_protocol::handshake::Handshake;
use gob_protocol::view::Port;

/// The place that a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The status of the answer to a GET.
    Http {
        /// On this port of the loopback interface; `None`: on any on which the run's tree listens.
        port: Option<u16>,
        /// Path and query.
        path: String,
        /// The status that means ready.
        status: u16,
    },
    /// A connection that is accepted at `host:port` or `unix:path`.
    Connect {
        /// The address.
        address: String,
    },
    /// A line of output that matches the run's check, written since the last probe.
    Output,
}

/// A satisfied probe.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answered {
    /// The endpoint, as far as the probe found it.
    pub handshake: Handshake,
    /// Ports on which its tree listens, where that was looked up.
    pub ports: Vec<Port>,
}

/// A probe that was not satisfied. Its `Display` is the reason that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The target.
    pub target: Target,
    /// The failure there.
    pub why: Miss,
    /// The addresses on which the run listens, where they were looked up and the target has a port.
    pub listens: Option<Listens>,
    /// The reason is as long as [`Effect::Probe`](crate::Effect::Probe) asked for, and may be shown.
    pub is_explained: bool,
}

/// The failure of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// The machine refused.
    Machine(Errno),
    /// The answer did not come in time.
    TimedOut,
    /// The answer is not HTTP.
    NotHttp,
    /// The answer has another status.
    Status {
        /// The status of the answer.
        answered: u16,
        /// The status that means ready.
        expected: u16,
    },
    /// Another process answers on this port.
    AnothersPort(u16),
    /// The listener on this port ended after its answer.
    NobodysPort(u16),
    /// The run listens on no port yet.
    NoPort,
    /// The kernel's list of sockets can't be read.
    NoSockets {
        /// The list.
        path: String,
        /// The machine's refusal.
        errno: Errno,
    },
    /// The sockets of processes were not to be read in time.
    Silent(Silent),
    /// The endpoint is not HTTP on the loopback interface.
    NotLocal(String),
    /// The text is no address.
    NoAddress,
    /// The run's output has no such line.
    NoLine,
}

/// The addresses on which a run's tree listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listens {
    /// These; maybe none.
    On(Vec<SocketAddr>),
    /// It can't be told.
    Hidden,
}

impl Miss {
    /// Returns whether this only means that no process listens at an address, or that the machine has no such address:
    /// another address's failure tells more.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        let Self::Machine(errno) = self else { return false };
        matches!(errno.name.as_str(), "ECONNREFUSED" | "EADDRNOTAVAIL" | "ENETUNREACH" | "EAFNOSUPPORT")
    }

    /// Returns whether this means that the run does not listen at an address: no process does, or another one.
    #[must_use]
    pub fn is_nobodys(&self) -> bool {
        self.is_nobody() || matches!(self, Self::AnothersPort(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_the_runs_listener_is_told_by_its_failure() {
        let machine = |name: &str| Miss::Machine(Errno { name: name.into(), text: "W".into() });
        for (miss, is_nobody, is_nobodys) in [
            (machine("ECONNREFUSED"), true, true),
            (machine("EADDRNOTAVAIL"), true, true),
            (machine("ENETUNREACH"), true, true),
            (machine("EAFNOSUPPORT"), true, true),
            (machine("ECONNRESET"), false, false),
            (machine("ENOENT"), false, false),
            (Miss::AnothersPort(80), false, true),
            (Miss::NobodysPort(80), false, false),
            (Miss::TimedOut, false, false),
            (Miss::Status { answered: 503, expected: 200 }, false, false),
        ] {
            assert_eq!((miss.is_nobody(), miss.is_nobodys()), (is_nobody, is_nobodys), "{miss:?}");
        }
    }
}

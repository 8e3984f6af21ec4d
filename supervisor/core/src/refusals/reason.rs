//! The reasons that a view shows of a worker: why it is as it is.

use super::run::pointer;
use alloc::string::{String, ToString};
use core::fmt;
use gob_protocol::{Exit, Name};

/// A reason, as data; its text is its `Display`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reason<'a> {
    /// It was not ready in time; `saw` is the last word of its check.
    NotReady { timeout_ms: u64, saw: Option<&'a str> },
    /// Another program took its port.
    AnotherPort(Option<u16>),
    /// Its leader exited 0, and this process and so many others went on.
    LeftBehind { pid: i32, others: usize },
    /// It did not report in time that it is well.
    NotHeard { interval_ms: u64 },
    /// It reported that it is not well.
    Triggered,
    /// It was not used for this long.
    Unused { for_ms: u64 },
    /// Its owner had no lease any more.
    Unleased,
    /// It gave way to a peer.
    Ceded,
    /// Another run follows one that ended like this.
    Again { exit: &'a Exit, why: Option<&'a str> },
    /// No other run follows.
    Down { name: &'a Name, exit: &'a Exit, why: Option<&'a str> },
    /// It ended too often.
    GaveUp { name: &'a Name, exit: &'a Exit, why: Option<&'a str>, times: u32, within_ms: u64 },
    /// The client that ran it, and was to stay until its end, has left.
    LeftRunning { client: Option<&'a str>, pid: Option<i32> },
    /// Its supervisor was killed.
    Killed,
    /// A holder without gob refused to end.
    NotTaken,
    /// A holder without gob is still there.
    NotGone,
}

impl From<Reason<'_>> for String {
    fn from(reason: Reason<'_>) -> Self {
        reason.to_string()
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady { timeout_ms, saw } => {
                write!(f, "was not ready after {} s{}", seconds(*timeout_ms), InBraces(*saw))
            }
            Self::AnotherPort(Some(port)) => write!(f, "port {port} was taken; another one is tried"),
            Self::AnotherPort(None) => f.write_str("another one is tried"),
            Self::LeftBehind { pid, others } => {
                write!(f, "its leader exited 0 and left pid {pid}")?;
                if *others > 0 {
                    write!(f, " and {others} more")?;
                }
                f.write_str(" behind, ended with it: have the program stay in the foreground")
            }
            Self::NotHeard { interval_ms } => write!(f, "did not say WATCHDOG=1 within {interval_ms} ms"),
            Self::Triggered => f.write_str("said WATCHDOG=trigger"),
            Self::Unused { for_ms } => write!(f, "stopped: nobody used it for {} s", seconds(*for_ms)),
            Self::Unleased => f.write_str("stopped: the last lease of its owner has ended"),
            Self::Ceded => f.write_str("exited 0: a peer took the graph over"),
            Self::Again { why: Some(why), .. } => f.write_str(why),
            Self::Again { exit, why: None } => exit.fmt(f),
            Self::Down { name, exit, why } => {
                write!(f, "{}{}", Reason::Again { exit, why: *why }, pointer(name, exit))
            }
            Self::GaveUp { name, exit, why, times, within_ms } => {
                let (seconds, see) = (within_ms / 1000, pointer(name, exit));
                write!(f, "{exit}{}, {times} times in {seconds}s{see}", InBraces(*why))
            }
            Self::LeftRunning { client, pid } => {
                f.write_str("its client")?;
                match (client, pid) {
                    (Some(client), Some(pid)) => write!(f, " ({client}, pid {pid})")?,
                    (Some(client), None) => write!(f, " ({client})")?,
                    (None, Some(pid)) => write!(f, " (pid {pid})")?,
                    (None, None) => {}
                }
                f.write_str(" left it running")
            }
            Self::Killed => f.write_str("the supervisor was killed, and this worker with it"),
            Self::NotTaken => f.write_str("did not take the request to end"),
            Self::NotGone => f.write_str("did not end in time"),
        }
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// Further facts, in braces behind a text.
struct InBraces<'a>(Option<&'a str>);

impl fmt::Display for InBraces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |text| write!(f, " ({text})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_text() {
        let name = &Name::graph("g").unwrap();
        let (exit, none) = (&Exit::Code { code: 3 }, &crate::failure::not_tried("ENOENT"));
        let why = Some("no disk");
        let within_ms = 60_000;
        for (reason, text) in [
            (Reason::NotReady { timeout_ms: 1_500, saw: None }, "was not ready after 1.5 s"),
            (Reason::NotReady { timeout_ms: 2_000, saw: why }, "was not ready after 2 s (no disk)"),
            (Reason::AnotherPort(Some(80)), "port 80 was taken; another one is tried"),
            (Reason::AnotherPort(None), "another one is tried"),
            (
                Reason::LeftBehind { pid: 7, others: 0 },
                "its leader exited 0 and left pid 7 behind, ended with it: have the program stay in the foreground",
            ),
            (
                Reason::LeftBehind { pid: 7, others: 2 },
                "its leader exited 0 and left pid 7 and 2 more behind, ended with it: have the program stay in the foreground",
            ),
            (Reason::NotHeard { interval_ms: 50 }, "did not say WATCHDOG=1 within 50 ms"),
            (Reason::Triggered, "said WATCHDOG=trigger"),
            (Reason::Unused { for_ms: 500 }, "stopped: nobody used it for 0.5 s"),
            (Reason::Unleased, "stopped: the last lease of its owner has ended"),
            (Reason::Ceded, "exited 0: a peer took the graph over"),
            (Reason::Again { exit, why }, "no disk"),
            (Reason::Again { exit, why: None }, "exited 3"),
            (Reason::Down { name, exit, why }, "no disk: see gobctl logs g"),
            (Reason::Down { name, exit, why: None }, "exited 3: see gobctl logs g"),
            (Reason::Down { name, exit: none, why }, "no disk"),
            (
                Reason::GaveUp { name, exit, why, times: 5, within_ms },
                "exited 3 (no disk), 5 times in 60s: see gobctl logs g",
            ),
            (
                Reason::GaveUp { name, exit: none, why: None, times: 5, within_ms },
                "could not be spawned: prepare: ENOENT, 5 times in 60s",
            ),
            (
                Reason::LeftRunning { client: Some("gobctl"), pid: Some(4240) },
                "its client (gobctl, pid 4240) left it running",
            ),
            (Reason::LeftRunning { client: Some("x"), pid: None }, "its client (x) left it running"),
            (Reason::LeftRunning { client: None, pid: Some(7) }, "its client (pid 7) left it running"),
            (Reason::LeftRunning { client: None, pid: None }, "its client left it running"),
            (Reason::Killed, "the supervisor was killed, and this worker with it"),
            (Reason::NotTaken, "did not take the request to end"),
            (Reason::NotGone, "did not end in time"),
        ] {
            assert_eq!(String::from(reason), text);
        }
    }
}

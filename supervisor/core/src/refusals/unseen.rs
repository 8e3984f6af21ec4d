//! The words about what a probe or an examination did not find: from facts to the reason that is shown.

use crate::failure::{LockFlaw, Unclear};
use crate::target::{Listens, Miss, Missed, Target};
use alloc::boxed::Box;
use alloc::format;
use core::fmt;
use gob_protocol::{ErrorCode, WireError};
use serde_json::json;

/// Addresses of a run that are named where its probe fails.
const SHOWN: usize = 4;

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Http { port: Some(port), path, .. } => write!(f, "GET http://localhost:{port}{path}: ")?,
            Target::Http { port: None, path, .. } => write!(f, "GET {path}: ")?,
            Target::Connect { address } => write!(f, "connect to {address}: ")?,
            Target::Output => {}
        }
        self.why.fmt(f)?;
        self.listens.iter().try_for_each(|listens| listens.fmt(f))
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(errno) => f.write_str(&errno.text),
            Self::TimedOut => f.write_str("timed out"),
            Self::NotHttp => f.write_str("the answer is not HTTP"),
            Self::Status { answered, expected } => write!(f, "answered {answered}, not {expected}"),
            Self::AnothersPort(port) => write!(f, "another process answers on port {port}"),
            Self::NobodysPort(port) => write!(f, "no process listens on port {port} any more"),
            Self::NoPort => f.write_str("it listens on no port yet"),
            Self::NoSockets { path, errno } => write!(
                f,
                "cannot see ports, {path} can't be read ({}): mount /proc without subset=pid, or give the kind a {{port}}",
                errno.text
            ),
            Self::Silent(silent) => silent.fmt(f),
            Self::NotLocal(endpoint) => write!(f, "{endpoint} is not http on this machine"),
            Self::NoAddress => f.write_str("it is no address of this machine"),
            Self::NoLine => f.write_str("wrote no line that says it is well"),
        }
    }
}

/// The end of a reason: the addresses on which the run listens instead.
impl fmt::Display for Listens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = match self {
            Self::Hidden => return f.write_str("; /proc does not show where it listens"),
            Self::On(addresses) if addresses.is_empty() => return f.write_str("; it listens on no port"),
            Self::On(addresses) => addresses,
        };
        f.write_str("; it listens on ")?;
        for (at, address) in addresses.iter().take(SHOWN).enumerate() {
            write!(f, "{}{address}", if at == 0 { "" } else { ", " })?;
        }
        if addresses.len() > SHOWN { f.write_str(", …") } else { Ok(()) }
    }
}

/// The kernel did not show where runs listen.
pub(crate) fn ports_unseen(why: &Miss) -> Box<WireError> {
    let (code, hint) = match why {
        Miss::Silent(_) => (ErrorCode::Busy, "try again; gobctl doctor checks /proc"),
        Miss::Machine(_)
        | Miss::TimedOut
        | Miss::NotHttp
        | Miss::Status { .. }
        | Miss::AnothersPort(_)
        | Miss::NobodysPort(_)
        | Miss::NoPort
        | Miss::NoSockets { .. }
        | Miss::NotLocal(_)
        | Miss::NoAddress
        | Miss::NoLine => (ErrorCode::Internal, "gobctl doctor checks /proc; workers go on without it"),
    };
    let error = WireError::new(code, format!("the ports can't be read: {why}")).hint(hint);
    Box::new(if code == ErrorCode::Busy { error.details(json!({"limit": "ports"})) } else { error })
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(silent) => silent.fmt(f),
            Self::Unreadable { path, flaw } => write!(f, "the lock file {path} can't be read: {flaw}"),
            Self::SaysNothing { path, flaw } => write!(f, "the lock file {path} says nothing: {flaw}"),
            Self::Changes { path } => write!(f, "the lock file {path} goes on changing"),
            Self::Stays { path, flaw } => {
                write!(f, "the lock file {path} of a dead process stays: {flaw}")
            }
            Self::NoProcesses(errno) => write!(f, "the processes can't be listed: {}", errno.text),
        }
    }
}

impl fmt::Display for LockFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(errno) => f.write_str(&errno.text),
            Self::NotAFile => f.write_str("it is not a regular file"),
            Self::TooLong { most } => write!(f, "it has more than {most} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Errno, Silent};
    use alloc::string::ToString;
    use core::net::SocketAddr;
    use std::vec::Vec;

    fn errno(text: &str) -> Errno {
        Errno { name: "E".into(), text: text.into() }
    }

    fn silent() -> Silent {
        Silent { operation: "look at", place: "/r".into(), seconds: 3, elsewhere: 0 }
    }

    const SILENT: &str = "look at /r: no answer for 3 s; its disk hangs, or what it is mounted from is gone";

    #[test]
    fn each_miss_has_its_text() {
        let no_sockets = Miss::NoSockets { path: "/proc/net/tcp".into(), errno: errno("W") };
        for (miss, text) in [
            (Miss::Machine(errno("Connection refused (os error 111)")), "Connection refused (os error 111)"),
            (Miss::TimedOut, "timed out"),
            (Miss::NotHttp, "the answer is not HTTP"),
            (Miss::Status { answered: 503, expected: 200 }, "answered 503, not 200"),
            (Miss::AnothersPort(80), "another process answers on port 80"),
            (Miss::NobodysPort(80), "no process listens on port 80 any more"),
            (Miss::NoPort, "it listens on no port yet"),
            (
                no_sockets,
                "cannot see ports, /proc/net/tcp can't be read (W): mount /proc without subset=pid, or give the kind a {port}",
            ),
            (Miss::Silent(silent()), SILENT),
            (Miss::NotLocal("https://a".into()), "https://a is not http on this machine"),
            (Miss::NoAddress, "it is no address of this machine"),
            (Miss::NoLine, "wrote no line that says it is well"),
        ] {
            assert_eq!(miss.to_string(), text);
        }
    }

    #[test]
    fn a_reason_names_the_target_and_the_addresses_of_the_run() {
        let http = |port| Target::Http { port, path: "/x".into(), status: 200 };
        let socket = Target::Connect { address: "unix:/s".into() };
        let on = |ports: &[u16]| {
            let at = |port: &u16| SocketAddr::from(([127, 0, 0, 1], *port));
            Some(Listens::On(ports.iter().map(at).collect::<Vec<_>>()))
        };
        for (target, listens, text) in [
            (http(Some(80)), None, "GET http://localhost:80/x: timed out"),
            (http(None), on(&[]), "GET /x: timed out; it listens on no port"),
            (socket, None, "connect to unix:/s: timed out"),
            (Target::Output, None, "timed out"),
            (http(None), Some(Listens::Hidden), "GET /x: timed out; /proc does not show where it listens"),
            (
                http(None),
                on(&[1, 2, 3, 4]),
                "GET /x: timed out; it listens on 127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3, 127.0.0.1:4",
            ),
            (
                http(None),
                on(&[1, 2, 3, 4, 5]),
                "GET /x: timed out; it listens on 127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3, 127.0.0.1:4, …",
            ),
        ] {
            let missed = Missed { target, why: Miss::TimedOut, listens, is_explained: true };
            assert_eq!(missed.to_string(), text);
        }
    }

    #[test]
    fn each_failed_examination_has_its_text() {
        let path = || "/l".into();
        for (unclear, text) in [
            (Unclear::Silent(silent()), SILENT),
            (
                Unclear::Unreadable { path: path(), flaw: LockFlaw::Machine(errno("W")) },
                "the lock file /l can't be read: W",
            ),
            (
                Unclear::Unreadable { path: path(), flaw: LockFlaw::NotAFile },
                "the lock file /l can't be read: it is not a regular file",
            ),
            (
                Unclear::Unreadable { path: path(), flaw: LockFlaw::TooLong { most: 9 } },
                "the lock file /l can't be read: it has more than 9 bytes",
            ),
            (
                Unclear::SaysNothing { path: path(), flaw: "it is empty".into() },
                "the lock file /l says nothing: it is empty",
            ),
            (Unclear::Changes { path: path() }, "the lock file /l goes on changing"),
            (
                Unclear::Stays { path: path(), flaw: LockFlaw::Machine(errno("W")) },
                "the lock file /l of a dead process stays: W",
            ),
            (Unclear::NoProcesses(errno("W")), "the processes can't be listed: W"),
        ] {
            assert_eq!(unclear.to_string(), text);
        }
    }
}

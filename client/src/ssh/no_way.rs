//! No supervisor over there: the reason, and its remedy.

use super::Address;
use std::io;
use std::time::Duration;

/// The reason why ssh leads to no supervisor.
#[derive(Debug)]
pub enum Why {
    /// The program ssh can't be run.
    NoSsh(io::Error),
    /// ssh failed: its exit code is 255.
    Refused,
    /// There is no gobctl over there.
    NoGob,
    /// gobctl over there can't be executed.
    NotExecutable,
    /// gobctl over there has ended with this code, without an answer.
    Ended(Option<i32>),
    /// gobctl over there can't reach its supervisor.
    There {
        /// Its message.
        message: String,
        /// Its remedy.
        hint: Option<String>,
    },
    /// Nothing came for this long.
    Silent(Duration),
}

/// No supervisor over there, and the reason.
#[derive(Debug)]
pub struct NoWay {
    /// The address.
    pub address: Address,
    /// The reason.
    pub why: Why,
    /// The last lines of ssh, where they were not shown.
    pub said: String,
}

impl std::fmt::Display for NoWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = &self.address;
        match &self.why {
            Why::NoSsh(_) => write!(f, "cannot run ssh, which leads to {address}"),
            Why::Refused => {
                write!(f, "ssh to {address} failed: it could not connect, or lost the connection")
            }
            Why::NoGob => write!(f, "gobctl not found on {}: install gob there", address.host()),
            Why::NotExecutable => write!(f, "gobctl on {} cannot be executed", address.host()),
            Why::Ended(Some(code)) => {
                write!(f, "gobctl on {} ended with {code} and answered nothing", address.host())
            }
            Why::Ended(None) => write!(f, "the connection to {address} ended before the first answer"),
            Why::There { message, .. } => write!(f, "on {}: {message}", address.host()),
            Why::Silent(waited) => {
                write!(f, "no answer from {address} within {:.0} s", waited.as_secs_f64())
            }
        }
    }
}

impl NoWay {
    /// Returns whether the same may work later without any action: the network may come back.
    pub(crate) const fn may_pass(&self) -> bool {
        match self.why {
            Why::Refused | Why::Ended(_) | Why::Silent(_) => true,
            Why::NoSsh(_) | Why::NoGob | Why::NotExecutable | Why::There { .. } => false,
        }
    }

    /// Returns the cause, where there is one beside the message.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match &self.why {
            Why::NoSsh(source) => Some(source.to_string()),
            Why::Refused
            | Why::NoGob
            | Why::NotExecutable
            | Why::Ended(_)
            | Why::There { .. }
            | Why::Silent(_) => (!self.said.is_empty()).then(|| self.said.clone()),
        }
    }

    /// Returns the remedy.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let try_it = |word: &str| {
            let port = self.address.port().map(|port| format!(" -p {port}")).unwrap_or_default();
            let user = self.address.user().map(|user| format!(" -l {user}")).unwrap_or_default();
            format!("ssh{port}{user} -- {} {word}", self.address.host())
        };
        match &self.why {
            Why::NoSsh(_) => Some("install the OpenSSH client".to_owned()),
            Why::Refused => Some(format!("try it without gob: {}", try_it("true"))),
            Why::NoGob => Some(
                "it is searched on the PATH of ssh's commands there, in ~/.local/bin, ~/.cargo/bin and /usr/local/bin"
                    .to_owned(),
            ),
            Why::NotExecutable => Some(format!("see why: {}", try_it("gobctl --version"))),
            Why::Ended(_) => Some(format!("it may be too old for this: {}", try_it("gobctl --version"))),
            Why::There { hint, .. } => hint.clone(),
            Why::Silent(_) => Some(format!("see where it waits: {}", try_it("gobctl ping"))),
        }
    }
}

impl std::error::Error for NoWay {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_remedy() {
        let address = Address::parse("ssh://me@h:22").unwrap();
        let all = [
            Why::NoSsh(io::ErrorKind::NotFound.into()),
            Why::Refused,
            Why::NoGob,
            Why::NotExecutable,
            Why::Ended(Some(2)),
            Why::Ended(None),
            Why::There { message: "no".to_owned(), hint: Some("do".to_owned()) },
            Why::Silent(Duration::from_secs(45)),
        ];
        for why in all {
            let no_way = NoWay { address: address.clone(), why, said: "said".to_owned() };
            assert!(no_way.hint().is_some() && no_way.to_string().contains('h'), "{no_way:?}");
            assert!(no_way.cause().is_some(), "{no_way:?}");
        }
    }
}

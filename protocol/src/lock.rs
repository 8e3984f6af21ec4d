//! Named locks: their names, their holders and waiters, and the reasons of their ends (PROTOCOL 5, Locks). The questions that the supervisor
//! asks about locks that several machines share are in [`ask`].

pub mod ask;

use crate::limits::MAX_LOCK_NAME_BYTES;
use crate::name::{INVALID_NAME, NameError, Owner};
use crate::text::Text;
use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;
use std::sync::Arc;

/// The name of a lock. Locks and workers do not share their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct LockName(Arc<str>);

impl LockName {
    /// Checks the name of a lock.
    ///
    /// # Errors
    /// When it is not 1 to 200 bytes without control characters.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > MAX_LOCK_NAME_BYTES {
            return Err(NameError::Length { len: text.len(), max: MAX_LOCK_NAME_BYTES });
        }
        match text.chars().find(|c| c.is_control()) {
            Some(control) => Err(NameError::Control(control)),
            None => Ok(Self(text.into())),
        }
    }

    /// Returns the name as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for LockName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        Self::new(&text).map_err(|e| de::Error::custom(format_args!("{INVALID_NAME}{e}")))
    }
}

/// With whom a lock may be held at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LockMode {
    /// With nobody.
    #[default]
    Exclusive,
    /// With other shared holders.
    Shared,
}

impl LockMode {
    /// Returns whether two holders may have these modes at the same time.
    #[must_use]
    pub const fn goes_with(self, other: Self) -> bool {
        matches!((self, other), (Self::Shared, Self::Shared))
    }

    /// Returns the mode as the wire spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Shared => "shared",
        }
    }
}

/// A holder of a lock, or a waiter for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LockParty {
    /// Its program, in its own words; null where it told none.
    pub process: Option<String>,
    /// The client at the other end of the connection, as the kernel told at its connect.
    pub pid: Option<i32>,
    /// The machine.
    pub host: String,
    /// The owner that it speaks for.
    pub owner: Owner,
    /// The mode.
    pub mode: LockMode,
    /// The priority; a higher one comes first.
    pub priority: i32,
    /// Time since the grant, or since the begin of the wait.
    pub age_ms: u64,
    /// The token of a holder; of a waiter: the one by which it claims the lock that an earlier connection held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
    /// The end of a holder's time, where it asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl LockParty {
    /// Returns its approximate size in bytes on the wire.
    #[must_use]
    pub fn about_bytes(&self) -> usize {
        224 + self.process.as_ref().map_or(0, String::len) + self.host.len() + self.owner.as_str().len()
    }
}

impl fmt::Display for LockParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::event::write_party(f, &self.owner, self.process.as_deref(), self.pid)
    }
}

/// The reason why a holder has a lock no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LockEnd {
    /// It gave the lock back.
    Released,
    /// Its connection ended.
    Connection,
    /// Its time was over.
    Ttl,
    /// The lock was broken.
    Broken,
}

impl LockEnd {
    /// Returns the reason as the wire spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Connection => "connection",
            Self::Ttl => "ttl",
            Self::Broken => "broken",
        }
    }
}

/// A lock, and what was counted of it since the supervisor started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lock {
    /// Its name.
    pub lock: LockName,
    /// Its holders, the oldest first.
    pub holders: Vec<LockParty>,
    /// The waiters, in the order in which they get it.
    pub waiters: Vec<LockParty>,
    /// Grants.
    pub acquired: u64,
    /// Requests that could not be granted at once.
    pub contended: u64,
    /// Holders from whom it was taken.
    pub broken: u64,
    /// Requests that waited and were granted.
    pub waits: u64,
    /// The longest time that one of these waited.
    pub longest_wait_ms: u64,
}

/// A step of a circle of parties that wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LockLink {
    /// The lock that is waited for.
    pub lock: LockName,
    /// The owner of the party that has it, or comes before.
    pub owner: Owner,
    /// The program of that party.
    pub process: Option<String>,
    /// Its process.
    pub pid: Option<i32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_200_bytes_without_control_characters() {
        for good in ["a", ".", "build/site", "Größe 1", &"x".repeat(200)] {
            assert_eq!(LockName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a\nb", "\u{7f}", &"x".repeat(201)] {
            assert!(LockName::new(bad).is_err(), "{bad:?}");
            let text = serde_json::to_string(bad).unwrap();
            let error = serde_json::from_str::<LockName>(&text).unwrap_err().to_string();
            assert!(error.contains(INVALID_NAME), "{error}");
        }
    }

    #[test]
    fn only_shared_holders_go_together() {
        use LockMode::{Exclusive, Shared};
        assert!(Shared.goes_with(Shared));
        assert!(
            ![(Shared, Exclusive), (Exclusive, Shared), (Exclusive, Exclusive)]
                .iter()
                .any(|(one, other)| one.goes_with(*other))
        );
    }

    #[test]
    fn the_words_are_those_of_the_wire() {
        for mode in [LockMode::Exclusive, LockMode::Shared] {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.as_str());
        }
        for end in [LockEnd::Released, LockEnd::Connection, LockEnd::Ttl, LockEnd::Broken] {
            assert_eq!(serde_json::to_value(end).unwrap(), end.as_str());
        }
    }
}

//! The contents of a lock file, and the judgement whether its holder still counts. No I/O, no clock.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Most bytes of a lock file that are read; no program's record is that long.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// So long must a file that can't be read stay as it is before it counts as broken: its maker may be writing it.
pub const BEING_WRITTEN: Duration = Duration::from_secs(1);

/// The holder of a lock file, as the file names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Its process id on its host.
    pub pid: i32,
    /// When it last said that it holds the lock, in milliseconds since the epoch.
    #[serde(deserialize_with = "whole")]
    pub timestamp: u64,
    /// Its host's name.
    #[serde(default)]
    pub host: String,
    /// Its own name for itself.
    #[serde(default)]
    pub process: String,
}

/// Programs in JavaScript write numbers that may have a fraction.
fn whole<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let refused = || serde::de::Error::custom("expected milliseconds since the epoch");
    number.as_u64().map_or_else(
        || {
            let float = number.as_f64().filter(|number| (0.0..1e15).contains(number)).ok_or_else(refused)?;
            let text = format!("{float:.0}");
            text.parse().map_err(|_| refused())
        },
        Ok,
    )
}

impl Info {
    /// Returns the record in the bytes of a lock file; `None` where they hold none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let info: Self = serde_json::from_slice(bytes).ok()?;
        (info.pid > 0).then_some(info)
    }

    /// Returns the bytes of this record. They are as long for every time of the next centuries, so that a record can be
    /// written over an older one.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// `psql (pid 4242 on ada)`, with neither control characters nor more than a line.
impl fmt::Display for Info {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &str| {
            text.chars().map(|c| if c.is_control() { '?' } else { c }).take(64).collect::<String>()
        };
        if self.process.is_empty() {
            write!(to, "pid {}", self.pid)?;
        } else {
            write!(to, "{} (pid {}", short(&self.process), self.pid)?;
        }
        if !self.host.is_empty() {
            write!(to, " on {}", short(&self.host))?;
        }
        if self.process.is_empty() { Ok(()) } else { write!(to, ")") }
    }
}

/// A lock file as it was seen at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Device and inode, which no other file has while it is open.
    pub(super) file: (u64, u64),
    /// All of its bytes, or the first [`MAX_BYTES`].
    pub(super) bytes: Vec<u8>,
}

/// The standing of a lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Its holder counts.
    Held(Info),
    /// Its holder has died or is silent for too long; anybody may take the lock.
    Stale(Info),
    /// It can't be read; it may be being written.
    Unreadable,
    /// It can't be read, and nobody is writing it; anybody may take the lock.
    Broken,
}

impl Standing {
    /// True if the lock may be taken from its holder.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        matches!(self, Self::Stale(_) | Self::Broken)
    }

    /// Returns the holder, as far as it can be read.
    #[must_use]
    pub const fn info(&self) -> Option<&Info> {
        match self {
            Self::Held(info) | Self::Stale(info) => Some(info),
            Self::Unreadable | Self::Broken => None,
        }
    }
}

/// Facts beside the file itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// This machine's name.
    pub(super) host: &'a str,
    /// Milliseconds since the epoch.
    pub(super) now: u64,
    /// For how long the file is known to have been as it is, by a clock that does not jump.
    pub(super) unchanged: Duration,
    /// The time of silence after which a holder does not count any more.
    pub(super) stale_after: Duration,
}

/// Judges what was seen. `is_alive` tells of a process of this machine.
///
/// The clocks of two hosts differ, and a clock may be set back: a time in the future does not count. A file that was watched
/// for the whole stale time without a change is stale whatever it says.
pub(super) fn judge(seen: &Seen, facts: Facts<'_>, is_alive: impl Fn(i32) -> bool) -> Standing {
    let Some(info) = Info::parse(&seen.bytes) else {
        let is_being_written = facts.unchanged < BEING_WRITTEN;
        return if is_being_written { Standing::Unreadable } else { Standing::Broken };
    };
    let age = Duration::from_millis(facts.now.saturating_sub(info.timestamp));
    let is_silent = age > facts.stale_after || facts.unchanged > facts.stale_after;
    let is_dead = info.host == facts.host && !is_alive(info.pid);
    if is_silent || is_dead { Standing::Stale(info) } else { Standing::Held(info) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn seen(text: &str) -> Seen {
        Seen { file: (1, 2), bytes: text.as_bytes().to_vec() }
    }

    fn at(unchanged_ms: u64) -> Facts<'static> {
        let stale_after = Duration::from_secs(30);
        Facts { host: "ada", now: NOW, unchanged: Duration::from_millis(unchanged_ms), stale_after }
    }

    fn record(pid: i32, age_ms: i64, host: &str) -> Seen {
        let timestamp = NOW.checked_add_signed(-age_ms).unwrap();
        let info = Info { pid, timestamp, host: host.into(), process: "x".into() };
        Seen { file: (1, 2), bytes: info.bytes() }
    }

    #[test]
    fn a_living_holder_of_this_host_or_any_of_another_one_counts_until_it_is_silent() {
        let lives = |pid| pid == 7;
        for (pid, age, host, free) in [
            (7, 0, "ada", false),
            (7, 29_999, "ada", false),
            (7, 30_001, "ada", true),
            (8, 0, "ada", true),
            (8, 0, "eve", false),
            (8, 30_001, "eve", true),
            (8, 0, "", false),
            (7, -3_600_000, "ada", false),
        ] {
            let standing = judge(&record(pid, age, host), at(0), lives);
            assert_eq!(standing.is_free(), free, "{pid} {age} {host}: {standing:?}");
        }
    }

    #[test]
    fn a_time_in_the_future_ends_when_the_file_was_watched_for_long_enough() {
        let far = record(7, -3_600_000, "eve");
        assert!(!judge(&far, at(30_000), |_| true).is_free());
        assert!(judge(&far, at(30_001), |_| true).is_free());
    }

    #[test]
    fn what_cannot_be_read_is_being_written_for_a_second() {
        let long = "x".repeat(MAX_BYTES);
        for text in [
            "",
            "{",
            "{}",
            "[1]",
            r#"{"pid":0,"timestamp":1}"#,
            r#"{"pid":-1,"timestamp":1}"#,
            "\u{0}",
            &long,
        ] {
            assert_eq!(judge(&seen(text), at(999), |_| true), Standing::Unreadable, "{text:.20}");
            assert_eq!(judge(&seen(text), at(1_000), |_| true), Standing::Broken, "{text:.20}");
        }
    }

    #[test]
    fn records_of_other_programs_are_read() {
        for text in [
            r#"{"pid":7,"timestamp":1799999999999,"host":"ada","process":"node"}"#,
            r#"{"pid": 7, "timestamp": 1799999999999.25, "host": "ada", "process": "node", "version": 2}"#,
            "{\"process\":\"node\",\"host\":\"ada\",\n\"timestamp\":1.799999999999e12,\"pid\":7}\n",
        ] {
            let standing = judge(&seen(text), at(0), |_| true);
            let Standing::Held(info) = standing else { panic!("{text}: {standing:?}") };
            assert_eq!((info.pid, info.timestamp, &*info.process), (7, 1_799_999_999_999, "node"));
        }
    }

    #[test]
    fn every_record_of_a_holder_is_as_long() {
        let info = |timestamp| Info { pid: 9, timestamp, host: "ada".into(), process: "gobctl".into() };
        assert_eq!(info(NOW).bytes().len(), info(9_999_999_999_999).bytes().len());
    }

    #[test]
    fn a_holder_is_named_in_a_line() {
        let info = |process: &str, host: &str| {
            Info { pid: 9, timestamp: 0, host: host.into(), process: process.into() }.to_string()
        };
        assert_eq!(info("psql", "ada"), "psql (pid 9 on ada)");
        assert_eq!(info("", ""), "pid 9");
        assert!(!info("a\n\u{1b}[31m", &"h".repeat(1_000)).contains(['\n', '\u{1b}']));
        assert!(info("a", &"h".repeat(1_000)).len() < 120);
    }
}

//! Points in time as the wire shows them (PROTOCOL 3): RFC 3339, UTC, milliseconds. Reads no clock.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        write!(f, "{time:.3}")
    }
}

impl std::str::FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<jiff::Timestamp>().map(|time| Self(time.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = crate::Text::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom(format_args!("`{}` is not an RFC 3339 time", text.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_shows_milliseconds_in_utc() {
        let time: Timestamp = "2026-11-20T10:00:00.12+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-20T09:00:00.120Z");
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(serde_json::to_string(&Timestamp(1)).unwrap(), "\"1970-01-01T00:00:00.001Z\"");
    }
}

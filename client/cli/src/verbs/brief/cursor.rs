//! A place in the events of a supervisor: `INSTANCE:SEQ`, or `SEQ` alone of the one that runs.

use crate::text::parse_number;
use std::fmt;

/// A place in the events of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The supervisor's life; the present one without it.
    pub(super) instance: Option<String>,
    /// The number of the last known event.
    pub(super) seq: u64,
}

impl Cursor {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (instance, seq) = match text.rsplit_once(':') {
            Some((instance, seq)) => (Some(instance), seq),
            None => (None, text),
        };
        let refused = || "no cursor; the last line of gobctl brief is one".to_owned();
        let seq = parse_number::<u64>(seq).map_err(|_| refused())?;
        let is_instance = |of: &str| {
            !of.is_empty()
                && of.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        match instance {
            Some(of) if !is_instance(of) => Err(refused()),
            of => Ok(Self { instance: of.map(str::to_owned), seq }),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instance {
            Some(instance) => write!(f, "{instance}:{}", self.seq),
            None => write!(f, "{}", self.seq),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_cursor_is_parsed_again() {
        for text in ["01a22739-da9a-7678-9063-e1d09abed318:57", "57", "i:0"] {
            assert_eq!(Cursor::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", ":", "i:", ":5", "a:b", "-1", "a b:3", "1:2:x", "5 "] {
            assert!(Cursor::parse(bad).unwrap_err().contains("gobctl brief"), "{bad}");
        }
    }
}

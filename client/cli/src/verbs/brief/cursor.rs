//! The place after which a brief tells the changes: `INSTANCE:SEQ`, or `SEQ` alone of the supervisor that runs.

use crate::text::parse_number;
use gob_client::protocol::Cursor;

/// A place in the events of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Since {
    /// The supervisor's life; the present one without it.
    pub(super) instance: Option<String>,
    /// The number of the last known event.
    pub(super) seq: u64,
}

impl Since {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(Cursor { instance, seq }) = Cursor::parse(text) {
            return Ok(Self { instance: Some(instance), seq });
        }
        let seq = parse_number::<u64>(text);
        let seq = seq.map_err(|_| "no cursor; the last line of gobctl brief is one".to_owned())?;
        Ok(Self { instance: None, seq })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_or_a_number_is_taken() {
        let of = |instance: Option<&str>, seq| Since { instance: instance.map(str::to_owned), seq };
        assert_eq!(Since::parse("01a22739-da9a:57"), Ok(of(Some("01a22739-da9a"), 57)));
        assert_eq!(Since::parse("57"), Ok(of(None, 57)));
        for bad in ["", ":", "i:", ":5", "a:b", "-1", "a b:3", "1:2:x", "5 "] {
            assert!(Since::parse(bad).unwrap_err().contains("gobctl brief"), "{bad}");
        }
    }
}

//! Texts as a frame has them.

use serde::Deserialize;
use std::borrow::Cow;
use std::ops::Deref;

/// A text that is borrowed from the frame where nothing in it is escaped. A plain `Cow` would always be a copy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_escapes_is_no_copy() {
        let plain: Text<'_> = serde_json::from_str("\"plain\"").unwrap();
        assert!(matches!(plain.0, Cow::Borrowed("plain")));
        let escaped: Text<'_> = serde_json::from_str(r#""a\nb""#).unwrap();
        assert!(matches!(escaped.0, Cow::Owned(_)));
        assert_eq!(&*escaped, "a\nb");
    }
}

//! Names that a person can't tell apart: é as one character and as two, a blank at the end, characters
//! without width.

use crate::context::Context;
use crate::text::name;
use gob_client::blocking::Client;
use gob_client::call::List;
use gob_client::{Name, View};
use unicode_normalization::UnicodeNormalization as _;

/// Notes for each new graph that its name looks like another one's, which may have been intended.
pub(crate) fn note_alike(context: &Context, client: &mut Client, new: &[Name]) {
    if new.is_empty() || context.quiet {
        return;
    }
    // The graphs are there in any case.
    let Some(workers) = list(context, client) else { return };
    for new in new {
        let graphs = workers.iter().filter_map(|worker| worker.graph.as_deref());
        if let Some(other) = graphs.into_iter().find(|other| looks_like(new.as_str(), other)) {
            context.note(&format!(
                "{} looks like {}, which is another graph; gobctl list shows both as they are",
                name(new.as_str()),
                name(other)
            ));
        }
    }
}

fn list(context: &Context, client: &mut Client) -> Option<Vec<View>> {
    let filter = List::default();
    let timeout = context.timeout.unwrap_or(Client::TIMEOUT);
    let first = client.call(filter.clone(), timeout).ok()?;
    let whole = client.whole_list(&filter, first).ok()?;
    Some(whole.read().ok()?.workers)
}

/// Returns whether two names are written differently and look the same. Upper and lower case look different.
fn looks_like(one: &str, other: &str) -> bool {
    one != other && seen(one) == seen(other)
}

/// Returns a name as it looks.
fn seen(name: &str) -> String {
    let shown = name.chars().filter(|c| !has_no_width(*c));
    let shown: String = shown.map(|c| if c.is_whitespace() { ' ' } else { c }).nfc().collect();
    shown.trim().to_owned()
}

fn has_no_width(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_the_same_and_are_not() {
        for (one, other) in [
            ("caf\u{e9}", "cafe\u{301}"),
            ("\u{ac00}", "\u{1100}\u{1161}"),
            ("g", "g "),
            ("g", " g"),
            ("a b", "a\u{a0}b"),
            ("g", "g\u{200b}"),
        ] {
            assert!(looks_like(one, other) && looks_like(other, one), "{one:?} {other:?}");
        }
        for (one, other) in [("g", "g"), ("g", "G"), ("a b", "ab"), ("caf\u{e9}", "cafe"), ("", "a")] {
            assert!(!looks_like(one, other), "{one:?} {other:?}");
        }
    }
}

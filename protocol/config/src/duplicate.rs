//! A key that stands twice in one table of a file: its name, and its first place. The parser tells only the
//! second place.

use crate::shown::prefix;
use std::ops::Range;
use toml::de::{DeTable, Error};

/// The beginning of the message of such a problem.
pub(super) const TWICE: &str = "it stands";

/// A key that stands twice.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Twice {
    /// The key, dotted.
    pub(super) key: String,
    /// The byte of its first place.
    pub(super) first: usize,
}

/// Returns the key that an error is about, if it is a key that stands twice.
pub(super) fn find(root: &DeTable<'_>, text: &str, error: &Error) -> Option<Twice> {
    let at = error.span().filter(|_| error.message() == "duplicate key")?.start;
    let mut keys = Vec::new();
    collect(root, "", &(0..0), &mut keys);
    let own = text.get(error.span()?)?;
    // The parser keeps the later table of two with the same header.
    if let Some(header) = keys.iter().find(|key| key.span.start == at) {
        let first = first_header(text, at);
        return Some(Twice { key: header.dotted.clone(), first: first.unwrap_or(at) });
    }
    let before = keys.into_iter().filter(|key| {
        // A table in braces that closes before `at` is another table.
        let inline = key.table.contains(&key.span.start) && key.table.end <= at;
        key.span.start < at && !inline && text.get(key.span.clone()) == Some(own)
    });
    before.max_by_key(|key| key.span.start).map(|key| Twice { key: key.dotted, first: key.span.start })
}

struct Key {
    dotted: String,
    span: Range<usize>,
    /// The range of the table that holds the value: its header, or all of a table in braces.
    table: Range<usize>,
}

fn collect(table: &DeTable<'_>, dotted: &str, span: &Range<usize>, into: &mut Vec<Key>) {
    for (key, item) in table {
        let name = prefix(dotted, key.get_ref());
        if let Some(table) = item.get_ref().as_table() {
            collect(table, &name, &item.span(), into);
        }
        into.push(Key { dotted: name, span: key.span(), table: span.clone() });
    }
}

/// Returns the first line that equals the line around `at`, word for word.
fn first_header(text: &str, at: usize) -> Option<usize> {
    let begin = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let line = text.get(begin..)?.lines().next()?.trim();
    let mut start = 0;
    for earlier in text.get(..begin)?.split_inclusive('\n') {
        if earlier.trim() == line {
            return Some(start);
        }
        start += earlier.len();
    }
    None
}

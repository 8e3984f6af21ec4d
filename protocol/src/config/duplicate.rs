//! A key that stands twice in one table of a file: its name, and where it stands first. The parser tells the second place alone.

use super::shown::prefix;
use std::ops::Range;
use toml::de::{DeTable, Error};

/// How a problem of this kind begins.
pub(super) const TWICE: &str = "it stands";

/// A key that stands twice.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Twice {
    /// Its key, dotted.
    pub(super) key: String,
    /// The byte where it stands first.
    pub(super) first: usize,
}

/// What an error tells of, if it is such a key.
pub(super) fn find(root: &DeTable<'_>, text: &str, error: &Error) -> Option<Twice> {
    let at = error.span().filter(|_| error.message() == "duplicate key")?.start;
    let mut keys = Vec::new();
    collect(root, "", &(0..0), &mut keys);
    let own = text.get(error.span()?)?;
    // Of a table whose header stands twice, the later one is kept.
    if let Some(header) = keys.iter().find(|key| key.span.start == at) {
        let first = first_header(text, at);
        return Some(Twice { key: header.dotted.clone(), first: first.unwrap_or(at) });
    }
    let before = keys.into_iter().filter(|key| {
        // What stands in braces that are closed before is of another table.
        let inline = key.table.contains(&key.span.start) && key.table.end <= at;
        key.span.start < at && !inline && text.get(key.span.clone()) == Some(own)
    });
    before.max_by_key(|key| key.span.start).map(|key| Twice { key: key.dotted, first: key.span.start })
}

struct Key {
    dotted: String,
    span: Range<usize>,
    /// Of the value that it stands in: a table's header, or all of a table in braces.
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

/// Where the line that `at` is in stands for the first time, word for word.
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

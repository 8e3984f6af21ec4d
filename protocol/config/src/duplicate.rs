//! A key that stands twice in one table of a file: its name, and its first place. The parser tells only the
//! second place.

use crate::keys::Keys;
use std::collections::BTreeSet;
use toml::de::Error;

/// The beginning of the message of such a problem.
pub(super) const TWICE: &str = "it stands";

/// Message of the parser for a key or a table that is there already.
const DUPLICATE: &str = "duplicate key";
/// Beginning of the parser's message for a table that continues a value.
const EXTENDS: &str = "cannot extend value of type ";

/// A key that stands twice.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Twice {
    /// The key, dotted.
    pub(super) key: String,
    /// The byte of its first place.
    pub(super) first: usize,
    /// It has a value at its first place that nothing can be added to.
    pub(super) is_closed: bool,
}

/// The result of a search.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A key that stands twice.
    Twice(Twice),
    /// A key that stands twice because its table does, which was found before.
    WithItsTable,
    /// Another error.
    Other,
}

/// The search for keys that stand twice, error by error in the order of the text.
#[derive(Debug)]
pub(super) struct Search<'t> {
    text: &'t str,
    /// The keys of the text, once they are needed.
    keys: Option<Keys>,
    /// The places of the tables' headers that were found.
    tables: BTreeSet<usize>,
}

impl<'t> Search<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, keys: None, tables: BTreeSet::new() }
    }

    /// Examines an error of the parser.
    pub(super) fn find(&mut self, error: &Error) -> Found {
        let is_closed = error.message().starts_with(EXTENDS);
        if !is_closed && error.message() != DUPLICATE {
            return Found::Other;
        }
        let keys = self.keys.get_or_insert_with(|| Keys::of(self.text));
        let found = error.span().and_then(|span| {
            let at = span.start;
            Some((at, keys.at(at)?, keys.first(at)?))
        });
        let Some((at, key, first)) = found else { return Found::Other };
        if key.table == Some(at) {
            self.tables.insert(at);
        } else if key.table.is_some_and(|table| first < table && self.tables.contains(&table)) {
            return Found::WithItsTable;
        }
        Found::Twice(Twice { key: key.dotted.clone(), first, is_closed })
    }
}

//! Problems of a configuration, with their places.

use crate::shown;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// Its line, from 1; 0 where it is the whole file.
    pub line: u32,
    /// Its column in characters, from 1; 0 where it is the whole file.
    pub column: u32,
    /// The key, such as `kind.logseq.stop.grace`; empty where there is none.
    pub key: String,
    /// The problem, in a sentence.
    pub message: String,
}

impl Problem {
    /// Returns a problem of the file as a whole.
    #[must_use]
    pub fn whole(message: impl Into<String>) -> Self {
        Self { line: 0, column: 0, key: String::new(), message: message.into() }
    }
}

/// Writes the problem as `config.toml:12:3: kind.x.stop.grace: …`, without the file.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// A file of the configuration that is not used, with all its problems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The file.
    pub path: String,
    /// At least one.
    pub problems: Vec<Problem>,
    /// The graphs and kinds that the file mentions, as `graph.NAME` and `kind.NAME`.
    pub named: Vec<String>,
    /// The file could not be read, so that it may concern every graph.
    pub unknown: bool,
}

impl Rejected {
    /// Returns whether the file mentions this graph or this kind, which then can't be used without it.
    #[must_use]
    pub fn says_something_of(&self, graph: &str, kind: &str) -> bool {
        let (graph, kind) = (shown::prefix("graph", graph), shown::prefix("kind", kind));
        self.unknown || self.named.iter().any(|named| *named == graph || *named == kind)
    }

    /// Returns the details of `config-invalid` (PROTOCOL 10): the first file, and the problems of each.
    #[must_use]
    pub fn details(all: &[&Self]) -> serde_json::Value {
        let path = all.first().map(|file| file.path.as_str()).unwrap_or_default();
        let errors: Vec<_> = all.iter().flat_map(|file| file.errors()).collect();
        serde_json::json!({"path": path, "errors": errors})
    }

    /// Returns the first problem with its place.
    #[must_use]
    pub fn first(&self) -> String {
        self.problems.first().map(ToString::to_string).unwrap_or_default()
    }

    fn errors(&self) -> impl Iterator<Item = serde_json::Value> {
        self.problems.iter().map(|Problem { line, column, key, message }| {
            serde_json::json!({"path": self.path, "line": line, "column": column, "key": key, "message": message})
        })
    }
}

/// Writes the first problem with its file, and how many more there are.
impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.problems.first() else { return f.write_str(&self.path) };
        let gap = if first.line > 0 { "" } else { " " };
        write!(f, "{}:{gap}{first}", self.path)?;
        match self.problems.len() {
            0 | 1 => Ok(()),
            count => write!(f, " (and {} more)", count - 1),
        }
    }
}

/// Turns byte offsets into lines and columns.
pub(super) struct Places<'t> {
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'t> Places<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, lines: std::iter::once(0).chain(ends).collect() }
    }

    /// Returns line and column of a byte, both from 1.
    pub(super) fn of(&self, at: usize) -> (u32, u32) {
        let line = self.lines.partition_point(|begin| *begin <= at).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(begin..at).map_or(0, |before| before.chars().count());
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (number(line), number(column + 1))
    }
}

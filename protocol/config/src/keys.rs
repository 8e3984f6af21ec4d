//! Every key of a file in the order of its text, with its dotted name, also where a parsed document keeps only
//! one of two equal keys. Owns no values.

use crate::shown::prefix;
use std::collections::BTreeMap;
use toml_parser::Source;
use toml_parser::parser::{Event, EventKind, RecursionGuard, parse_document};

/// Depth of nested values that is read; the parser of the document has the same.
const DEPTH: u32 = 80;

/// All keys of a text, by the byte at which they begin.
#[derive(Debug, Default)]
pub(super) struct Keys {
    by_place: BTreeMap<usize, Key>,
    first: BTreeMap<String, First>,
}

/// One key at one place.
#[derive(Debug)]
pub(super) struct Key {
    /// The name, dotted, as TOML spells it.
    pub(super) dotted: String,
    /// The name with the number of each element of an array in it.
    id: String,
    /// The byte of the key that names the table around this key; its own for a table's header, and `None` at
    /// the top of the file.
    pub(super) table: Option<usize>,
}

/// First places of one name.
#[derive(Debug, Default)]
struct First {
    /// As a table's header, a key with a value, or the beginning of such a key.
    defined: Option<usize>,
    /// In the header of a table below it.
    mentioned: Option<usize>,
}

/// Name of a table or a value.
#[derive(Debug, Clone, Default)]
struct Scope {
    dotted: String,
    id: String,
}

/// State of the walk through a text.
#[derive(Default)]
struct Walk {
    keys: Keys,
    /// Parts of the key that is being read, with their places.
    parts: Vec<(String, usize)>,
    /// The table of the last header, and the place of its name.
    table: (Scope, Option<usize>),
    /// The name of the value that is being read.
    value: Scope,
    /// The open tables in braces and arrays in brackets; `true` for an array.
    open: Vec<(Scope, bool)>,
    /// Number of elements of each array of tables.
    elements: BTreeMap<String, usize>,
}

impl Keys {
    /// Reads all keys of a text, which may be broken.
    pub(super) fn of(text: &str) -> Self {
        let source = Source::new(text);
        let tokens = source.lex().into_vec();
        let mut events: Vec<Event> = Vec::with_capacity(tokens.len());
        parse_document(&tokens, &mut RecursionGuard::new(&mut events, DEPTH), &mut ());
        let mut walk = Walk::default();
        for event in &events {
            walk.take(source, event);
        }
        walk.keys
    }

    /// Returns the key that begins at a byte.
    pub(super) fn at(&self, at: usize) -> Option<&Key> {
        self.by_place.get(&at)
    }

    /// Returns the first place, before `at`, of the key there.
    pub(super) fn first(&self, at: usize) -> Option<usize> {
        let first = self.first.get(&self.at(at)?.id)?;
        [first.defined, first.mentioned].into_iter().flatten().find(|first| *first < at)
    }
}

impl Scope {
    fn child(&self, name: &str) -> Self {
        Self { dotted: prefix(&self.dotted, name), id: prefix(&self.id, name) }
    }

    fn element(&self, number: usize) -> Self {
        Self { dotted: self.dotted.clone(), id: format!("{}#{number}", self.id) }
    }
}

impl Walk {
    fn take(&mut self, source: Source<'_>, event: &Event) {
        match event.kind() {
            EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                self.parts.clear();
                self.open.clear();
            }
            EventKind::SimpleKey => {
                let mut name = String::new();
                if let Some(raw) = source.get(event) {
                    raw.decode_key(&mut name, &mut ());
                }
                self.parts.push((name, event.span().start()));
            }
            EventKind::StdTableClose => self.header(false),
            EventKind::ArrayTableClose => self.header(true),
            EventKind::KeyValSep => self.key(),
            EventKind::InlineTableOpen => {
                let scope = match self.open.last() {
                    Some((array, true)) => array.element(event.span().start()),
                    Some((_, false)) | None => self.value.clone(),
                };
                self.open.push((scope, false));
            }
            EventKind::ArrayOpen => self.open.push((self.value.clone(), true)),
            EventKind::InlineTableClose | EventKind::ArrayClose => {
                self.open.pop();
                self.parts.clear();
            }
            EventKind::KeySep
            | EventKind::Scalar
            | EventKind::ValueSep
            | EventKind::Whitespace
            | EventKind::Comment
            | EventKind::Newline
            | EventKind::Error => {}
        }
    }

    /// Takes the header of a table, or of the next element of an array of tables.
    fn header(&mut self, is_element: bool) {
        let parts = std::mem::take(&mut self.parts);
        let own = parts.last().map(|(_, at)| *at);
        let mut scope = Scope::default();
        for (name, at) in parts {
            scope = scope.child(&name);
            let is_last = Some(at) == own;
            self.keys.note(&scope, at, if is_last { own } else { None }, is_last);
            if is_last && is_element {
                *self.elements.entry(scope.id.clone()).or_default() += 1;
            }
            if let Some(number) = self.elements.get(&scope.id) {
                scope = scope.element(*number);
            }
        }
        self.table = (scope, own);
    }

    /// Takes a key with a value.
    fn key(&mut self) {
        let (table, at_table) = &self.table;
        let mut scope = self.open.last().map_or(table, |(scope, _)| scope).clone();
        for (name, at) in std::mem::take(&mut self.parts) {
            scope = scope.child(&name);
            self.keys.note(&scope, at, *at_table, true);
        }
        self.value = scope;
    }
}

impl Keys {
    fn note(&mut self, scope: &Scope, at: usize, table: Option<usize>, defines: bool) {
        let Scope { dotted, id } = scope.clone();
        let first = self.first.entry(id.clone()).or_default();
        let place = if defines { &mut first.defined } else { &mut first.mentioned };
        place.get_or_insert(at);
        self.by_place.insert(at, Key { dotted, id, table });
    }
}

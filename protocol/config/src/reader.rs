//! Walks through a parsed TOML document and notes every problem on the way instead of ending at the first.

use crate::problem::{Places, Problem};
use crate::scalar::expand_home;
use crate::shown::prefix;
use gob_protocol::suggest::nearest;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
pub(super) type Item<'a, 't> = &'a Spanned<DeValue<'t>>;

/// The problems and places found so far.
pub(super) struct Reader<'t> {
    places: Places<'t>,
    home: Option<&'t str>,
    pub(super) problems: Vec<Problem>,
    /// Line and column of each value, by its key.
    pub(super) found: BTreeMap<String, (u32, u32)>,
}

/// A table of the document.
pub(super) struct Section<'a, 't> {
    pub(super) table: &'a DeTable<'t>,
    /// The key of the table, dotted; empty for the document.
    pub(super) key: String,
    pub(super) span: Range<usize>,
}

impl<'a, 't> Section<'a, 't> {
    /// Returns the key of an entry of this table, as TOML spells it.
    pub(super) fn key_of(&self, name: &str) -> String {
        prefix(&self.key, name)
    }

    pub(super) fn get(&self, name: &str) -> Option<Item<'a, 't>> {
        self.table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
    }
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, home: Option<&'t str>) -> Self {
        Self { places: Places::new(text), home, problems: Vec::new(), found: BTreeMap::new() }
    }

    /// Notes a problem at a byte.
    pub(super) fn problem(&mut self, at: usize, key: impl Into<String>, message: impl Into<String>) {
        let (line, column) = self.places.of(at);
        self.problems.push(Problem { line, column, key: key.into(), message: message.into() });
    }

    /// Returns line and column of a byte.
    pub(super) fn place(&self, at: usize) -> (u32, u32) {
        self.places.of(at)
    }

    /// Notes the place of a value.
    pub(super) fn found(&mut self, key: impl Into<String>, at: usize) {
        let place = self.places.of(at);
        self.found.insert(key.into(), place);
    }

    pub(super) fn wrong_type(&mut self, item: Item<'_, '_>, key: &str, wanted: &str) {
        let message = format!("it has to be {wanted}, not {}", kind_of(item.get_ref()));
        self.problem(item.span().start, key, message);
    }

    /// Refuses every unknown key of a section, naming the nearest known one, and every key of a later
    /// version.
    pub(super) fn only(&mut self, section: &Section<'_, '_>, known: &[&str], later: &[&str]) {
        for (key, _) in section.table {
            let (at, name) = (key.span().start, key.get_ref().as_ref());
            if known.contains(&name) {
                continue;
            }
            let message = if later.contains(&name) {
                "not supported by this version yet".to_owned()
            } else {
                match nearest(name, known.iter().copied()) {
                    Some(near) => format!("there is no such key; did you mean `{near}`?"),
                    None => format!("there is no such key here; there are: {}", known.join(", ")),
                }
            };
            self.problem(at, section.key_of(name), message);
        }
    }

    /// Reads a value as a table.
    pub(super) fn as_section<'a>(&mut self, item: Item<'a, 't>, key: String) -> Option<Section<'a, 't>> {
        match item.get_ref().as_table() {
            Some(table) => Some(Section { table, key, span: item.span() }),
            None => {
                self.wrong_type(item, &key, "a table");
                None
            }
        }
    }

    /// Reads a table in a section.
    pub(super) fn section<'a>(&mut self, of: &Section<'a, 't>, name: &str) -> Option<Section<'a, 't>> {
        self.as_section(of.get(name)?, of.key_of(name))
    }

    /// Reads a text that `parse` accepts.
    pub(super) fn parsed<T>(
        &mut self,
        section: &Section<'_, 't>,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.parsed_item(section.get(name)?, section.key_of(name), parse)
    }

    fn parsed_item<T>(
        &mut self,
        item: Item<'_, 't>,
        key: String,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some(text) = item.get_ref().as_str() else {
            self.wrong_type(item, &key, "a text");
            return None;
        };
        let parsed =
            if text.contains('\0') { Err("it holds a NUL character".to_owned()) } else { parse(text) };
        match parsed {
            Ok(value) => {
                self.found(key, item.span().start);
                Some(value)
            }
            Err(message) => {
                self.problem(item.span().start, key, message);
                None
            }
        }
    }

    /// Reads any text.
    pub(super) fn text(&mut self, section: &Section<'_, 't>, name: &str) -> Option<String> {
        self.parsed(section, name, |text| Ok(text.to_owned()))
    }

    /// Reads one of some words.
    pub(super) fn word<T: Copy>(
        &mut self,
        section: &Section<'_, 't>,
        name: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        self.parsed(section, name, |text| one_of(text, words))
    }

    /// Reads a path in which `~/` is the home directory.
    pub(super) fn path(&mut self, section: &Section<'_, 't>, name: &str) -> Option<String> {
        let home = self.home;
        self.parsed(section, name, |text| expand_home(text, home))
    }

    /// Reads `true` or `false`.
    pub(super) fn flag(&mut self, section: &Section<'_, 't>, name: &str) -> Option<bool> {
        let (item, key) = (section.get(name)?, section.key_of(name));
        match item.get_ref().as_bool() {
            Some(value) => {
                self.found(key, item.span().start);
                Some(value)
            }
            None => {
                self.wrong_type(item, &key, "true or false");
                None
            }
        }
    }

    /// Reads a whole number within bounds.
    pub(super) fn number(
        &mut self,
        section: &Section<'_, 't>,
        name: &str,
        bounds: RangeInclusive<u32>,
    ) -> Option<u32> {
        let bounds = u64::from(*bounds.start())..=u64::from(*bounds.end());
        self.count(section, name, bounds).and_then(|number| u32::try_from(number).ok())
    }

    /// Reads a whole number within bounds, which may be large.
    pub(super) fn count(
        &mut self,
        section: &Section<'_, 't>,
        name: &str,
        bounds: RangeInclusive<u64>,
    ) -> Option<u64> {
        let (item, key) = (section.get(name)?, section.key_of(name));
        let Some(integer) = item.get_ref().as_integer() else {
            self.wrong_type(item, &key, "a whole number");
            return None;
        };
        let digits = integer.as_str().replace('_', "");
        let number = u64::from_str_radix(digits.trim_start_matches('+'), integer.radix());
        match number.ok().filter(|number| bounds.contains(number)) {
            Some(number) => {
                self.found(key, item.span().start);
                Some(number)
            }
            None => {
                let message = format!("it has to be from {} to {}", bounds.start(), bounds.end());
                self.problem(item.span().start, key, message);
                None
            }
        }
    }

    /// Reads a list of texts, each of which `parse` accepts.
    pub(super) fn texts<T>(
        &mut self,
        section: &Section<'_, 't>,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let (item, key) = (section.get(name)?, section.key_of(name));
        let Some(array) = item.get_ref().as_array() else {
            self.wrong_type(item, &key, "a list of texts");
            return None;
        };
        let each = |item| self.parsed_item(item, key.clone(), &parse);
        let values: Vec<Option<T>> = array.iter().map(each).collect();
        self.found(key, item.span().start);
        values.into_iter().collect()
    }

    /// Returns the home directory.
    pub(super) const fn home(&self) -> Option<&'t str> {
        self.home
    }
}

/// Returns the value of a word.
pub(super) fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let quoted: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        match nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("{text:?} is none of {}; did you mean \"{near}\"?", quoted.join(", ")),
            None => format!("{text:?} is none of {}", quoted.join(", ")),
        }
    })
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

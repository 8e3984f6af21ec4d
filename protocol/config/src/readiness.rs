//! `readiness` of a kind: a word, or a table; each type has keys of its own. `liveness` has the same types.

use crate::kind::{Check, HttpPort, LogStream};
use crate::overrides::Overrides;
use crate::reader::{Item, Reader, Section, one_of};
use crate::scalar::{address, duration_ms, http_path};

/// The types of checks for readiness and liveness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    None,
    Handshake,
    Notify,
    Http,
    Connect,
    Log,
    Delay,
}

pub(super) const TYPES: [(&str, Type); 7] = [
    ("handshake", Type::Handshake),
    ("notify", Type::Notify),
    ("http", Type::Http),
    ("connect", Type::Connect),
    ("log", Type::Log),
    ("delay", Type::Delay),
    ("none", Type::None),
];

impl Type {
    /// Returns the keys that only this type has.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::None | Self::Handshake | Self::Notify => &[],
            Self::Http => &["path", "status", "port"],
            Self::Connect => &["address"],
            Self::Log => &["pattern", "stream"],
            Self::Delay => &["for"],
        }
    }

    fn word(self) -> &'static str {
        TYPES.iter().find(|(_, found)| *found == self).map_or("", |(word, _)| word)
    }
}

impl<'t> Reader<'t> {
    pub(super) fn readiness(&mut self, section: &Section<'_, 't>, into: &mut Overrides) {
        let Some(item) = section.get("readiness") else { return };
        let key = section.key_of("readiness");
        if item.get_ref().is_str() {
            let found = self.word(section, "readiness", &TYPES);
            self.found(format!("{key}.type"), item.span().start);
            if let Some(found) = found {
                self.readiness_word(found, item, &key, into);
            }
            return;
        }
        let Some(table) = self.as_section(item, key) else { return };
        let known = ["type", "timeout", "path", "status", "port", "address", "pattern", "stream", "for"];
        self.only(&table, &known, &[]);
        into.ready_timeout_ms = self.parsed(&table, "timeout", duration_ms);
        let has_type = table.get("type").is_some();
        let found = self.parsed(&table, "type", |text| one_of(text, &TYPES));
        if let Some(found) = found {
            self.foreign_keys(&table, "readiness", Some(found));
            self.readiness_table(found, &table, into);
        } else if !has_type {
            self.foreign_keys(&table, "readiness", None);
        }
    }

    /// Reads a type without settings, written as a word.
    fn readiness_word(&mut self, found: Type, item: Item<'_, 't>, key: &str, into: &mut Overrides) {
        let lacking = match found {
            Type::None => return into.check = Some(Check::None),
            Type::Handshake => return into.check = Some(Check::Handshake),
            Type::Notify => return into.check = Some(Check::Notify),
            Type::Http => {
                into.any_port = true;
                return into.check =
                    Some(Check::Http { path: "/".to_owned(), status: 200, port: HttpPort::Discover });
            }
            Type::Connect => "{ type = \"connect\", address = \"127.0.0.1:{port}\" }",
            Type::Log => "{ type = \"log\", pattern = \"listening on\" }",
            Type::Delay => "{ type = \"delay\", for = \"1s\" }",
        };
        let message = format!("{:?} alone is not enough; such as {lacking}", found.word());
        self.problem(item.span().start, key, message);
    }

    /// Refuses keys that belong to other types.
    pub(super) fn foreign_keys(&mut self, table: &Section<'_, 't>, what: &str, found: Option<Type>) {
        for (_, of) in TYPES.iter().filter(|(_, of)| Some(*of) != found) {
            for name in of.keys() {
                if let Some(item) = table.get(name) {
                    let message = format!("only {what} of type \"{}\" has it", of.word());
                    self.problem(item.span().start, table.key_of(name), message);
                }
            }
        }
    }

    fn readiness_table(&mut self, found: Type, table: &Section<'_, 't>, into: &mut Overrides) {
        into.check = match found {
            Type::None => Some(Check::None),
            Type::Handshake => Some(Check::Handshake),
            Type::Notify => Some(Check::Notify),
            Type::Http => {
                let (path, status) = (self.http_path(table), self.http_status(table));
                into.any_port = table.get("port").is_none();
                let port = self.http_port(table).unwrap_or(HttpPort::Discover);
                let path = path.unwrap_or_else(|| "/".to_owned());
                Some(Check::Http { path, status: status.unwrap_or(200), port })
            }
            Type::Connect => {
                self.needs(table, "address", "127.0.0.1:{port}");
                self.connect_address(table).map(|address| Check::Connect { address })
            }
            Type::Log => {
                self.needs(table, "pattern", "listening on .*:(?<port>[0-9]+)");
                let (pattern, stream) = (self.log_pattern(table), self.log_stream(table));
                pattern.map(|pattern| Check::Log { pattern, stream })
            }
            Type::Delay => {
                self.needs(table, "for", "1s");
                self.parsed(table, "for", duration_ms).map(|for_ms| Check::Delay { for_ms })
            }
        };
    }

    fn needs(&mut self, table: &Section<'_, 't>, name: &str, example: &str) {
        if table.get(name).is_none() {
            let message = format!("it needs `{name}`; such as {name} = {example:?}");
            self.problem(table.span.start, table.key.clone(), message);
        }
    }

    pub(super) fn http_path(&mut self, table: &Section<'_, 't>) -> Option<String> {
        self.parsed(table, "path", |text| http_path(text).map(|()| text.to_owned()))
    }

    pub(super) fn http_status(&mut self, table: &Section<'_, 't>) -> Option<u16> {
        self.number(table, "status", 100..=599).and_then(|n| u16::try_from(n).ok())
    }

    pub(super) fn connect_address(&mut self, table: &Section<'_, 't>) -> Option<String> {
        self.parsed(table, "address", |text| address(text).map(|()| text.to_owned()))
    }

    pub(super) fn log_pattern(&mut self, table: &Section<'_, 't>) -> Option<String> {
        self.parsed(table, "pattern", |text| match regex_lite::Regex::new(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(e) => Err(format!("{text:?} is not a regular expression: {e}")),
        })
    }

    pub(super) fn log_stream(&mut self, table: &Section<'_, 't>) -> Option<LogStream> {
        self.word(table, "stream", &[("stdout", LogStream::Stdout), ("stderr", LogStream::Stderr)])
    }

    /// Reads a port: a number, `"discover"`, or `"{port}"` for the worker's given port.
    pub(super) fn http_port(&mut self, table: &Section<'_, 't>) -> Option<HttpPort> {
        let item = table.get("port")?;
        if item.get_ref().is_str() {
            return self.word(
                table,
                "port",
                &[("discover", HttpPort::Discover), ("{port}", HttpPort::Given)],
            );
        }
        self.port(table, "port").map(HttpPort::Fixed)
    }

    /// Reads the number of a port.
    pub(super) fn port(&mut self, table: &Section<'_, 't>, name: &str) -> Option<u16> {
        self.number(table, name, 1..=65_535).and_then(|number| u16::try_from(number).ok())
    }
}

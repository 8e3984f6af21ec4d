//! The readiness check of a job: a word or a table of the project file, or the same as JSON in `add`.

use crate::kind::{Check, HttpPort, Readiness};
use crate::overrides::Overrides;
use crate::reader::{Item, Reader, Section};
use gob_protocol::limits::START_MS;
use serde_json::{Map, Value};
use std::fmt;
use std::fmt::Write as _;
use toml::de::{DeTable, DeValue};

/// Longest table of a check, in bytes, as the configuration would spell it.
const MAX_BYTES: usize = 4_096;

/// A check that can't be used, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadReadiness(pub String);

impl fmt::Display for BadReadiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadReadiness {}

/// Reads the readiness check of a request: a word or a table, with the keys of `readiness` in the configuration.
///
/// # Errors
/// The first problem, with the key.
pub fn readiness_of(value: &Value) -> Result<Readiness, BadReadiness> {
    let text = toml_of(value).ok_or_else(|| {
        BadReadiness("readiness: it has to be a word, or a table of texts and numbers".to_owned())
    })?;
    let mut reader = Reader::new(&text, None);
    let (root, errors) = DeTable::parse_recoverable(&text);
    if let Some(error) = errors.first() {
        return Err(BadReadiness(format!("readiness: {}", error.message())));
    }
    let root = Section { table: root.get_ref(), key: String::new(), span: root.span() };
    let readiness = reader.check(&root);
    match (reader.problems.first(), readiness) {
        (Some(problem), _) => Err(BadReadiness(format!("{}: {}", problem.key, problem.message))),
        (None, Some(readiness)) => Ok(readiness),
        (None, None) => Err(BadReadiness("readiness: it names no check".to_owned())),
    }
}

impl<'t> Reader<'t> {
    /// Reads the key `readiness` of a job, and returns it as `add` takes it.
    pub(super) fn job_readiness(&mut self, section: &Section<'_, 't>) -> Option<Value> {
        self.check(section)?;
        json_of(section.get("readiness")?)
    }

    fn check(&mut self, section: &Section<'_, 't>) -> Option<Readiness> {
        let item = section.get("readiness")?;
        let mut read = Overrides::default();
        let before = self.problems.len();
        self.readiness(section, &mut read);
        let check = read.check?;
        if needs_place(&check) {
            let message = "a job gets no {port} and no {socket}; name the port that its command listens on, or \"discover\"";
            self.problem(item.span().start, section.key_of("readiness"), message);
        }
        let readiness = Readiness { check, timeout_ms: read.ready_timeout_ms.unwrap_or(START_MS) };
        (self.problems.len() == before).then_some(readiness)
    }
}

/// Tells whether the check is made at a place that only a graph's worker is given.
fn needs_place(check: &Check) -> bool {
    match check {
        Check::Http { port, .. } => *port == HttpPort::Given,
        Check::Connect { address } => address.contains('{'),
        Check::None | Check::Handshake | Check::Notify | Check::Log { .. } | Check::Delay { .. } => false,
    }
}

/// Writes a check as a line of TOML.
fn toml_of(value: &Value) -> Option<String> {
    let mut line = "readiness = ".to_owned();
    match value {
        Value::String(_) => line.push_str(&scalar(value)?),
        Value::Object(table) => {
            let mut entries = Vec::new();
            for (key, value) in table {
                entries.push(format!("{} = {}", scalar(&Value::from(key.as_str()))?, scalar(value)?));
            }
            write!(line, "{{ {} }}", entries.join(", ")).ok()?;
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    }
    (line.len() <= MAX_BYTES).then_some(line)
}

/// Writes a text or a number, whose JSON is TOML as well.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn json_of(item: Item<'_, '_>) -> Option<Value> {
    let number = |text: &str| text.replace('_', "").parse::<u64>().ok().map(Value::from);
    match item.get_ref() {
        DeValue::String(text) => Some(Value::from(text.as_ref())),
        DeValue::Integer(digits) => number(digits.as_str()),
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, item)| Some((key.get_ref().to_string(), json_of(item)?)));
            entries.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) => None,
    }
}

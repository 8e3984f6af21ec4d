//! From a JSON schema to a type of TypeScript. Knows the shapes that serde's derive makes, and fails for any other one.

use schemars::Schema;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The side of the wire at which a client meets a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The supervisor reads it: a client may leave defaults out.
    Read,
    /// The supervisor writes it.
    Written,
}

/// The types by name, as TypeScript declares them.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    texts: BTreeMap<String, String>,
    payloads: BTreeSet<String>,
    /// Payloads without a field that has to be there.
    empty: BTreeSet<String>,
}

/// Returns the name of a type that has one.
pub(super) fn name_of(schema: &Schema) -> String {
    let reference = schema.as_value().get("$ref").and_then(Value::as_str).expect("a type with a name");
    of_reference(reference).to_owned()
}

fn of_reference(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

impl Definitions {
    /// Names a payload; the names of payloads are verbs that could mean anything else.
    pub(super) fn payload(&mut self, name: &str) -> String {
        self.payloads.insert(name.to_owned());
        format!("{name}Payload")
    }

    /// Returns whether a payload, named as in TypeScript, may be `{}`.
    pub(super) fn may_be_empty(&self, payload: &str) -> bool {
        self.empty.contains(payload)
    }

    /// Adds all definitions of a generator. A type that is met on both sides has to be the same on both.
    pub(super) fn add(&mut self, all: Map<String, Value>, direction: Direction) {
        for (name, schema) in all {
            let is_payload = direction == Direction::Read && self.payloads.contains(&name);
            let name = if is_payload { self.payload(&name) } else { name };
            assert!(!name.ends_with(|last: char| last.is_ascii_digit()), "two types are called {name}");
            if is_payload && schema.get("required").is_none() {
                self.empty.insert(name.clone());
            }
            let text = declaration(&name, &schema, direction);
            let earlier = self.texts.insert(name.clone(), text.clone());
            assert!(earlier.is_none_or(|earlier| earlier == text), "{name} differs with its direction");
        }
    }

    /// Returns all declarations, ordered by name.
    pub(super) fn text(&self) -> String {
        self.texts.values().map(|text| format!("\n{text}")).collect()
    }
}

fn declaration(name: &str, schema: &Value, direction: Direction) -> String {
    let about = comment(schema, "");
    let words = schema.get("oneOf").and_then(Value::as_array);
    match (schema.get("properties"), words) {
        (Some(_), _) => format!("{about}export interface {name} {}\n", fields(schema, direction, "")),
        (None, Some(words))
            if words.iter().all(|word| word.get("const").is_some() || word.get("enum").is_some()) =>
        {
            let words: String = words.iter().map(word).collect();
            format!("{about}export type {name} ={words};\n")
        }
        (None, _) if is_empty_object(schema) => {
            format!("{about}export type {name} = Record<string, never>;\n")
        }
        (None, _) => format!("{about}export type {name} = {};\n", type_of(schema, direction, "")),
    }
}

fn is_empty_object(schema: &Value) -> bool {
    schema["type"] == "object"
        && schema.get("additionalProperties").is_none_or(|more| more == &Value::Bool(false))
}

/// Returns one or more words of an enum. A word that stands for unknown ones is never written.
fn word(schema: &Value) -> String {
    let about = comment(schema, "  ");
    let words: Vec<&Value> = match schema.get("enum").and_then(Value::as_array) {
        Some(words) => words.iter().collect(),
        None => schema.get("const").into_iter().collect(),
    };
    let words = words.into_iter().filter(|word| *word != "Unrecognised");
    words.map(|word| format!("\n{about}  | {word}")).collect()
}

/// Returns the fields of an object in braces.
fn fields(schema: &Value, direction: Direction, indent: &str) -> String {
    let required: BTreeSet<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().expect("properties");
    let inner = format!("{indent}  ");
    let mut out = "{\n".to_owned();
    for (name, of) in properties {
        let is_required = required.contains(name.as_str());
        let text = type_of(of, direction, &inner);
        let line = match (direction, is_required) {
            (_, true) => format!("{name}: {text}"),
            // `undefined` is left out of JSON, so that a caller may pass on what it did not get.
            (Direction::Read, false) => format!("{name}?: {} | undefined", without_null(&text)),
            (Direction::Written, false) => format!("{name}?: {}", without_null(&text)),
        };
        out += &format!("{}{inner}{line};\n", comment(of, &inner));
    }
    out + indent + "}"
}

/// A field that may be absent is never null.
fn without_null(text: &str) -> &str {
    text.strip_suffix(" | null").unwrap_or(text)
}

fn type_of(schema: &Value, direction: Direction, indent: &str) -> String {
    if schema == &Value::Bool(true) {
        return "unknown".to_owned();
    }
    let any = ["anyOf", "oneOf"].into_iter().find_map(|key| schema.get(key).and_then(Value::as_array));
    if let Some(any) = any {
        let texts: Vec<String> = any.iter().map(|of| type_of(of, direction, indent)).collect();
        return texts.join(" | ");
    }
    if schema.get("not").is_some() {
        return "undefined".to_owned();
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return of_reference(reference).to_owned();
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    match schema.get("type") {
        Some(Value::String(word)) => of_word(word, schema, direction, indent),
        Some(Value::Array(words)) => {
            let words = words.iter().filter_map(Value::as_str);
            let texts: Vec<String> = words.map(|word| of_word(word, schema, direction, indent)).collect();
            texts.join(" | ")
        }
        _ => {
            let known = ["description", "default"];
            let keys = schema.as_object().expect("a schema").keys();
            assert!(keys.clone().all(|key| known.contains(&key.as_str())), "no type for {schema}");
            "unknown".to_owned()
        }
    }
}

fn of_word(word: &str, schema: &Value, direction: Direction, indent: &str) -> String {
    match word {
        "string" => match schema.get("enum").and_then(Value::as_array) {
            Some(words) => words.iter().map(Value::to_string).collect::<Vec<_>>().join(" | "),
            None => "string".to_owned(),
        },
        "integer" | "number" => "number".to_owned(),
        "boolean" => "boolean".to_owned(),
        "null" => "null".to_owned(),
        "array" => {
            let of = type_of(&schema["items"], direction, indent);
            if of.contains(' ') { format!("({of})[]") } else { format!("{of}[]") }
        }
        "object" if schema.get("properties").is_some() => fields(schema, direction, indent),
        "object" => {
            let of = type_of(&schema["additionalProperties"], direction, indent);
            format!("Record<string, {of}>")
        }
        other => panic!("no type for {other}"),
    }
}

/// Returns the description as a comment. Links of rustdoc become words.
fn comment(schema: &Value, indent: &str) -> String {
    let Some(text) = schema.get("description").and_then(Value::as_str) else { return String::new() };
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        let (word, after) = link.split_once("`]").expect("the end of a link");
        plain += before;
        plain += &format!("`{word}`");
        rest =
            after.strip_prefix('(').and_then(|path| path.split_once(')')).map_or(after, |(_, after)| after);
    }
    plain += rest;
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{indent}/** {plain} */\n")
}

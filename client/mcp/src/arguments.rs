//! Arguments, checked by the very schema that clients are shown: unknown words with the nearest known one, types and bounds. Pure.
//!
//! Only the parts of JSON Schema are read that the tools' own schemas have; a test says so.

use crate::refusal::Refusal;
use gob_client::protocol::suggest::nearest;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Returns the schema of a tool's arguments, in the few words that it needs.
pub(crate) fn schema_of<T: JsonSchema>() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = SchemaGenerator::new(settings).into_root_schema_for::<T>();
    let mut value = schema.to_value();
    lean(&mut value);
    let mut fields = match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    for key in ["$schema", "title", "description"] {
        fields.remove(key);
    }
    fields.entry("properties").or_insert_with(|| json!({}));
    fields
}

/// Leaves out what a client needs no word of: that an argument may be left out is told by `required`.
fn lean(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(lean),
        Value::Object(fields) => {
            if let Some(Value::Array(types)) = fields.get("type").cloned()
                && let [one, null] = types.as_slice()
                && null == "null"
            {
                fields.insert("type".to_owned(), one.clone());
            }
            if let Some(Value::Array(choices)) = fields.get("anyOf").cloned()
                && let [Value::Object(one), null] = choices.as_slice()
                && *null == json!({"type": "null"})
            {
                fields.remove("anyOf");
                for (key, inner) in one {
                    fields.entry(key.clone()).or_insert_with(|| inner.clone());
                }
            }
            if let Some(Value::Array(choices)) = fields.get_mut("enum") {
                choices.retain(|choice| !choice.is_null());
            }
            fields.remove("format");
            if fields.get("default").is_some_and(|default| default.is_null() || *default == false) {
                fields.remove("default");
            }
            fields.values_mut().for_each(lean);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Reads the arguments of a call. An argument that is null counts as left out.
pub(crate) fn read<T: JsonSchema + DeserializeOwned>(
    tool: &str,
    mut arguments: Map<String, Value>,
) -> Result<T, Refusal> {
    arguments.retain(|_, value| !value.is_null());
    check(tool, &schema_of::<T>(), &arguments)?;
    serde_json::from_value(Value::Object(arguments))
        .map_err(|error| Refusal::argument(error.to_string(), format!("call {tool} again with it corrected")))
}

/// Checks arguments by a schema.
fn check(tool: &str, schema: &Map<String, Value>, arguments: &Map<String, Value>) -> Result<(), Refusal> {
    let empty = Map::new();
    let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let all = || known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    for (name, value) in arguments {
        let Some(of) = known.get(name) else {
            let hint = match nearest(name, known.keys().map(String::as_str)) {
                Some(near) => format!("did you mean {near}? call {tool} again with one of: {}", all()),
                None if known.is_empty() => format!("call {tool} again without arguments"),
                None => format!("call {tool} again with one of: {}", all()),
            };
            let name = crate::refusal::shortened(name, 64);
            return Err(Refusal::argument(format!("{tool} has no argument {name}"), hint));
        };
        fits(of, value).map_err(|why| {
            Refusal::argument(format!("{name} {why}"), format!("call {tool} again with it corrected"))
        })?;
    }
    let needed = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    match needed.filter_map(Value::as_str).find(|needed| !arguments.contains_key(*needed)) {
        Some(missing) => Err(Refusal::argument(
            format!("{tool} needs the argument {missing}"),
            format!("call {tool} again with {missing}; its arguments are: {}", all()),
        )),
        None => Ok(()),
    }
}

/// Returns why a value is not as its schema has it.
fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
    let within = |count: i64, least: &str, most: &str, what: &str| {
        if bound(least).is_some_and(|least| count < least) {
            return Err(format!(
                "is {count}{what}; at least {} are needed",
                bound(least).unwrap_or_default()
            ));
        }
        match bound(most).filter(|most| count > *most) {
            Some(most) => Err(format!("is {count}{what}; at most {most} are taken")),
            None => Ok(()),
        }
    };
    let size = |len: usize| i64::try_from(len).unwrap_or(i64::MAX);
    if let Some(choices) = schema.get("enum").and_then(Value::as_array)
        && !choices.contains(value)
    {
        let all: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
        let near = value.as_str().and_then(|word| nearest(word, all.iter().copied()));
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        let said = crate::refusal::shortened(&value.to_string(), 64);
        return Err(format!("is {said}, which is none of: {}{near}", all.join(", ")));
    }
    match (schema.get("type").and_then(Value::as_str), value) {
        (Some("string"), Value::String(text)) => {
            within(size(text.chars().count()), "minLength", "maxLength", " characters long")
        }
        (Some("integer"), Value::Number(number)) if number.is_i64() => {
            within(number.as_i64().unwrap_or_default(), "minimum", "maximum", "")
        }
        (Some("integer"), Value::Number(number)) if number.is_u64() => Err("is too large".to_owned()),
        (Some("boolean"), Value::Bool(_)) => Ok(()),
        (Some("array"), Value::Array(items)) => {
            within(size(items.len()), "minItems", "maxItems", " items long")?;
            let of = schema.get("items").unwrap_or(&Value::Null);
            items.iter().try_for_each(|item| fits(of, item).map_err(|why| format!("has an item that {why}")))
        }
        (Some("object"), Value::Object(fields)) => {
            let of = schema.get("additionalProperties").unwrap_or(&Value::Null);
            fields.iter().try_for_each(|(key, field)| {
                fits(of, field).map_err(|why| format!("has {key:?}, which {why}"))
            })
        }
        (Some(wanted), _) => Err(format!("is no {}", word(wanted))),
        (None, _) => Ok(()),
    }
}

fn word(of: &str) -> &str {
    match of {
        "string" => "text",
        "integer" => "whole number",
        "array" => "array of texts, such as [\"make\", \"test\"]",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    enum Policy {
        Never,
        OnFailure,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        /// A name.
        #[schemars(length(min = 1, max = 5))]
        name: String,
        #[schemars(range(min = 1, max = 9))]
        timeout_ms: Option<u64>,
        #[schemars(length(min = 1, max = 2))]
        command: Option<Vec<String>>,
        policy: Option<Policy>,
        #[serde(default)]
        force: bool,
    }

    fn refused(arguments: Value) -> String {
        let fields = arguments.as_object().unwrap().clone();
        read::<Arguments>("run", fields).unwrap_err().text()
    }

    #[test]
    fn a_schema_says_no_more_than_needed() {
        let schema = Value::Object(schema_of::<Arguments>());
        let want = json!({
            "type": "object", "additionalProperties": false, "required": ["name"],
            "properties": {
                "name": {"type": "string", "description": "A name.", "minLength": 1, "maxLength": 5},
                "timeout_ms": {"type": "integer", "minimum": 1, "maximum": 9},
                "command": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
                "policy": {"type": "string", "enum": ["never", "on-failure"]},
                "force": {"type": "boolean"},
            },
        });
        assert_eq!(schema, want);
    }

    #[test]
    fn a_wrong_argument_is_named_with_what_it_should_be() {
        for (arguments, message) in [
            (json!({}), "run needs the argument name"),
            (json!({"name": "a", "timeout": 1}), "run has no argument timeout"),
            (json!({"name": "a", "timeout": 1}), "did you mean timeout_ms?"),
            (json!({"name": 5}), "name is no text"),
            (json!({"name": "abcdef"}), "name is 6 characters long; at most 5"),
            (json!({"name": "a", "timeout_ms": 10}), "timeout_ms is 10; at most 9"),
            (json!({"name": "a", "timeout_ms": 1.5}), "timeout_ms is no whole number"),
            (json!({"name": "a", "timeout_ms": "5"}), "timeout_ms is no whole number"),
            (json!({"name": "a", "command": "make test"}), "command is no array of texts"),
            (json!({"name": "a", "command": []}), "command is 0 items long; at least 1"),
            (json!({"name": "a", "command": [1]}), "command has an item that is no text"),
            (json!({"name": "a", "policy": "onfailure"}), "did you mean on-failure?"),
        ] {
            let text = refused(arguments.clone());
            assert!(text.starts_with("invalid-request: "), "{text}");
            assert!(text.contains(message), "{arguments}: {text}");
            assert!(text.contains("hint: ") && text.contains("call run again"), "{text}");
        }
    }

    #[test]
    fn null_is_as_good_as_nothing() {
        let fields = json!({"name": "a", "timeout_ms": null, "force": true}).as_object().unwrap().clone();
        let got = read::<Arguments>("run", fields).unwrap();
        let want = Arguments { name: "a".into(), timeout_ms: None, command: None, policy: None, force: true };
        assert_eq!(got, want);
    }
}

//! Explains the problem of a line: field, position and hint.

use super::Requests;
use crate::bounded::cut;
use crate::error::{ErrorCode, WireError};
use crate::name::{INVALID_NAME, INVALID_OWNER};
use crate::suggest::nearest;

pub(super) type Tracked<'p, 'r, 'a> =
    serde_path_to_error::Deserializer<'p, 'r, &'r mut serde_json::Deserializer<serde_json::de::StrRead<'a>>>;

/// Parses a refused value once more and tracks the position. Only bad requests pay for it.
pub(super) fn explain<'a>(
    root: &str,
    text: &'a str,
    offset: usize,
    parse: impl FnOnce(Tracked<'_, '_, 'a>) -> Option<serde_json::Error>,
) -> WireError {
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let Some(error) = parse(serde_path_to_error::Deserializer::new(&mut reader, &mut track)) else {
        return invalid("the value cannot be read", root, offset);
    };
    let path = track.path().to_string();
    let mut field = root.to_owned();
    if path != "." {
        field = format!("{root}.{path}");
    }
    if let Some(name) = named_field(&error.to_string())
        && !field.ends_with(&format!(".{name}"))
    {
        field = format!("{field}.{name}");
    }
    from_serde(&error, &field, offset)
}

pub(super) fn from_serde(error: &serde_json::Error, field: &str, offset: usize) -> WireError {
    let text = error.to_string();
    let position = offset + error.column().saturating_sub(1);
    // serde_json ends its messages with a line and a column of the part that it was given.
    let what = text.rfind(" at line ").and_then(|at| text.get(..at)).unwrap_or(&text);
    let what = &plain(&cut(what.to_owned()));
    let coded = [(INVALID_NAME, ErrorCode::InvalidName), (INVALID_OWNER, ErrorCode::InvalidOwner)];
    for (prefix, code) in coded {
        if let Some(message) = what.strip_prefix(prefix) {
            return WireError::new(code, message).details(place(field, position));
        }
    }
    invalid(what, field, position)
}

/// Returns serde's message without the names of Rust types.
fn plain(message: &str) -> String {
    let mut parts = message.split("struct ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let name = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
        out.push_str("an object");
        out.push_str(part.get(name..).unwrap_or_default());
    }
    out
}

pub(super) fn invalid(message: &str, field: &str, position: usize) -> WireError {
    let error = WireError::new(ErrorCode::InvalidRequest, message).details(place(field, position));
    match (field, near(message)) {
        ("", _) => error.hint("a request is one line: {\"id\":1,\"type\":\"ping\"}"),
        ("payload", None) => error.hint("a payload is an object; a request without fields may leave it out"),
        (_, Some(near)) => error.hint(format!("did you mean `{near}`?")),
        (_, None) => error,
    }
}

/// Returns the field that was probably meant, where serde lists the known ones.
fn near(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("unknown field `")?;
    let (given, rest) = rest.split_once('`')?;
    nearest(given, rest.split('`').skip(1).step_by(2))
}

fn place(field: &str, position: usize) -> serde_json::Value {
    serde_json::json!({"field": cut(field.to_owned()), "position": position})
}

pub(super) fn unknown_request<'a, R: Requests<'a>>(type_name: &str) -> WireError {
    let shown: String = type_name.chars().take(64).collect();
    let error = WireError::new(ErrorCode::UnknownRequest, format!("there is no request type {shown:?}"));
    let types: Vec<&str> = R::types().collect();
    if types.is_empty() {
        return error.hint(R::UNKNOWN_HINT).details(place("type", 0));
    }
    let all = types.join(", ");
    let hint = match nearest(&shown, types.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? There are: {all}"),
        None => format!("there are: {all}"),
    };
    error.hint(hint).details(serde_json::json!({"field": "type", "position": 0, "types": types}))
}

/// Returns the field that serde names in backticks; its errors carry the name nowhere else.
pub(super) fn named_field(message: &str) -> Option<&str> {
    let rest = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|prefix| message.split_once(prefix))?
        .1;
    rest.split_once('`').map(|(name, _)| name)
}

pub(super) fn offset_in(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

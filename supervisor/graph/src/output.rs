//! Writes nodes, edges and strings as JSON, straight into the connection's output. Keeps no state.

use rusqlite::Row;
use std::io::Write as _;

/// Appends a JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    if serde_json::to_writer(&mut *out, text).is_err() {
        unreachable!("a string is written to memory without fail");
    }
}

/// Appends a number.
pub(crate) fn number(out: &mut Vec<u8>, number: impl std::fmt::Display) {
    if write!(out, "{number}").is_err() {
        unreachable!("memory is written without fail");
    }
}

/// Appends a JSON string, or null.
pub(crate) fn optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends the fields of a node, without braces.
pub(crate) fn node_fields(out: &mut Vec<u8>, id: &str, label: Option<&str>, properties: &str) {
    out.extend_from_slice(b"\"id\":");
    string(out, id);
    out.extend_from_slice(b",\"label\":");
    optional(out, label);
    out.extend_from_slice(b",\"properties\":");
    object(out, properties);
}

/// Appends an edge.
pub(crate) fn edge(out: &mut Vec<u8>, from: &str, to: &str, edge_type: &str, properties: &str) {
    out.extend_from_slice(b"{\"from\":");
    string(out, from);
    out.extend_from_slice(b",\"to\":");
    string(out, to);
    out.extend_from_slice(b",\"type\":");
    string(out, edge_type);
    out.extend_from_slice(b",\"properties\":");
    object(out, properties);
    out.push(b'}');
}

/// Appends the node of a row `id, label, properties`, beginning at the given column.
///
/// # Errors
/// When the row is of another shape.
pub(crate) fn node_of(out: &mut Vec<u8>, row: &Row<'_>, from: usize) -> rusqlite::Result<()> {
    out.push(b'{');
    let label = row.get_ref(from + 1)?.as_str_or_null()?;
    node_fields(out, row.get_ref(from)?.as_str()?, label, row.get_ref(from + 2)?.as_str()?);
    out.push(b'}');
    Ok(())
}

/// Appends the edge of a row `from, to, type, properties`.
///
/// # Errors
/// When the row is of another shape.
pub(crate) fn edge_of(out: &mut Vec<u8>, row: &Row<'_>) -> rusqlite::Result<()> {
    let (from, to) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
    edge(out, from, to, row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
    Ok(())
}

/// Appends a comma between the members of a list whose bracket is the last byte so far.
pub(crate) fn comma(out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
}

/// Appends stored JSON as it was put. Another program may have stored a line break between its tokens, which
/// would end the frame.
fn object(out: &mut Vec<u8>, json: &str) {
    let start = out.len();
    out.extend_from_slice(json.as_bytes());
    for byte in out.iter_mut().skip(start).filter(|byte| **byte == b'\n') {
        *byte = b' ';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_and_edges_have_their_shapes() {
        let mut out = Vec::new();
        node_fields(&mut out, "a\"b", None, "{\"x\":\n1}");
        assert_eq!(out, br#""id":"a\"b","label":null,"properties":{"x": 1}"#);
        let mut out = Vec::new();
        edge(&mut out, "a", "b", "KNOWS", "{}");
        assert_eq!(out, br#"{"from":"a","to":"b","type":"KNOWS","properties":{}}"#);
    }
}

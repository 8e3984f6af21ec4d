//! `query`: a client's own SQL, read-only. `store::sandbox` decides which SQL is allowed; it runs in a
//! process of its own, see `reader`. [`query`] is the worker's part, [`run`] the reader's.

use super::{Context, Refusal, invalid};
use crate::limits::{DEFAULT_ROWS, MAX_QUERY_BYTES, MAX_QUERY_MS, MAX_RESULT_BYTES, MAX_ROWS, QUERY_MS};
use crate::output;
use crate::reader::Outcome;
use gob_protocol::{ErrorCode, WireError};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Statement};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::time::Duration;

/// Payload of `query`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// One SQL statement.
    sql: String,
    /// A list for `?1`, `?2`, or an object for `:name`.
    #[serde(default)]
    params: Params,
    /// Most rows.
    #[serde(default)]
    limit: Option<usize>,
    /// Time limit in milliseconds.
    #[serde(default)]
    timeout_ms: Option<usize>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged, expecting = "params are a list or an object")]
enum Params {
    List(Vec<Json>),
    Named(serde_json::Map<String, Json>),
}

impl Default for Params {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// Answers `query`.
pub(super) fn query(query: &Query, context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    let limit = super::bounded("payload.limit", query.limit, DEFAULT_ROWS, MAX_ROWS)?;
    let timeout = super::bounded("payload.timeout_ms", query.timeout_ms, QUERY_MS, MAX_QUERY_MS)?;
    if query.sql.contains('\0') {
        return Err(invalid("payload.sql", "SQL has no NUL character"));
    }
    let store = &context.shared.store;
    let checked = Query { limit: Some(limit), ..query.clone() };
    let mut line = serde_json::to_vec(&checked).map_err(|e| super::internal(&format!("a query: {e}")))?;
    line.push(b'\n');
    loop {
        let mut reader = store.query_reader()?;
        // The reader opens the path at its first query: the file there must be the graph.
        store.confirm()?;
        let is_used = reader.answered > 0;
        let cancel = context.cancel(Duration::from_millis(timeout as u64));
        match reader.ask(&line, &cancel, context.out) {
            Outcome::Data => return Ok(()),
            Outcome::Refused(error) => return Err(error.into()),
            Outcome::Cancelled => {
                reader.discard();
                return Err(cancel.refusal());
            }
            // An idle reader may have been ended from outside.
            Outcome::Died if is_used => reader.discard(),
            Outcome::Died => {
                reader.discard();
                return Err(too_large(None));
            }
        }
    }
}

/// Appends the result of a query to `out`.
///
/// # Errors
/// The reason why there is none.
pub(crate) fn run(db: &Connection, query: &Query, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let limit = query.limit.unwrap_or(DEFAULT_ROWS);
    let mut statement = db.prepare(&query.sql).map_err(explain)?;
    if statement.column_count() == 0 {
        return Err(invalid("payload.sql", "this statement returns nothing"));
    }
    bind(&mut statement, &query.params)?;
    let start = out.len();
    out.extend_from_slice(b"{\"columns\":[");
    for name in statement.column_names() {
        output::comma(out);
        output::string(out, name);
    }
    out.extend_from_slice(b"],\"rows\":[");
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    let (mut count, mut truncated) = (0, false);
    while let Some(row) = rows.next().map_err(explain)? {
        if count == limit || out.len() - start > MAX_RESULT_BYTES {
            truncated = true;
            break;
        }
        count += 1;
        let before = out.len();
        output::comma(out);
        out.push(b'[');
        for column in 0..columns {
            output::comma(out);
            append(out, row.get_ref(column)?);
            if out.len() - before > MAX_RESULT_BYTES {
                return Err(row_too_large());
            }
        }
        out.push(b']');
    }
    out.extend_from_slice(b"],\"truncated\":");
    output::number(out, truncated);
    out.push(b'}');
    Ok(())
}

fn bind(statement: &mut Statement<'_>, params: &Params) -> Result<(), Refusal> {
    let wanted = statement.parameter_count();
    match params {
        Params::List(values) => {
            if values.len() != wanted {
                let message = format!("the statement has {wanted} parameters, {} were given", values.len());
                return Err(invalid("payload.params", message));
            }
            for (at, value) in values.iter().enumerate() {
                statement.raw_bind_parameter(at + 1, sql_value(value))?;
            }
        }
        Params::Named(values) => {
            for at in 1..=wanted {
                let name = statement.parameter_name(at).unwrap_or_default().to_owned();
                let Some(value) = values.get(name.get(1..).unwrap_or_default()) else {
                    return Err(invalid(
                        "payload.params",
                        format!("there is no value for parameter {name:?}"),
                    ));
                };
                statement.raw_bind_parameter(at, sql_value(value))?;
            }
        }
    }
    Ok(())
}

/// Lists and objects go in as JSON text, as `json_each` takes them.
fn sql_value(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Integer(i64::from(*yes)),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::Integer(integer),
            (None, Some(real)) => Value::Real(real),
            (None, None) => Value::Null,
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(_) | Json::Object(_) => Value::Text(value.to_string()),
    }
}

/// JSON has no bytes and no infinity: a blob is `{"hex":"…"}`, an infinite number null.
fn append(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => out.extend_from_slice(b"null"),
        ValueRef::Integer(integer) => output::number(out, integer),
        ValueRef::Real(real) if real.is_finite() => {
            // Unlike Rust's own, this form keeps a whole number a real one: `1.0`.
            output::number(out, json!(real));
        }
        ValueRef::Real(_) => out.extend_from_slice(b"null"),
        ValueRef::Text(text) => output::string(out, &String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => {
            let mut hex = String::with_capacity(bytes.len() * 2);
            for byte in bytes {
                if write!(hex, "{byte:02x}").is_err() {
                    unreachable!("memory is written without fail");
                }
            }
            out.extend_from_slice(b"{\"hex\":\"");
            out.extend_from_slice(hex.as_bytes());
            out.extend_from_slice(b"\"}");
        }
    }
}

/// Returns a refusal of a query that needs too much memory.
fn too_large(said: Option<&str>) -> Refusal {
    let said = said.map_or(String::new(), |said| format!(": {said}"));
    let message = format!("the query needs more than {MAX_QUERY_BYTES} bytes of memory{said}");
    let hint = "sort, group or join less at once; what is sorted is kept in memory";
    let details = json!({"limit": "query_bytes", "value": MAX_QUERY_BYTES});
    Refusal::from(WireError::new(ErrorCode::Busy, message).hint(hint).details(details))
}

fn row_too_large() -> Refusal {
    let message = format!("one row of the result has more than {MAX_RESULT_BYTES} bytes");
    let details = json!({"limit": "result_bytes", "value": MAX_RESULT_BYTES});
    Refusal::from(WireError::new(ErrorCode::Busy, message).hint("select fewer columns").details(details))
}

/// An error in the SQL is the client's, and shown with its place.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other errors are the file's, whatever they are called"
)]
fn explain(error: rusqlite::Error) -> Refusal {
    use rusqlite::ErrorCode as Sqlite;
    let (message, position) = match &error {
        rusqlite::Error::SqlInputError { msg, offset, .. } => (msg.clone(), usize::try_from(*offset).ok()),
        rusqlite::Error::MultipleStatement => ("one statement at a time".to_owned(), None),
        rusqlite::Error::SqliteFailure(failure, text) => match failure.code {
            Sqlite::AuthorizationForStatementDenied | Sqlite::ReadOnly => {
                let hint = "query only reads; use put, delete or import to write";
                let error = WireError::new(ErrorCode::InvalidRequest, "this statement does more than read");
                return Refusal::from(error.hint(hint).details(json!({"field": "payload.sql"})));
            }
            Sqlite::OutOfMemory => return too_large(text.as_deref()),
            Sqlite::Unknown | Sqlite::TypeMismatch | Sqlite::TooBig | Sqlite::ParameterOutOfRange => {
                (text.clone().unwrap_or_else(|| failure.to_string()), None)
            }
            _ => return Refusal::from(error),
        },
        _ => return Refusal::from(error),
    };
    let details = json!({"field": "payload.sql", "position": position});
    Refusal::from(WireError::new(ErrorCode::InvalidRequest, message).details(details))
}

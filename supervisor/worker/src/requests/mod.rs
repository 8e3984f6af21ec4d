//! The requests of a graph worker. `REQUESTS.md` is their contract.
//!
//! A handler gets the checked payload and a [`Context`], appends the data of its response to the output, and
//! returns; the connection makes the frame. Handlers keep no state of their own.

mod get;
mod put;
mod stats;

use crate::cancel::Cancel;
use crate::output;
use crate::server::Shared;
use gob_protocol::limits::MAX_RESPONSE_BYTES;
use gob_protocol::{ErrorCode, Id, Requests, WireError};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// One request.
#[derive(Debug)]
pub(crate) enum Request<'a> {
    /// Answers at once.
    Ping,
    /// Puts nodes and edges, all or none.
    Put(put::Put<'a>),
    /// Reads nodes by id.
    Get(get::Get<'a>),
    /// Counts.
    Stats,
    /// Deletes nodes and edges, all or none.
    Delete(put::Delete<'a>),
}

impl<'de: 'a, 'a> Requests<'de> for Request<'a> {
    const UNKNOWN_HINT: &'static str = "the requests of a graph worker are listed in its REQUESTS.md";

    fn parse<D: Deserializer<'de>>(type_name: &str, payload: D) -> Option<Result<Self, D::Error>> {
        let empty = |payload: D, request: Self| Empty::deserialize(payload).map(|Empty {}| request);
        Some(match type_name {
            "ping" => empty(payload, Self::Ping),
            "put" => put::Put::deserialize(payload).map(Self::Put),
            "get" => get::Get::deserialize(payload).map(Self::Get),
            "stats" => empty(payload, Self::Stats),
            "delete" => put::Delete::deserialize(payload).map(Self::Delete),
            _ => return None,
        })
    }
}

impl Request<'_> {
    /// Whether it is answered so quickly that earlier responses may wait for it, to be written together.
    pub(crate) const fn is_short(&self) -> bool {
        matches!(self, Self::Ping | Self::Get(_))
    }
}

/// A payload without fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

/// What a handler works with.
pub(crate) struct Context<'a> {
    /// The worker.
    pub(crate) shared: &'a Shared,
    /// The client.
    pub(crate) peer: &'a Arc<UnixStream>,
    /// What the client calls the request.
    pub(crate) id: Option<&'a Id>,
    /// Where the data of the response goes; earlier bytes must stay.
    pub(crate) out: &'a mut Vec<u8>,
}

impl Context<'_> {
    /// The end of a request that may take this long.
    pub(crate) fn cancel(&self, limit: Duration) -> Cancel {
        Cancel::new(limit, self.peer, &self.shared.interrupt)
    }

    /// Appends data that serde writes.
    pub(crate) fn data(&mut self, data: &impl Serialize) -> Result<(), Refusal> {
        serde_json::to_writer(&mut *self.out, data)
            .map_err(|e| internal(&format!("cannot write the data: {e}")))
    }
}

/// Answers one request.
///
/// # Errors
/// Why it failed; what was written to the output then has no meaning.
pub(crate) fn answer(request: &Request<'_>, context: &mut Context<'_>) -> Result<(), Refusal> {
    match request {
        Request::Ping => {
            let uptime = context.shared.started.elapsed().as_millis();
            context.data(&json!({"pong": true, "uptime_ms": u64::try_from(uptime).unwrap_or(u64::MAX)}))
        }
        Request::Put(put) => put::put(put, context),
        Request::Get(get) => get::get(get, context),
        Request::Stats => stats::stats(context),
        Request::Delete(delete) => put::delete(delete, context),
    }
}

/// Why a request failed.
#[derive(Debug)]
pub(crate) struct Refusal(Box<WireError>);

impl Refusal {
    /// What the client is told.
    pub(crate) fn error(&self) -> &WireError {
        &self.0
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Self(Box::new(error))
    }
}

impl From<Box<WireError>> for Refusal {
    fn from(error: Box<WireError>) -> Self {
        Self(error)
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Sqlite;
        Self::from(match error.sqlite_error_code() {
            Some(Sqlite::DatabaseBusy | Sqlite::DatabaseLocked) => {
                WireError::new(ErrorCode::Busy, format!("another program holds the graph's file: {error}"))
                    .hint("end it, or try again")
                    .details(json!({"limit": "file"}))
            }
            Some(Sqlite::DatabaseCorrupt | Sqlite::NotADatabase) => WireError::new(
                ErrorCode::Internal,
                format!("the graph's file is damaged: {error}"),
            )
            .hint(
                "stop the worker and restore the file, or save what is left: sqlite3 graph.sqlite .recover",
            ),
            Some(Sqlite::DiskFull) => {
                WireError::new(ErrorCode::Internal, format!("the disk is full: {error}"))
                    .hint("make room, try again")
            }
            Some(_) | None => WireError::new(ErrorCode::Internal, format!("the graph's file: {error}")),
        })
    }
}

impl From<rusqlite::types::FromSqlError> for Refusal {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Self::from(rusqlite::Error::from(error))
    }
}

/// Appends the id of a request as it was given.
pub(crate) fn append_id(out: &mut Vec<u8>, id: Option<&Id>) {
    match id {
        Some(Id::Number(number)) => output::number(out, number),
        Some(Id::Large(number)) => output::number(out, number),
        Some(Id::Text(text)) => output::string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// A defect.
fn internal(message: &str) -> Refusal {
    Refusal::from(WireError::new(ErrorCode::Internal, message))
}

/// A field that was understood and still can't be followed.
fn invalid(field: &str, message: impl Into<String>) -> Refusal {
    Refusal::from(WireError::new(ErrorCode::InvalidRequest, message).details(json!({"field": field})))
}

/// A node that is not in the graph.
fn no_node(field: &str, id: &str) -> Refusal {
    let error = WireError::new(ErrorCode::InvalidRequest, format!("there is no node {id:?}"));
    Refusal::from(error.hint("put it first").details(json!({"field": field, "node": id})))
}

/// More than a response frame holds.
pub(crate) fn too_much() -> Refusal {
    let message = format!("the response would have more than {MAX_RESPONSE_BYTES} bytes");
    Refusal::from(
        WireError::new(ErrorCode::Busy, message)
            .hint("ask for less at once")
            .details(json!({"limit": "response_bytes", "value": MAX_RESPONSE_BYTES})),
    )
}

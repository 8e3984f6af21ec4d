//! The requests of a graph worker. `REQUESTS.md` is their contract.
//!
//! A handler gets the checked payload and a [`Context`], appends the data of its response to the output, and
//! returns; the connection makes the frame. Handlers keep no state of their own.

pub(crate) mod catalog;
mod export;
mod get;
mod import;
mod neighbors;
mod path;
mod put;
pub(crate) mod query;
mod search;
mod stats;
mod walk;

pub(crate) use import::Import;

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
    /// Lists the surroundings of a node.
    Neighbors(neighbors::Neighbors<'a>),
    /// Finds a shortest path.
    Path(path::Path<'a>),
    /// Finds nodes by their words.
    Search(search::Search),
    /// Runs a client's own SQL.
    Query(query::Query),
    /// Opens an import.
    ImportBegin,
    /// Adds lines to an import.
    ImportLines(import::Lines<'a>),
    /// Puts all lines of an import.
    ImportEnd,
    /// Drops an import.
    ImportAbort,
    /// Writes the whole graph.
    Export,
    /// Lists the requests.
    Requests,
}

impl<'de: 'a, 'a> Requests<'de> for Request<'a> {
    const UNKNOWN_HINT: &'static str = "the request `requests` lists them";

    fn types() -> impl Iterator<Item = &'static str> {
        catalog::REQUESTS.iter().map(|entry| entry.name)
    }

    fn parse<D: Deserializer<'de>>(type_name: &str, payload: D) -> Option<Result<Self, D::Error>> {
        let empty = |payload: D, request: Self| Empty::deserialize(payload).map(|Empty {}| request);
        Some(match type_name {
            "ping" => empty(payload, Self::Ping),
            "put" => put::Put::deserialize(payload).map(Self::Put),
            "get" => get::Get::deserialize(payload).map(Self::Get),
            "stats" => empty(payload, Self::Stats),
            "delete" => put::Delete::deserialize(payload).map(Self::Delete),
            "neighbors" => neighbors::Neighbors::deserialize(payload).map(Self::Neighbors),
            "path" => path::Path::deserialize(payload).map(Self::Path),
            "search" => search::Search::deserialize(payload).map(Self::Search),
            "query" => query::Query::deserialize(payload).map(Self::Query),
            "import_begin" => empty(payload, Self::ImportBegin),
            "import_lines" => import::Lines::deserialize(payload).map(Self::ImportLines),
            "import_end" => empty(payload, Self::ImportEnd),
            "import_abort" => empty(payload, Self::ImportAbort),
            "export" => empty(payload, Self::Export),
            "requests" => empty(payload, Self::Requests),
            _ => return None,
        })
    }
}

impl Request<'_> {
    /// Returns whether the answer is so quick that earlier responses may wait for it, to be written together.
    pub(crate) const fn is_short(&self) -> bool {
        matches!(self, Self::Ping | Self::Get(_))
    }
}

/// The payload of a type without fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

/// The surroundings of a handler.
pub(crate) struct Context<'c, 's> {
    /// The worker.
    pub(crate) shared: &'s Shared,
    /// The client.
    pub(crate) peer: &'c Arc<UnixStream>,
    /// The client's import, while one is open.
    pub(crate) import: &'c mut Option<Import<'s>>,
    /// The client's id for the request.
    pub(crate) id: Option<&'c Id>,
    /// The buffer for the response's data; earlier bytes must stay.
    pub(crate) out: &'c mut Vec<u8>,
}

impl Context<'_, '_> {
    /// Creates the cancellation of a request that may take `limit`.
    pub(crate) fn cancel(&self, limit: Duration) -> Cancel {
        Cancel::new(limit, self.peer, &self.shared.interrupt)
    }

    /// Appends `data` as JSON.
    pub(crate) fn data(&mut self, data: &impl Serialize) -> Result<(), Refusal> {
        serde_json::to_writer(&mut *self.out, data)
            .map_err(|e| internal(&format!("cannot write the data: {e}")))
    }
}

/// Answers one request.
///
/// # Errors
/// The refusal; the bytes written to the output then have no meaning.
pub(crate) fn answer(request: &Request<'_>, context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    match request {
        Request::Ping => {
            let uptime = context.shared.started.elapsed().as_millis();
            context.data(&json!({"pong": true, "uptime_ms": u64::try_from(uptime).unwrap_or(u64::MAX)}))
        }
        Request::Put(put) => put::put(put, context),
        Request::Get(get) => get::get(get, context),
        Request::Stats => stats::stats(context),
        Request::Delete(delete) => put::delete(delete, context),
        Request::Neighbors(request) => neighbors::neighbors(request, context),
        Request::Path(request) => path::path(request, context),
        Request::Search(request) => search::search(request, context),
        Request::Query(request) => query::query(request, context),
        Request::ImportBegin => import::begin(context),
        Request::ImportLines(lines) => import::lines(lines, context),
        Request::ImportEnd => import::end(context),
        Request::ImportAbort => import::abort(context),
        Request::Export => export::export(context),
        Request::Requests => context.data(&catalog::Listed { requests: catalog::REQUESTS }),
    }
}

/// The reason why a request failed.
#[derive(Debug)]
pub(crate) struct Refusal(Box<WireError>);

impl Refusal {
    /// Returns the error for the client.
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

/// Appends the id of a request as the client gave it.
pub(crate) fn append_id(out: &mut Vec<u8>, id: Option<&Id>) {
    match id {
        Some(Id::Number(number)) => output::number(out, number),
        Some(Id::Large(number)) => output::number(out, number),
        Some(Id::Text(text)) => output::string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// Returns a refusal because of a defect.
fn internal(message: &str) -> Refusal {
    Refusal::from(WireError::new(ErrorCode::Internal, message))
}

/// Returns a refusal of a field that is well-formed and impossible.
fn invalid(field: &str, message: impl Into<String>) -> Refusal {
    Refusal::from(WireError::new(ErrorCode::InvalidRequest, message).details(json!({"field": field})))
}

/// Returns a refusal for a node that is not in the graph.
fn no_node(field: &str, id: &str) -> Refusal {
    let error = WireError::new(ErrorCode::InvalidRequest, format!("there is no node {id:?}"));
    // An edge needs the node, a walk begins at it.
    let hint = if field.contains(".edge") {
        "put it first, or along with the edge"
    } else {
        "search finds ids by their words"
    };
    Refusal::from(error.hint(hint).details(json!({"field": field, "node": id})))
}

/// Checks a number from a client, between 1 and `max`.
fn bounded(field: &str, given: Option<usize>, default: usize, max: usize) -> Result<usize, Refusal> {
    match given {
        None => Ok(default),
        Some(number) if (1..=max).contains(&number) => Ok(number),
        Some(number) => Err(invalid(field, format!("{number} is not between 1 and {max}"))),
    }
}

/// Returns a refusal of a result that is larger than a response frame.
pub(crate) fn too_much() -> Refusal {
    let message = format!("the response would have more than {MAX_RESPONSE_BYTES} bytes");
    Refusal::from(
        WireError::new(ErrorCode::Busy, message)
            .hint("ask for less at once")
            .details(json!({"limit": "response_bytes", "value": MAX_RESPONSE_BYTES})),
    )
}

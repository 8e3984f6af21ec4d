//! The client's side of the envelope: writes requests and reads the frames of the supervisor.

use super::{Id, frame_too_long};
use crate::error::{ErrorCode, WireError};
use crate::limits::MAX_REQUEST_BYTES;
use crate::request::Request;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Writes a request frame with its newline.
///
/// # Errors
/// When the request can't be serialised or is longer than [`MAX_REQUEST_BYTES`].
pub fn write_request(id: &Id, request: &Request) -> Result<Vec<u8>, WireError> {
    #[derive(Serialize)]
    struct Line<'a> {
        id: &'a Id,
        #[serde(rename = "type")]
        type_name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Box<RawValue>>,
    }
    let internal =
        |e: serde_json::Error| WireError::new(ErrorCode::Internal, format!("cannot write the request: {e}"));
    let payload = request.payload().map_err(internal)?;
    let mut line =
        serde_json::to_vec(&Line { id, type_name: request.type_name(), payload }).map_err(internal)?;
    if line.len() > MAX_REQUEST_BYTES {
        return Err(frame_too_long());
    }
    line.push(b'\n');
    Ok(line)
}

/// One frame from the supervisor.
#[derive(Debug)]
pub enum ServerFrame<'a> {
    /// A response to a request.
    Response {
        /// The request's id.
        id: Option<Id>,
        /// The data, still unparsed, or the error.
        result: Result<&'a RawValue, WireError>,
    },
    /// An event or `lagged`, still unparsed.
    Event(&'a str),
}

/// Parses one frame from the supervisor. Unknown fields are ignored.
///
/// # Errors
/// When the line is neither a response nor an event.
pub fn parse_server_frame(line: &[u8]) -> Result<ServerFrame<'_>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(default)]
        id: Option<Id>,
        success: Option<bool>,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
        error: Option<WireError>,
        #[serde(borrow)]
        event: Option<Cow<'a, str>>,
    }
    let text = std::str::from_utf8(line).map_err(serde_json::Error::custom)?;
    let line: Line<'_> = serde_json::from_str(text)?;
    match line {
        Line { event: Some(_), success: None, .. } => Ok(ServerFrame::Event(text)),
        Line { id, success: Some(true), data: Some(data), .. } => {
            Ok(ServerFrame::Response { id, result: Ok(data) })
        }
        Line { id, success: Some(false), error: Some(error), .. } => {
            Ok(ServerFrame::Response { id, result: Err(error) })
        }
        Line { .. } => Err(serde_json::Error::custom("neither a response nor an event")),
    }
}

//! From a line to a message, or to the error that answers it: rmcp drops a line that it can't read. Pure.

use rmcp::RoleServer;
use rmcp::model::{ClientRequest, JsonRpcMessage, RequestId};
use rmcp::service::RxJsonRpcMessage;
use serde_json::{Map, Value, json};

/// JSON-RPC 2.0, section 5.1.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const INVALID_PARAMS: i32 = -32602;
/// Of the range that JSON-RPC leaves to servers.
const BUSY: i32 = -32000;

/// The methods whose parameters this server reads. With parameters that they do not have, rmcp takes them for unknown ones.
const METHODS: [&str; 7] = [
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
];

/// The content of a line.
#[derive(Debug)]
pub(crate) enum Read {
    /// A message for rmcp.
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    /// The error that answers it.
    Refused(Value),
    /// An empty line, or a message that needs no answer and means nothing here.
    Nothing,
}

/// Returns the error that answers a request.
fn refused(id: &Value, code: i32, message: impl Into<String>) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message.into()}})
}

/// Returns the answer to a line that is too long.
pub(crate) fn too_long() -> Value {
    let message = format!("the line is longer than {} MiB; it was skipped", crate::frame::MAX_LINE >> 20);
    refused(&Value::Null, PARSE_ERROR, message)
}

/// Returns the answer to bytes without a line feed at the end of the input.
pub(crate) fn unfinished() -> Value {
    refused(&Value::Null, PARSE_ERROR, "the input ended inside of a line, which was not executed")
}

/// Returns the answer to a request with the id of one that is not answered yet.
pub(crate) fn same_id(id: &RequestId) -> Value {
    let message = format!("the request {id} is not answered yet; each request needs an id of its own");
    refused(&id.clone().into_json_value(), INVALID_REQUEST, message)
}

/// Returns the answer to a request beyond those that may wait.
pub(crate) fn too_many(id: &RequestId, most: usize) -> Value {
    let message = format!("{most} requests are not answered yet; wait for an answer before the next one");
    refused(&id.clone().into_json_value(), BUSY, message)
}

/// Reads a line.
pub(crate) fn read(line: &[u8]) -> Read {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Read::Nothing;
    }
    match serde_json::from_slice::<Value>(line) {
        Ok(Value::Object(fields)) => message(fields),
        Ok(Value::Array(_)) => {
            let message = "a batch is not taken: each message is a line of its own";
            Read::Refused(refused(&Value::Null, INVALID_REQUEST, message))
        }
        Ok(_) => Read::Refused(refused(&Value::Null, INVALID_REQUEST, "a message is a JSON object")),
        Err(error) => {
            Read::Refused(refused(&Value::Null, PARSE_ERROR, format!("the line is no JSON: {error}")))
        }
    }
}

fn message(fields: Map<String, Value>) -> Read {
    let id = fields.get("id").cloned();
    let is_id = |id: &Value| id.is_i64() || id.is_string();
    // An answer names the id only where it is one.
    let named = id.clone().filter(is_id).unwrap_or(Value::Null);
    let refuse = |code, message: &str| Read::Refused(refused(&named, code, message));
    if fields.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return refuse(INVALID_REQUEST, "the message has no \"jsonrpc\":\"2.0\"");
    }
    let Some(method) = fields.get("method").cloned() else {
        return if fields.contains_key("result") || fields.contains_key("error") {
            // This server asks nothing, so it is the answer to nothing.
            Read::Nothing
        } else {
            refuse(INVALID_REQUEST, "the message has no method")
        };
    };
    let Some(method) = method.as_str() else {
        return refuse(INVALID_REQUEST, "the method is no text");
    };
    if id.as_ref().is_some_and(|id| !is_id(id)) {
        return refuse(INVALID_REQUEST, "the id is neither a text nor a whole number");
    }
    if fields.get("params").is_some_and(|params| !params.is_object()) {
        return refuse(INVALID_PARAMS, "the params are no object");
    }
    let parsed = serde_json::from_value::<RxJsonRpcMessage<RoleServer>>(Value::Object(fields));
    match (parsed, id) {
        (Ok(JsonRpcMessage::Request(request)), Some(_)) => {
            let is_unread = matches!(request.request, ClientRequest::CustomRequest(_));
            if is_unread && METHODS.contains(&method) {
                return refuse(INVALID_PARAMS, &format!("the params of {method} are not as MCP has them"));
            }
            Read::Message(Box::new(JsonRpcMessage::Request(request)))
        }
        (Ok(message @ JsonRpcMessage::Notification(_)), None) => Read::Message(Box::new(message)),
        (_, Some(_)) => refuse(INVALID_PARAMS, &format!("the request {method} can't be read")),
        (_, None) => Read::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> (Value, i64) {
        let Read::Refused(answer) = read(line.as_bytes()) else { panic!("{line} is taken") };
        (answer["id"].clone(), answer["error"]["code"].as_i64().unwrap())
    }

    #[test]
    fn every_wrong_line_is_answered_with_the_code_of_json_rpc() {
        for (line, id, code) in [
            ("{", json!(null), -32700),
            ("hello", json!(null), -32700),
            ("\u{1}", json!(null), -32700),
            ("[]", json!(null), -32600),
            ("7", json!(null), -32600),
            ("{}", json!(null), -32600),
            (r#"{"jsonrpc":"1.0","id":4,"method":"ping"}"#, json!(4), -32600),
            (r#"{"jsonrpc":"2.0","id":"a"}"#, json!("a"), -32600),
            (r#"{"jsonrpc":"2.0","id":4,"method":7}"#, json!(4), -32600),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, json!(null), -32600),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, json!(null), -32600),
            (r#"{"jsonrpc":"2.0","id":4,"method":"tools/call","params":[]}"#, json!(4), -32602),
            (r#"{"jsonrpc":"2.0","id":4,"method":"tools/call"}"#, json!(4), -32602),
            (r#"{"jsonrpc":"2.0","id":4,"method":"resources/read","params":{"uri":5}}"#, json!(4), -32602),
        ] {
            assert_eq!(error(line), (id, code), "{line}");
        }
        let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{}"#, "[".repeat(300));
        assert_eq!(error(&deep).1, -32700);
        assert!(matches!(read(b"\xff{}"), Read::Refused(_)));
    }

    #[test]
    fn requests_and_notifications_are_handed_on() {
        for line in [
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            r#" {"jsonrpc":"2.0","id":"x","method":"tools/list","params":{}} "#,
            r#"{"jsonrpc":"2.0","id":2,"method":"nothing/like/it"}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        ] {
            assert!(matches!(read(line.as_bytes()), Read::Message(_)), "{line}: {:?}", read(line.as_bytes()));
        }
        for line in ["", " \r", r#"{"jsonrpc":"2.0","id":3,"result":{}}"#] {
            assert!(matches!(read(line.as_bytes()), Read::Nothing), "{line}");
        }
    }
}

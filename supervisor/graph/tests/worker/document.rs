//! The examples of `REQUESTS.md` are run, in their order, against one worker.
//!
//! In a block marked `gob`, a line after `→ ` is sent, a line after `← ` must come back: the same JSON, where
//! `"…"` stands for any value and an object may end with `"…":"…"` for any further fields.

use crate::harness::Place;
use serde_json::Value;

fn matches(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::String(any), _) if any == "…" => true,
        (Value::Object(expected), Value::Object(got)) => {
            let open = expected.contains_key("…");
            let fields = expected.iter().filter(|(name, _)| *name != "…");
            (open || expected.len() == got.len())
                && fields.clone().all(|(name, value)| got.get(name).is_some_and(|got| matches(value, got)))
        }
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len()
                && expected.iter().zip(got).all(|(expected, got)| matches(expected, got))
        }
        (expected, got) => expected == got,
    }
}

#[test]
fn the_examples_are_true() {
    let text = include_str!("../../REQUESTS.md");
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let (mut inside, mut sent, mut received) = (false, 0, 0);
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```gob";
        } else if let Some(request) = line.strip_prefix("→ ").filter(|_| inside) {
            client.write(format!("{request}\n").as_bytes());
            sent += 1;
        } else if let Some(expected) = line.strip_prefix("← ").filter(|_| inside) {
            let expected: Value =
                serde_json::from_str(expected).unwrap_or_else(|e| panic!("{e}: {expected}"));
            let got = client.read();
            assert!(matches(&expected, &got), "expected {expected}\ngot      {got}");
            received += 1;
        }
    }
    assert!(sent >= 14 && received >= sent, "{sent} requests, {received} frames");
}

#[test]
fn every_request_and_every_bound_is_documented() {
    let text = include_str!("../../REQUESTS.md");
    for request in [
        "ping",
        "put",
        "get",
        "stats",
        "delete",
        "neighbors",
        "path",
        "search",
        "query",
        "import_begin",
        "import_lines",
        "import_end",
        "import_abort",
        "export",
        "requests",
    ] {
        assert!(text.contains(&format!("\"type\":\"{request}\"")), "{request} has no example");
    }
}

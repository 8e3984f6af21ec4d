//! Checks the golden files both ways, and that every message has one.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test has no interface, and fails by panicking, in its helpers too"
)]

mod common;

use gob_protocol::envelope::parse_request;
use gob_protocol::{ErrorCode, EventKind, Request};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn lines(stem: &str) -> Vec<String> {
    let path = folder().join(format!("{stem}.jsonl"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert!(!lines.is_empty(), "{stem} is empty");
    lines
}

#[test]
fn requests_are_the_same_bytes_again() {
    for type_name in Request::TYPES {
        for line in lines(&format!("request-{type_name}")) {
            assert_eq!(common::request(&line), *type_name, "{line}");
        }
    }
}

#[test]
fn an_empty_payload_may_be_left_out() {
    let mut seen = 0;
    for line in Request::TYPES.iter().flat_map(|name| lines(&format!("request-{name}"))) {
        if let Some(short) = line.strip_suffix(",\"payload\":{}}") {
            let short = format!("{short}}}");
            assert_eq!(parse_request(short.as_bytes()).unwrap(), parse_request(line.as_bytes()).unwrap());
            seen += 1;
        }
    }
    assert!(seen >= 4, "only {seen} requests without fields");
}

#[test]
fn responses_are_the_same_value_again() {
    for type_name in Request::TYPES {
        for line in lines(&format!("response-{type_name}")) {
            common::response(type_name, &line);
        }
    }
}

#[test]
fn events_are_the_same_value_again() {
    for kind in EventKind::ALL {
        for line in lines(&format!("event-{kind}")) {
            assert_eq!(common::event(&line), kind.as_str(), "{line}");
        }
    }
}

#[test]
fn errors_are_the_same_value_again() {
    for code in ErrorCode::ALL {
        for line in lines(&format!("error-{code}")) {
            assert_eq!(common::error(&line), code.as_str(), "{line}");
        }
    }
}

#[test]
fn refusals_name_id_code_field_and_position() {
    for row in lines("refused") {
        let row: Value = serde_json::from_str(&row).unwrap();
        let line = row["line"].as_str().unwrap();
        let refused = parse_request(line.as_bytes()).expect_err(line);
        let details = refused.error.details.unwrap_or_default();
        assert_eq!(serde_json::to_value(&refused.id).unwrap(), row["id"], "{line}");
        assert_eq!(refused.error.code.as_str(), row["code"], "{line}");
        assert_eq!(details["field"], row["field"], "{line}");
        let position = details["position"].as_u64().unwrap();
        assert!(position <= line.len() as u64, "{line}: {position}");
        if let Some(expected) = row["position"].as_u64() {
            assert_eq!(position, expected, "{line}");
        }
    }
}

#[test]
fn every_golden_file_has_a_message() {
    let mut expected: BTreeSet<String> = BTreeSet::from(["refused".to_owned()]);
    expected.extend(Request::TYPES.iter().map(|name| format!("request-{name}")));
    expected.extend(Request::TYPES.iter().map(|name| format!("response-{name}")));
    expected.extend(EventKind::ALL.iter().map(|kind| format!("event-{kind}")));
    expected.extend(ErrorCode::ALL.iter().map(|code| format!("error-{code}")));
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let found: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|ext| ext == "jsonl"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, expected);
}

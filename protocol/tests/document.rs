//! Checks the examples and the tables of `PROTOCOL.md` against the types.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test has no interface, and fails by panicking, in its helpers too"
)]

mod common;

use gob_protocol::handshake::HandshakeReader;
use gob_protocol::state::State;
use gob_protocol::view::Receipt;
use gob_protocol::{ErrorCode, EventKind, Request, Status, View};
use std::collections::{BTreeMap, BTreeSet};

const DOCUMENT: &str = include_str!("../PROTOCOL.md");

/// Returns the fenced blocks: the words behind ```` ```json ````, and the text.
fn blocks() -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in DOCUMENT.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(_), Some(other)) => panic!("a block inside a block: {other}"),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, Some(info)) => {
                let what = info.strip_prefix("json ").unwrap_or_else(|| panic!("unmarked block: {info:?}"));
                open = Some((what.to_owned(), String::new()));
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

#[test]
fn every_example_parses_as_its_marked_type() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (what, text) in blocks() {
        let (kind, argument) = what.split_once(' ').unwrap_or((&what, ""));
        *seen.entry(kind.to_owned()).or_default() += 1;
        match kind {
            "view" => common::same::<View>(&text),
            "status" => common::same::<Status>(&text),
            "receipt" => common::same::<Receipt>(&text),
            "lock" => lock_line(&text),
            _ => text.lines().for_each(|line| match kind {
                "request" => assert!(Request::TYPES.contains(&common::request(line))),
                "response" => common::response(argument, line),
                "error" => assert!(ErrorCode::ALL.iter().any(|code| code.as_str() == common::error(line))),
                "event" | "lagged" => assert_eq!(common::event(line) == "lagged", kind == "lagged"),
                "handshake" => handshake(line),
                other => panic!("no test for a block of {other}"),
            }),
        }
    }
    let kinds: Vec<&str> = seen.keys().map(String::as_str).collect();
    let expected =
        ["error", "event", "handshake", "lagged", "lock", "receipt", "request", "response", "status", "view"];
    assert_eq!(kinds, expected);
}

fn lock_line(text: &str) {
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["instance", "pid", "protocol", "socket", "started_at"]);
}

fn handshake(line: &str) {
    let answer = HandshakeReader::default().feed(format!("{line}\n").as_bytes()).expect("a handshake");
    if line.contains("\"ready\":true") {
        assert!(answer.unwrap().endpoint.is_some(), "{line}");
    } else {
        assert!(answer.is_err(), "{line}");
    }
}

#[test]
fn every_name_is_described() {
    let names = Request::TYPES.iter().copied();
    let names = names.chain(EventKind::ALL.iter().map(|kind| kind.as_str()));
    let names = names.chain(State::ALL.iter().map(|state| state.as_str()));
    for name in names {
        assert!(DOCUMENT.contains(&format!("`{name}`")) || name == "lagged", "{name} is not described");
    }
    for field in serde_json::to_value(Status::default()).unwrap().as_object().unwrap().keys() {
        assert!(DOCUMENT.contains(&format!("\"{field}\"")), "status field {field} is not shown");
    }
}

#[test]
fn the_table_of_errors_is_the_list_of_codes() {
    let section = DOCUMENT.split("\n## 10. ").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split(" | ").next()?.trim_end_matches('`')))
        .collect();
    let codes: BTreeSet<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(rows, codes);
}

#[test]
fn the_sizes_are_the_limits() {
    use gob_protocol::limits;
    for (number, shown) in [
        (limits::MAX_REQUEST_BYTES, "1,048,576"),
        (limits::MAX_RESPONSE_BYTES, "67,108,864"),
        (limits::MAX_HANDSHAKE_BYTES, "65,536"),
        (limits::RING_EVENTS, "4,096"),
        (limits::SUBSCRIBER_QUEUE_FRAMES, "1,024"),
    ] {
        assert_eq!(shown.replace(',', ""), number.to_string());
        assert!(DOCUMENT.contains(shown), "{shown} is not in the document");
    }
    assert!(DOCUMENT.contains(&format!("{} requests of a connection", limits::MAX_UNANSWERED)));
    assert!(DOCUMENT.contains(&format!("records of {} bytes", gob_protocol::logindex::RECORD_BYTES)));
}

#[test]
fn every_error_code_has_a_section_in_troubleshooting_and_no_other_has() {
    let document = include_str!("../../docs/TROUBLESHOOTING.md");
    let sections: Vec<&str> = document.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(sections, codes);
}

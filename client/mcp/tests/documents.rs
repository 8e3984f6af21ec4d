//! Checks that `docs/AGENTS.md` has every tool with its arguments, and settings that start the server.
#![allow(missing_docs, reason = "a test has no interface")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use gob_mcp::described;
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../../docs/AGENTS.md");

#[test]
fn the_table_of_tools_is_that_of_the_server() {
    let rows: Vec<&str> = DOCUMENT
        .lines()
        .skip_while(|line| *line != "| tool | arguments | |")
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    let want: Vec<String> = described()
        .map(|tool| {
            let arguments: Vec<String> = tool.arguments.iter().map(|name| format!("`{name}`")).collect();
            let first = tool.about.split(". ").next().unwrap_or_default();
            let first = first.split(": ").next().unwrap_or_default().trim_end_matches('.');
            format!("| `{}` | {} | {first} |", tool.name, arguments.join(", "))
        })
        .collect();
    assert_eq!(rows, want);
}

#[test]
fn every_setting_is_json_that_starts_the_server() {
    let mut count = 0;
    for block in DOCUMENT.split("```json mcp\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let settings: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let (_, servers) = settings.as_object().unwrap().iter().next().unwrap();
        assert_eq!(
            (&servers["gob"]["command"], &servers["gob"]["args"][0]),
            (&"gobctl".into(), &"mcp".into())
        );
        count += 1;
    }
    assert_eq!(count, 4, "Claude Code, Cursor, VS Code, Zed");
}

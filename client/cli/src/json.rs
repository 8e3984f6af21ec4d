//! JSON for people and programs.

use crate::text::is_unsafe;
use serde_json::Value;
use serde_json::value::RawValue;
use std::io::IsTerminal;

/// A document with its newline: as it came for programs, spread over lines and safe to look at on a terminal.
pub(crate) fn shown(data: &RawValue, as_it_came: bool) -> String {
    if as_it_came || !std::io::stdout().is_terminal() {
        return format!("{}\n", data.get());
    }
    let pretty = serde_json::from_str::<Value>(data.get())
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| data.get().to_owned());
    format!("{}\n", escape(&pretty))
}

/// JSON may hold some of the characters that a terminal acts upon; all of them can be written as `\u001b`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_unsafe(c) {
            out.push_str(&format!("\\u{:04x}", c as u32));
        } else {
            out.push(c);
        }
    }
    out
}

//! JSON for people and programs.

use crate::text::is_unsafe;
use serde_json::value::RawValue;
use std::io::IsTerminal;

/// Returns a document with its newline: as it came for programs, spread over lines and safe for a terminal
/// otherwise.
pub(crate) fn shown(data: &RawValue, as_it_came: bool) -> String {
    if as_it_came || !std::io::stdout().is_terminal() {
        return format!("{}\n", data.get());
    }
    format!("{}\n", escape(&spread(data.get())))
}

/// Spreads compact JSON over several lines, its keys in their order.
fn spread(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        if quoted {
            out.push(c);
            (quoted, escaped) = (escaped || c != '"', c == '\\' && !escaped);
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                if let Some(end) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = usize::saturating_sub(depth, 1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => {
                quoted = c == '"';
                out.push(c);
            }
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Escapes characters of JSON that a terminal acts upon as `\u001b`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_spread_in_the_order_in_which_it_came() {
        let want =
            "{\n  \"b\": 1,\n  \"a\": [\n    true,\n    \"x,{\\\"y\\\\\"\n  ],\n  \"e\": {},\n  \"l\": []\n}";
        assert_eq!(spread(r#"{"b":1,"a":[true,"x,{\"y\\"], "e":{ },"l":[]}"#), want);
        for text in ["null", "7", "\"a\"", "{}", "[[1],[2,{\"a\":null}]]"] {
            let same: serde_json::Value = serde_json::from_str(&spread(text)).unwrap();
            assert_eq!(same, serde_json::from_str::<serde_json::Value>(text).unwrap());
        }
    }
}

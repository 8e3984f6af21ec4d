//! The lock file by which such a program says that it holds a graph: `{"repo","pid","lock-id","owner-source"}`.

use crate::Owner;
use serde_json::{Map, Value};

/// A lock file that is longer than this is none.
pub const MAX_LOCK_BYTES: u64 = 64 * 1024;

/// What a lock file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Who holds it.
    pub pid: i32,
    /// What tells it from the locks of other lives.
    pub id: Option<String>,
    /// The graph, as the holder calls it.
    pub repo: Option<String>,
    /// Who had the holder started; `unknown` where it does not say so in a word that is an owner.
    pub owner: Owner,
}

/// Reads a lock file. Fields that nobody knows are passed over.
///
/// # Errors
/// Why it says nothing, in words: it is cut off, no JSON object, or has no process id. Whoever writes it may not be done.
pub fn read_lock(bytes: &[u8]) -> Result<Lock, String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("it is empty".to_owned());
    }
    let value: Value = serde_json::from_slice(bytes).map_err(|e| format!("it is not JSON: {e}"))?;
    let Value::Object(fields) = value else { return Err("it is not a JSON object".to_owned()) };
    let pid = fields.get("pid").ok_or("it has no pid")?;
    let pid = pid.as_i64().and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0);
    let pid = pid.ok_or("its pid is not a process id")?;
    let owner = text(&fields, "owner-source").and_then(|word| Owner::new(&word).ok());
    Ok(Lock {
        pid,
        id: text(&fields, "lock-id"),
        repo: text(&fields, "repo"),
        owner: owner.unwrap_or_else(Owner::unknown),
    })
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(text: &str) -> String {
        read_lock(text.as_bytes()).unwrap().owner.to_string()
    }

    #[test]
    fn a_whole_one() {
        let text = r#"{"repo":"logseq_db_a","pid":4242,"lock-id":"x-1","owner-source":"electron"}"#;
        let owner = Owner::new("electron").unwrap();
        let lock = Lock { pid: 4242, id: Some("x-1".into()), repo: Some("logseq_db_a".into()), owner };
        assert_eq!(read_lock(text.as_bytes()), Ok(lock.clone()));
        let padded = format!("\n {} \n", text.replace('{', "{\"revision\":{\"a\":[1]},"));
        assert_eq!(read_lock(padded.as_bytes()), Ok(lock), "what nobody knows is passed over");
    }

    #[test]
    fn owners_of_older_ones_are_unknown() {
        for text in [
            r#"{"pid":1}"#,
            r#"{"pid":1,"owner-source":null}"#,
            r#"{"pid":1,"owner-source":7}"#,
            r#"{"pid":1,"owner-source":""}"#,
            r#"{"pid":1,"owner-source":"The Desktop"}"#,
            r#"{"pid":1,"owner-source":"unknown"}"#,
        ] {
            assert_eq!(owner(text), "unknown", "{text}");
        }
        assert_eq!(owner(r#"{"pid":1,"owner-source":"cli"}"#), "cli");
    }

    #[test]
    fn what_says_nothing() {
        for text in [
            "",
            "\n",
            "{",
            r#"{"repo":"a","pid":42"#,
            "[1]",
            "42",
            "null",
            "\0\0\0\0",
            "{}",
            r#"{"pid":null}"#,
            r#"{"pid":"42"}"#,
            r#"{"pid":0}"#,
            r#"{"pid":-1}"#,
            r#"{"pid":4.2}"#,
            r#"{"pid":2147483648}"#,
            r#"{"pid":1e400}"#,
        ] {
            assert!(read_lock(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read_lock(b"{\"pid\":1,\"repo\":\"\xff\"}").is_err());
        let bomb = "[".repeat(60_000);
        assert!(read_lock(bomb.as_bytes()).is_err());
    }
}

//! The lock file of such a program, by which it holds a graph: `{"repo","pid","lock-id","owner-source"}`.

use gob_protocol::Owner;
use serde_json::{Map, Value};

/// Largest lock file; a longer file is none.
pub const MAX_LOCK_BYTES: u64 = 64 * 1024;

/// The contents of a lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The holder's process id.
    pub pid: i32,
    /// An id that tells this lock from those of other lives.
    pub id: Option<String>,
    /// The graph, by the holder's name for it.
    pub repo: Option<String>,
    /// The owner that had the holder started; `unknown` where the file has no word that is an owner.
    pub owner: Owner,
}

/// Parses a lock file. Unknown fields are ignored.
///
/// # Errors
/// The reason in words: cut off, not a JSON object, or without a process id. The writer may not be done yet.
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
    fn a_whole_lock_file_is_read() {
        let text = r#"{"repo":"logseq_db_a","pid":4242,"lock-id":"x-1","owner-source":"electron"}"#;
        let owner = Owner::new("electron").unwrap();
        let lock = Lock { pid: 4242, id: Some("x-1".into()), repo: Some("logseq_db_a".into()), owner };
        assert_eq!(read_lock(text.as_bytes()), Ok(lock.clone()));
        let padded = format!("\n {} \n", text.replace('{', "{\"revision\":{\"a\":[1]},"));
        assert_eq!(read_lock(padded.as_bytes()), Ok(lock), "what nobody knows is passed over");
    }

    #[test]
    fn a_lock_file_without_an_owner_gives_unknown() {
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
    fn a_broken_lock_file_says_nothing() {
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

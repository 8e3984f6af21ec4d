//! The environment that a start carries to its worker.

use crate::context::Context;
use crate::out;
use gob_client::protocol::Env;
use gob_client::protocol::limits::MAX_REQUEST_BYTES;

/// Bytes that a request may hold beside the environment.
pub(crate) const REST_BYTES: usize = 64 << 10;

/// The default of `--owner`: handed down, it would lend a worker its owner's name.
const OWNER: &str = "GOB_OWNER";

/// Returns this process's environment, as far as a request takes it. The wire is UTF-8: other variables are
/// left out with a note, and so are variables that are too large.
pub(crate) fn environment(context: &Context) -> Env {
    environment_beside(context, 0)
}

/// As [`environment`], in a request with `more` bytes of other long fields.
pub(crate) fn environment_beside(context: &Context, more: usize) -> Env {
    let mut all = Vec::new();
    for (name, value) in std::env::vars_os().filter(|(name, _)| name != OWNER) {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => all.push((name, value)),
            (Ok(name), Err(_)) => {
                context.note(&format!("warning: the value of {name} is not UTF-8; it is not handed on"))
            }
            (Err(name), _) => {
                let name = name.to_string_lossy();
                context.note(&format!("warning: the variable {name} is not UTF-8; it is not handed on"));
            }
        }
    }
    let (kept, left_out) = fitting(all, (MAX_REQUEST_BYTES - REST_BYTES).saturating_sub(more));
    for (name, bytes) in left_out {
        // Also of a quiet program: what runs without it may fail for that alone.
        out::note(&format!(
            "warning: the environment is too large for a request; {name} ({bytes} bytes) is not handed on"
        ));
    }
    kept.into_iter().collect()
}

type Variable = (String, String);

/// Returns the variables that fit into `room` bytes on the wire, and the largest ones, which are left out.
fn fitting(mut all: Vec<Variable>, room: usize) -> (Vec<Variable>, Vec<(String, usize)>) {
    let size = |(name, value): &Variable| {
        let quoted = |text: &str| serde_json::to_string(text).map_or(text.len(), |text| text.len());
        quoted(name) + quoted(value) + 2
    };
    all.sort_by_key(size);
    let mut used: usize = all.iter().map(size).sum();
    let mut left_out = Vec::new();
    while used > room {
        let Some(largest) = all.pop() else { break };
        used -= size(&largest);
        left_out.push((largest.0, largest.1.len()));
    }
    (all, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_variables_are_left_out_until_the_others_fit() {
        let variable = |name: &str, len: usize| (name.to_owned(), "\n".repeat(len));
        let all = vec![variable("BIG", 50), variable("PATH", 10), variable("HUGE", 90), variable("A", 1)];
        let (kept, left_out) = fitting(all.clone(), 60);
        assert_eq!(kept.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["A", "PATH"]);
        assert_eq!(left_out, [("HUGE".to_owned(), 90), ("BIG".to_owned(), 50)]);
        assert_eq!(fitting(all, 1000).1, []);
    }
}

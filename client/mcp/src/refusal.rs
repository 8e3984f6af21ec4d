//! Errors in words: a code, what happened, whose worker it is, and the tool to call next. Pure.
//!
//! An agent may have no shell, so that no hint names a command; and no hint tells how to speak as another owner.

use gob_client::Error;
use gob_client::protocol::{ErrorCode, WireError};
use gob_client::screen::text::escape;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};

/// Greatest length of a text from elsewhere, in bytes.
const MAX_TEXT: usize = 2_048;

/// The reason why a tool did not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    code: String,
    message: String,
    cause: Option<String>,
    owner: Option<String>,
    hint: String,
}

impl Refusal {
    /// Returns a refusal with the hint what to call next.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let (code, message, hint) = (code.to_owned(), message.into(), hint.into());
        Self { code, message, cause: None, owner: None, hint }
    }

    /// Returns the refusal of an argument.
    #[must_use]
    pub fn argument(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest.as_str(), message, hint)
    }

    /// Adds the cause.
    #[must_use]
    pub fn cause(mut self, cause: Option<String>) -> Self {
        self.cause = cause;
        self
    }

    /// Replaces the hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Returns its code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Returns it as an agent reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.code, escape(&self.message));
        for line in self.cause.iter().flat_map(|cause| cause.lines()) {
            text.push_str(&format!("  {}\n", escape(line)));
        }
        if let Some(owner) = &self.owner {
            text.push_str(&format!("owner: {}\n", escape(owner)));
        }
        text.push_str(&format!("hint: {}", escape(&self.hint)));
        text
    }

    /// Returns it as the result of a tool.
    pub(crate) fn into_result(self) -> CallToolResult {
        let mut error = json!({"code": self.code, "message": self.message, "hint": self.hint});
        if let (Some(owner), Some(fields)) = (&self.owner, error.as_object_mut()) {
            fields.insert("owner".to_owned(), owner.as_str().into());
        }
        let mut result = CallToolResult::error(vec![ContentBlock::text(self.text())]);
        result.structured_content = Some(json!({"error": error}));
        result
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        if let Error::Refused(error) = error {
            return Self::from(error);
        }
        let refusal = Self::new(error.code(), error.to_string(), unreached(&error));
        refusal.cause(error.cause())
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        let detail = |key: &str| error.details.as_ref().and_then(|details| details.get(key));
        let text = |key: &str| detail(key).and_then(Value::as_str).map(str::to_owned);
        let untouched = detail("pid").filter(|_| error.code == ErrorCode::ServerOwnedByOther);
        let cause = untouched.map(|pid| format!("its worker (pid {pid}) was not touched"));
        let lines = detail("last_lines").and_then(Value::as_array).map(|lines| {
            lines.iter().filter_map(Value::as_str).map(|line| shortened(line, 400)).collect::<Vec<_>>()
        });
        let field = text("field").filter(|field| !field.is_empty());
        let field = field.map(|field| format!("in {}", field.strip_prefix("payload.").unwrap_or(&field)));
        let lines = lines.filter(|lines| !lines.is_empty()).map(|lines| lines.join("\n"));
        Self {
            code: error.code.as_str().to_owned(),
            message: shortened(&error.message, MAX_TEXT),
            cause: cause.or(lines).or(field),
            owner: text("owner"),
            hint: hint(&error),
        }
    }
}

/// Cuts a text at a character.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Returns what to do about a refusal. The supervisor's own hint comes first, where it is no command of a shell.
fn hint(error: &WireError) -> String {
    let own = next(error.code);
    let is_of_shell = |hint: &str| {
        let has_flag = hint.split_whitespace().any(|word| word.starts_with("--"));
        has_flag || hint.contains("gobctl ") || hint.contains("{\"")
    };
    let told = error.hint.as_deref().filter(|hint| !is_of_shell(hint));
    told.map_or_else(|| own.to_owned(), |told| format!("{}; {own}", shortened(told, MAX_TEXT)))
}

/// Returns the tool to call after a refusal with this code.
const fn next(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidRequest | ErrorCode::InvalidName | ErrorCode::InvalidOwner => {
            "correct the argument and call the tool again; call list for the names that exist"
        }
        ErrorCode::UnknownRequest | ErrorCode::VersionMismatch => {
            "the supervisor is of another version than this server: call status for its version, and ask the user to restart it"
        }
        ErrorCode::FrameTooLong => {
            "put what is long into a file, and call add or run with the path of the file"
        }
        ErrorCode::PermissionDenied => {
            "it runs as another user, which only the user can change; call status to see it"
        }
        ErrorCode::Busy => "call the tool again in some seconds; call status for what is under way",
        ErrorCode::ShuttingDown => "the supervisor is leaving: call list again in some seconds",
        ErrorCode::ServerNotFound => "call list for the names that exist",
        ErrorCode::JobNotFound => "call queue_list for the ids that exist",
        ErrorCode::ServerNotRunning => "it does not run: call start to start it, or queue_list for its job",
        ErrorCode::ServerRunning => "it runs: call stop first, or use it as it is (call status)",
        ErrorCode::ServerOwnedByOther => {
            "you can use it without owning it: call status for its endpoint and logs for its output; for one of your own, call add \
             with another name"
        }
        ErrorCode::ServerLockedByExternal => {
            "call who for the process that holds the graph; only its owner can end it"
        }
        ErrorCode::ServerStartFailed | ErrorCode::HandshakeInvalid => {
            "call logs for its output, mend the cause, and call start or add again"
        }
        ErrorCode::ServerStartTimeout => "it may still become ready: call status, and logs for its output",
        ErrorCode::ServerStartTimeoutOrphan => {
            "call who for the processes that are left of it, and call start again when they have gone"
        }
        ErrorCode::ServerStopTimeout => {
            "call status for what is left; stop with force ends it without a grace"
        }
        ErrorCode::GraphConflict => {
            "call list for the worker that has the name, the command or the graph: use that one, or choose another name"
        }
        ErrorCode::GraphGone => {
            "its data is missing, and only the user can bring it back: call start with another graph meanwhile"
        }
        ErrorCode::KindNotFound => {
            "the configuration has no such kind: call start without kind, or ask the user to add it"
        }
        ErrorCode::ConfigInvalid => {
            "ask the user to correct the configuration; call status for its files and their problems"
        }
        ErrorCode::Blocked => {
            "the project forbids this command: do not run it in another way; call list for what runs already"
        }
        ErrorCode::LogUnavailable => {
            "call status for the worker's runs; call logs without run for the latest one"
        }
        ErrorCode::UpgradeFailed | ErrorCode::Internal | ErrorCode::Unrecognised => {
            "call status for the state of the supervisor, and tell the user what happened"
        }
        ErrorCode::LockTimeout | ErrorCode::LockNotHeld | ErrorCode::LockDeadlock => {
            "call lock_status for the holder and those that wait"
        }
        ErrorCode::JobNotClaimed => "call queue_list for what became of the job",
    }
}

/// Returns the tool to call where the supervisor was not reached, or did not answer.
const fn unreached(error: &Error) -> &'static str {
    match error {
        Error::Nobody { .. } => {
            "no supervisor runs, and this server may not start one: ask the user to start gob, then call list"
        }
        Error::Lost { .. } => {
            "the supervisor went away, and whether it did this is not known: call list before you call the tool again"
        }
        Error::Timeout { .. } | Error::Stalled { .. } | Error::Silent { .. } => {
            "the supervisor does not answer in time: call status in some seconds before you call the tool again"
        }
        Error::Io { .. } | Error::Answer { .. } | Error::Refused(_) => {
            "call status; if that fails too, tell the user"
        }
        Error::Dirs(_)
        | Error::Connect { .. }
        | Error::Peer { .. }
        | Error::Foreign { .. }
        | Error::Impostor { .. }
        | Error::NoKeeper { .. }
        | Error::Start { .. }
        | Error::StartFailed { .. }
        | Error::Ssh(_) => "gob can't be reached or started, which only the user can mend; then call list",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_a_tool(hint: &str) -> bool {
        let words: Vec<&str> = hint.split(|c: char| !c.is_ascii_lowercase() && c != '_').collect();
        crate::tools::described().any(|tool| words.contains(&tool.name))
    }

    #[test]
    fn every_code_has_a_tool_to_call_and_no_command() {
        for code in ErrorCode::ALL.iter().copied().chain([ErrorCode::Unrecognised]) {
            let hint = next(code);
            assert!(names_a_tool(hint), "{code}: {hint}");
            assert!(!hint.contains("gobctl") && !hint.contains("--"), "{code}: {hint}");
        }
    }

    #[test]
    fn a_refusal_has_its_code_its_owner_and_a_hint() {
        let wire = WireError::new(ErrorCode::ServerOwnedByOther, "demo is owned by cli, you are agent")
            .hint("ask its owner (gobctl, pid 4240) to stop it or to hand it over")
            .details(json!({"owner": "cli", "requester": "agent", "worker": "demo", "pid": 4242}));
        let text = Refusal::from(wire).text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.first(), Some(&"server-owned-by-other: demo is owned by cli, you are agent"));
        assert_eq!(lines.get(1), Some(&"  its worker (pid 4242) was not touched"));
        assert_eq!(lines.get(2), Some(&"owner: cli"));
        let hint = lines.get(3).copied().unwrap_or_default();
        assert!(
            hint.starts_with(
                "hint: ask its owner (gobctl, pid 4240) to stop it or to hand it over; you can use it"
            ),
            "{hint}"
        );
    }

    #[test]
    fn a_hint_for_a_shell_is_left_out() {
        let wire = WireError::new(ErrorCode::KindNotFound, "no kind x").hint("gobctl config check says why");
        let text = Refusal::from(wire).text();
        assert!(!text.contains("gobctl") && text.contains("call start without kind"), "{text}");
        let wire = WireError::new(ErrorCode::GraphConflict, "demo is the worker of a graph already")
            .hint("choose another name with --name, or none for the next number");
        let text = Refusal::from(wire).text();
        assert!(text.contains("\nhint: call list for the worker") && !text.contains("--"), "{text}");
        let nobody = Refusal::from(Error::Nobody { socket: "/s".into() });
        assert!(names_a_tool(&nobody.hint) && !nobody.hint.contains("gobctl"), "{nobody:?}");
    }

    #[test]
    fn texts_are_cut_at_a_character_and_control_bytes_are_shown() {
        assert_eq!(shortened("äö", 3), "ä…");
        assert!(Refusal::new("x", "a\u{1b}[31m", "call list").text().contains("a\\x1b[31m"));
    }
}

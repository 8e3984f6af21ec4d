//! All early ends of a verb, and how they are printed (CLI, Conventions): `error:`, its cause, `hint:`; an
//! exit code.

use crate::config_file::place;
use crate::out;
use crate::style::{BAD, FAINT, paint};
use crate::text::escape;
use gob_client::protocol::{ErrorCode, WireError};
use gob_client::{Error, Name};
use gob_config::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

/// The remedy where neither a process nor a thread can be made.
pub(crate) const FEWER_PROCESSES: &str =
    "end some processes of this user, or raise the limit on them: ulimit -u";

/// The reason why a verb ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the supervisor, the worker, or the connection.
    Client(Error),
    /// An error of gobctl's own.
    Own {
        /// A word for programs.
        code: &'static str,
        /// The exit code.
        exit: u8,
        /// The problem.
        message: String,
        /// The cause.
        cause: Option<String>,
        /// The remedy.
        hint: Option<String>,
    },
    /// The requested help text.
    Help(String),
    /// The reader of the output is gone.
    Closed,
}

/// The way in which failures are printed on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Telling {
    /// As JSON.
    pub(crate) json: bool,
    /// In colour.
    pub(crate) color: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl Failure {
    /// Returns a failure of gobctl's own.
    pub(crate) const fn own(code: &'static str, exit: u8, message: String) -> Self {
        Self::Own { code, exit, message, cause: None, hint: None }
    }

    /// Returns a failure for a command line that can't be understood.
    pub(crate) const fn usage(message: String) -> Self {
        Self::own("usage", 2, message)
    }

    /// Returns the failure for a thread that could not be made, and its task.
    pub(crate) fn no_thread(exit: u8, what: &str, error: &std::io::Error) -> Self {
        Self::own("no-thread", exit, format!("cannot make the thread by which {what}"))
            .cause(error.to_string())
            .hint(FEWER_PROCESSES)
    }

    /// Adds the cause; only failures of gobctl's own take one.
    pub(crate) fn cause(mut self, text: impl Into<String>) -> Self {
        if let Self::Own { cause, .. } = &mut self {
            *cause = Some(text.into());
        }
        self
    }

    /// Adds a hint; only failures of gobctl's own take one.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Own { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// Prints the failure and returns the exit code.
    pub(crate) fn report(&self, telling: Telling) -> u8 {
        self.report_of(telling, None)
    }

    /// As [`Failure::report`], for a request about one worker.
    pub(crate) fn report_of(&self, telling: Telling, worker: Option<&Name>) -> u8 {
        match self {
            Self::Closed => return 0,
            Self::Help(text) => {
                return out::print(text).map_or_else(|failure| failure.report(telling), |()| 0);
            }
            Self::Client(_) | Self::Own { .. } => {}
        }
        if telling.json {
            out::error_text(&format!("{}\n", json!({"error": self.error_json(worker)})));
        } else {
            out::error_text(&self.to_text(telling.color, out::fitting));
        }
        self.exit_code()
    }

    /// Returns the exit code.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Client(error) => crate::exit::of(error),
            Self::Own { exit, .. } => *exit,
            Self::Help(_) | Self::Closed => 0,
        }
    }

    /// Returns the word for programs.
    pub(crate) fn code(&self) -> &'static str {
        self.parts().0
    }

    /// Returns message, cause and hint, a line each, as a screen shows them.
    pub(crate) fn in_words(&self) -> String {
        let (_, message, cause, hint) = self.parts();
        [Some(message), cause, hint].into_iter().flatten().collect::<Vec<_>>().join("\n")
    }

    /// Returns the wire's code, for a refused request.
    pub(crate) const fn wire_code(&self) -> Option<ErrorCode> {
        match self {
            Self::Client(Error::Refused(error)) => Some(error.code),
            Self::Client(_) | Self::Own { .. } | Self::Help(_) | Self::Closed => None,
        }
    }

    /// Returns the error in the wire's form; `details.worker` is the worker that it is about.
    pub(crate) fn error_json(&self, worker: Option<&Name>) -> Value {
        let mut error = match self {
            // The wire's own form, so that socket and shell have one schema.
            Self::Client(Error::Refused(error)) => serde_json::to_value(error).unwrap_or_default(),
            Self::Client(_) | Self::Own { .. } | Self::Help(_) | Self::Closed => {
                let (code, message, cause, hint) = self.parts();
                let mut error = json!({"code": code, "message": message});
                if let (Some(hint), Some(fields)) = (hint, error.as_object_mut()) {
                    fields.insert("hint".to_owned(), hint.into());
                }
                if let (Some(cause), Some(fields)) = (cause, error.as_object_mut()) {
                    fields.insert("details".to_owned(), json!({"cause": cause}));
                }
                error
            }
        };
        if let (Some(worker), Some(fields)) = (worker, error.as_object_mut()) {
            let details = fields.entry("details").or_insert_with(|| json!({}));
            // A job of the queue is none, and named already.
            if let Some(details) = details.as_object_mut().filter(|details| !details.contains_key("job")) {
                details.entry("worker").or_insert_with(|| worker.as_str().into());
            }
        }
        error
    }

    /// Hints are not folded: they hold text to copy.
    fn to_text(&self, color: bool, fitting: impl Fn(&str) -> String) -> String {
        let (_, message, cause, hint) = self.parts();
        let message = format!("{} {}", paint("error:", BAD, color), escape(&message));
        let mut text = fitting(&message) + "\n";
        for line in cause.iter().flat_map(|cause| cause.lines()) {
            text.push_str(&fitting(&format!("  {}", escape(line))));
            text.push('\n');
        }
        if let Some(hint) = hint {
            text.push_str(&format!("{}\n", paint(&format!("hint: {}", escape(&hint)), FAINT, color)));
        }
        text
    }

    fn parts(&self) -> (&'static str, String, Option<String>, Option<String>) {
        match self {
            Self::Client(error) => {
                let of_wire = if let Error::Refused(error) = error { wire_cause(error) } else { None };
                (error.code(), error.to_string(), error.cause().or(of_wire), error.hint())
            }
            Self::Own { code, message, cause, hint, .. } => {
                (code, message.clone(), cause.clone(), hint.clone())
            }
            Self::Help(_) | Self::Closed => ("", String::new(), None, None),
        }
    }
}

/// Returns the part of a refusal's details that people need beside the message.
fn wire_cause(error: &WireError) -> Option<String> {
    let details = error.details.as_ref()?;
    if let Some(problems) = details.get("errors").and_then(Value::as_array).filter(|all| !all.is_empty()) {
        let first = details.get("path").and_then(Value::as_str).unwrap_or("config.toml");
        let known = problems.iter().filter_map(|problem| {
            let path = problem.get("path").and_then(Value::as_str).unwrap_or(first);
            Some((path.to_owned(), Problem::deserialize(problem).ok()?))
        });
        // A single problem may be in the message already.
        let is_told = |problem: &Problem| problems.len() == 1 && error.message.contains(&problem.message);
        let lines: Vec<String> =
            known.filter(|(_, problem)| !is_told(problem)).map(|known| place(&known)).collect();
        return (!lines.is_empty()).then(|| lines.join("\n"));
    }
    let field = details.get("field").and_then(Value::as_str).filter(|field| !field.is_empty())?;
    // The user typed an argument, not a payload.
    Some(format!("in {}", field.strip_prefix("payload.").unwrap_or(field)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_as_the_contract_shows_it() {
        let wire = WireError::new(ErrorCode::ServerOwnedByOther, "demo is owned by cli, you are desktop")
            .hint("ask its owner")
            .details(json!({"worker": "demo", "owner": "cli", "requester": "desktop", "pid": 4242}));
        let failure = Failure::Client(Error::Refused(wire));
        let want = "error: demo is owned by cli, you are desktop\n  its worker (pid 4242) was not touched\nhint: ask its owner\n";
        assert_eq!(failure.to_text(false, str::to_owned), want);
        assert_eq!(failure.exit_code(), 5);
        assert_eq!(failure.error_json(None)["details"]["owner"], "cli");
    }

    #[test]
    fn a_whole_refusal_lists_its_workers() {
        let workers = json!([{"worker": "a", "owner": "cli"}, {"worker": "b", "owner": "agent"}]);
        let wire = WireError::new(ErrorCode::ServerOwnedByOther, "2 belong to others")
            .details(json!({"worker": "a", "pid": 1, "workers": workers}));
        let want =
            "error: 2 belong to others\n  a is owned by cli\n  b is owned by agent\n  nothing was touched\n";
        assert_eq!(Failure::Client(Error::Refused(wire)).to_text(false, str::to_owned), want);
    }

    #[test]
    fn a_field_is_named_as_it_was_typed() {
        let wire =
            WireError::new(ErrorCode::InvalidRequest, "no").details(json!({"field": "payload.signal"}));
        assert_eq!(
            Failure::Client(Error::Refused(wire)).to_text(false, str::to_owned),
            "error: no\n  in signal\n"
        );
    }

    #[test]
    fn a_cause_does_not_repeat_the_message() {
        let of = |message: &str| {
            let problem =
                json!({"line": 0, "column": 0, "key": "", "message": "others may write it (mode 0666)"});
            let wire = WireError::new(ErrorCode::ConfigInvalid, message);
            let wire = wire.details(json!({"path": "/c.toml", "errors": [problem]}));
            Failure::Client(Error::Refused(wire)).to_text(false, str::to_owned)
        };
        let whole = "/c.toml can't be used: others may write it (mode 0666)";
        assert_eq!(of(whole), format!("error: {whole}\n"));
        let want = "error: it cannot be used\n  /c.toml: others may write it (mode 0666)\n";
        assert_eq!(of("it cannot be used"), want);
    }

    #[test]
    fn no_control_byte_gets_out() {
        let details = json!({"last_lines": ["\u{1b}[31mred", "two"]});
        let wire = WireError::new(ErrorCode::ServerStartFailed, "bad\u{7}").details(details);
        let text = Failure::Client(Error::Refused(wire)).to_text(false, str::to_owned);
        assert_eq!(text, "error: bad\\x07\n  \\x1b[31mred\n  two\n");
    }

    #[test]
    fn the_word_error_and_the_hint_are_coloured() {
        let text = Failure::usage("no".to_owned()).cause("why").hint("do").to_text(true, str::to_owned);
        assert_eq!(text, "\u{1b}[31merror:\u{1b}[0m no\n  why\n\u{1b}[2mhint: do\u{1b}[0m\n");
    }

    #[test]
    fn own_failures_as_json() {
        let failure = Failure::usage("no".to_owned()).cause("why").hint("do");
        let want = json!({"code": "usage", "message": "no", "hint": "do", "details": {"cause": "why"}});
        assert_eq!(failure.error_json(None), want);
        let name = Name::any("demo").unwrap();
        let details = |failure: &Failure| failure.error_json(Some(&name))["details"].clone();
        assert_eq!(details(&failure), json!({"cause": "why", "worker": "demo"}));
        assert_eq!(details(&Failure::usage("no".to_owned())), json!({"worker": "demo"}));
        let wire = WireError::new(ErrorCode::ServerOwnedByOther, "no").details(json!({"worker": "other"}));
        assert_eq!(details(&Failure::Client(Error::Refused(wire))), json!({"worker": "other"}), "as it came");
    }
}

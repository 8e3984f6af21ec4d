//! The words about runs that get no process: from the step that failed and its errno to text and hint.

use crate::failure::{ExecFlaw, ForkStep, Silent, SpawnFailure, SpawnStep};
use alloc::format;
use alloc::string::String;
use core::fmt;
use gob_config::kind::Kind;
use gob_protocol::{ErrorCode, Name, WireError};
use serde_json::json;

/// The run could not get a process.
pub(crate) fn spawn_failed(name: &Name, kind: &Kind, failure: &SpawnFailure) -> WireError {
    let message = format!("{name} could not be started: {failure}");
    let (exit, step) = (failure.exit(), failure.step.told());
    let details = json!({"exit": exit, "errno": failure.errno.name, "step": step, "last_lines": []});
    if let SpawnStep::Disk(silent) = &failure.step
        && silent.elsewhere > 0
    {
        return all_hang(message);
    }
    let error = WireError::new(ErrorCode::ServerStartFailed, message).details(details);
    match hint(failure, kind) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Operations hang on so many disks that no other one is begun.
pub(crate) fn all_hang(message: String) -> WireError {
    WireError::new(ErrorCode::Busy, message)
        .hint("unmount what does not answer: gobctl daemon logs names the places")
        .details(json!({"limit": "disks"}))
}

/// Returns the next step for a person, where there is one.
fn hint(SpawnFailure { step, errno }: &SpawnFailure, kind: &Kind) -> Option<String> {
    match (step, errno.name.as_str()) {
        (SpawnStep::Exec { program, flaw: Some(ExecFlaw::Interpreter { .. }) }, _) => {
            let program = as_named(kind, program);
            Some(format!("correct the first line of {program}, or install what it names"))
        }
        // There is such a file, so that nothing is missing.
        (SpawnStep::Exec { program, .. }, "EACCES") => {
            let program = as_named(kind, program);
            Some(format!("make {program} executable, or correct the command"))
        }
        (SpawnStep::FindProgram(Some(program)) | SpawnStep::Exec { program, .. }, "ENOENT" | "EACCES") => {
            Some(install(as_named(kind, program), kind))
        }
        (SpawnStep::Port(Some(port)), "EADDRINUSE") => {
            Some(format!("see who listens there: ss -ltnp 'sport = :{port}'"))
        }
        (SpawnStep::Fork { .. } | SpawnStep::Exec { .. }, "EAGAIN") => Some(
            "end some processes of this user, or raise the limit on them: ulimit -u, or pids.max of the control group"
                .into(),
        ),
        _ => None,
    }
}

/// The way to a missing program.
fn install(program: &str, kind: &Kind) -> String {
    // gob's own: no file speaks of it.
    if program.starts_with("gob-") {
        return format!(
            "install {program} beside gobd, or name its directory in GOB_LIBEXEC; gobctl doctor says where it is looked for"
        );
    }
    // A job's command is its own.
    if kind.command.is_empty() {
        return format!("install {program}, or correct the command or the PATH with which the job is added");
    }
    format!(
        "install {program}, or correct the command of its kind: gobctl config check says which programs are missing"
    )
}

/// A program as its kind names it, where that is the end of its path.
fn as_named<'a>(kind: &'a Kind, program: &'a str) -> &'a str {
    kind.command.first().filter(|named| program.ends_with(named.as_str())).map_or(program, String::as_str)
}

impl fmt::Display for SpawnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = &self.errno.text;
        match &self.step {
            SpawnStep::Examine(unclear) => unclear.fmt(f),
            SpawnStep::Prepare => f.write_str("preparing it failed: see gobctl daemon logs"),
            SpawnStep::Disk(silent) => silent.fmt(f),
            SpawnStep::Port(Some(port)) => write!(f, "take port {port}: {why}"),
            SpawnStep::Port(None) => write!(f, "find a free port: {why}"),
            SpawnStep::OpenLock { path } => write!(f, "open the graph's lock {path}: {why}"),
            SpawnStep::TakeLock { path } => write!(f, "take the graph's lock {path}: {why}"),
            SpawnStep::ReadRecord { path } => {
                write!(f, "read what is known of the graph beside {path}: {why}")
            }
            SpawnStep::MakeDir { path } => write!(f, "make directory {path}: {why}"),
            // The PATH itself is left out: this text is shown and logged, and nothing of an environment ever is.
            SpawnStep::FindProgram(Some(program)) => write!(f, "{program} is not on PATH"),
            SpawnStep::FindProgram(None) => write!(f, "find program: {why}"),
            SpawnStep::Arguments => f.write_str("an argument holds a NUL byte"),
            SpawnStep::Chdir { path } => write!(f, "chdir {path}: {why}"),
            SpawnStep::Pipe => write!(f, "make pipe: {why}"),
            SpawnStep::Pattern(flaw) => f.write_str(flaw),
            SpawnStep::LimitName => f.write_str("a resource limit has a name that is none"),
            SpawnStep::Fork { step, program } => write!(f, "{step} {program}: {why}"),
            SpawnStep::Exec { program, flaw: None } => write!(f, "exec {program}: {why}"),
            SpawnStep::Exec { program, flaw: Some(ExecFlaw::Format) } => write!(
                f,
                "exec {program}: it is neither a program of this machine nor a script with #! (Exec format error)"
            ),
            SpawnStep::Exec { program, flaw: Some(ExecFlaw::Interpreter { interpreter, crlf }) } => {
                let crlf = if *crlf { "; its lines end in CRLF" } else { "" };
                write!(
                    f,
                    "exec {program}: its interpreter {interpreter:?} is no program that can be executed{crlf} ({why})"
                )
            }
        }
    }
}

impl fmt::Display for ForkStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clone => "clone",
            Self::Group => "setpgid",
            Self::DeathSignal => "prctl",
            Self::Parent => "the supervisor is gone",
            Self::Stdio => "dup2",
            Self::LockNumber => "give a lock the number 63, for which the limit of open files is too low, to",
            Self::KeepLock => "fcntl",
            Self::Close => "close_range",
            Self::OpenFiles => "setrlimit",
            Self::Limit(name) => return write!(f, "set RLIMIT_{name} for"),
        })
    }
}

impl core::error::Error for Silent {}

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, place, seconds, elsewhere } = self;
        if *elsewhere > 0 {
            return write!(f, "{operation} {place}: {elsewhere} operations hang on other disks");
        }
        write!(
            f,
            "{operation} {place}: no answer for {seconds} s; its disk hangs, or what it is mounted from is gone"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Errno, Unclear};
    use alloc::boxed::Box;
    use alloc::string::ToString;
    use std::vec::Vec;

    fn exec(program: &str, flaw: Option<ExecFlaw>) -> SpawnStep {
        SpawnStep::Exec { program: program.into(), flaw }
    }

    fn interpreter(crlf: bool) -> Option<ExecFlaw> {
        Some(ExecFlaw::Interpreter { interpreter: "/no/py\r".into(), crlf })
    }

    fn fork(step: ForkStep) -> SpawnStep {
        SpawnStep::Fork { step, program: "/bin/srv".into() }
    }

    #[test]
    fn each_step_has_its_text_and_its_hint() {
        let path = || String::from("/r/srv");
        let silent = Silent { operation: "chdir", place: path(), seconds: 3, elsewhere: 0 };
        let install = "install srv, or correct the command of its kind: gobctl config check says which programs are missing";
        let closed = "make srv executable, or correct the command";
        let line = "correct the first line of srv, or install what it names";
        let many = "end some processes of this user, or raise the limit on them: ulimit -u, or pids.max of the control group";
        let rows: Vec<(SpawnStep, &str, &str, Option<&str>)> = Vec::from([
            (
                SpawnStep::Examine(Box::new(Unclear::Changes { path: path() })),
                "EBUSY",
                "the lock file /r/srv goes on changing",
                None,
            ),
            (SpawnStep::Prepare, "EIO", "preparing it failed: see gobctl daemon logs", None),
            (
                SpawnStep::Disk(silent),
                "ETIMEDOUT",
                "chdir /r/srv: no answer for 3 s; its disk hangs, or what it is mounted from is gone",
                None,
            ),
            (
                SpawnStep::Port(Some(80)),
                "EADDRINUSE",
                "take port 80: W",
                Some("see who listens there: ss -ltnp 'sport = :80'"),
            ),
            (SpawnStep::Port(Some(80)), "EACCES", "take port 80: W", None),
            (SpawnStep::Port(None), "EADDRINUSE", "find a free port: W", None),
            (SpawnStep::OpenLock { path: path() }, "ENOENT", "open the graph's lock /r/srv: W", None),
            (SpawnStep::TakeLock { path: path() }, "ESTALE", "take the graph's lock /r/srv: W", None),
            (
                SpawnStep::ReadRecord { path: path() },
                "EACCES",
                "read what is known of the graph beside /r/srv: W",
                None,
            ),
            (SpawnStep::MakeDir { path: path() }, "EACCES", "make directory /r/srv: W", None),
            (SpawnStep::FindProgram(Some("srv".into())), "ENOENT", "srv is not on PATH", Some(install)),
            (SpawnStep::FindProgram(None), "ENOENT", "find program: W", None),
            (SpawnStep::Arguments, "EINVAL", "an argument holds a NUL byte", None),
            (SpawnStep::Chdir { path: path() }, "EACCES", "chdir /r/srv: W", None),
            (SpawnStep::Pipe, "EMFILE", "make pipe: W", None),
            (SpawnStep::Pattern("no end".into()), "EINVAL", "no end", None),
            (SpawnStep::LimitName, "EINVAL", "a resource limit has a name that is none", None),
            (fork(ForkStep::Clone), "EAGAIN", "clone /bin/srv: W", Some(many)),
            (fork(ForkStep::Limit("NOFILE")), "EPERM", "set RLIMIT_NOFILE for /bin/srv: W", None),
            (fork(ForkStep::Stdio), "EACCES", "dup2 /bin/srv: W", None),
            (exec("/bin/srv", None), "ENOENT", "exec /bin/srv: W", Some(install)),
            (exec("/bin/srv", None), "EACCES", "exec /bin/srv: W", Some(closed)),
            (exec("/bin/srv", None), "EAGAIN", "exec /bin/srv: W", Some(many)),
            (exec("/bin/srv", None), "ETXTBSY", "exec /bin/srv: W", None),
            (
                exec("/bin/srv", Some(ExecFlaw::Format)),
                "ENOEXEC",
                "exec /bin/srv: it is neither a program of this machine nor a script with #! (Exec format error)",
                None,
            ),
            (
                exec("/bin/srv", interpreter(true)),
                "ENOENT",
                "exec /bin/srv: its interpreter \"/no/py\\r\" is no program that can be executed; its lines end in CRLF (W)",
                Some(line),
            ),
            (
                exec("/bin/srv", interpreter(false)),
                "EACCES",
                "exec /bin/srv: its interpreter \"/no/py\\r\" is no program that can be executed (W)",
                Some(line),
            ),
        ]);
        let kind = Kind { command: Vec::from(["srv".into()]), ..crate::tests::harness::kind() };
        for (step, errno, text, hint) in rows {
            let failure = SpawnFailure { step, errno: Errno { name: errno.into(), text: "W".into() } };
            assert_eq!(failure.to_string(), text);
            let error = spawn_failed(&Name::graph("g").unwrap(), &kind, &failure);
            assert_eq!(error.message, format!("g could not be started: {text}"));
            assert_eq!(error.hint.as_deref(), hint, "{failure:?}");
            assert_eq!(error.details.unwrap()["errno"], errno);
        }
    }

    #[test]
    fn programs_are_told_which_step_failed() {
        let path = || String::from("/r/srv");
        let silent = Silent { operation: "chdir", place: path(), seconds: 3, elsewhere: 0 };
        for (step, word) in [
            (SpawnStep::FindProgram(Some("srv".into())), "exec"),
            (exec("/bin/srv", None), "exec"),
            (exec("/bin/srv", interpreter(false)), "interpreter"),
            (exec("/bin/srv", Some(ExecFlaw::Format)), "interpreter"),
            (SpawnStep::Chdir { path: path() }, "chdir"),
            (fork(ForkStep::Clone), "fork"),
            (fork(ForkStep::Limit("NOFILE")), "fork"),
            (SpawnStep::Disk(silent), "prepare"),
            (SpawnStep::MakeDir { path: path() }, "prepare"),
            (SpawnStep::Arguments, "prepare"),
        ] {
            let failure = SpawnFailure { step, errno: Errno { name: "ENOENT".into(), text: "W".into() } };
            let error = spawn_failed(&Name::graph("g").unwrap(), &crate::tests::harness::kind(), &failure);
            let details = error.details.unwrap();
            assert_eq!(
                (&details["step"], &details["errno"], &details["exit"]),
                (&word.into(), &"ENOENT".into(), &json!({"spawn_error": "ENOENT", "step": word})),
                "{failure:?}"
            );
        }
    }

    #[test]
    fn a_start_without_a_thread_for_its_disk_is_busy() {
        let silent = Silent { operation: "wait for", place: "/r/srv".into(), seconds: 0, elsewhere: 64 };
        let errno = Errno { name: "ETIMEDOUT".into(), text: "W".into() };
        let failure = SpawnFailure { step: SpawnStep::Disk(silent), errno };
        let error = spawn_failed(&Name::graph("g").unwrap(), &crate::tests::harness::kind(), &failure);
        assert_eq!(error.code, ErrorCode::Busy);
        assert_eq!(
            error.message,
            "g could not be started: wait for /r/srv: 64 operations hang on other disks"
        );
        assert_eq!(error.details, Some(json!({"limit": "disks"})));
        assert!(error.hint.is_some());
    }

    #[test]
    fn a_hint_names_the_program_as_its_kind_does() {
        for (named, found, shown) in [
            ("gob-graph-worker", "gob-graph-worker", "install gob-graph-worker beside gobd"),
            ("/opt/{graph}/srv", "/opt/g/srv", "install /opt/g/srv, or correct"),
            ("./srv", "./srv", "install ./srv, or correct"),
        ] {
            let kind = Kind { command: Vec::from([named.into()]), ..crate::tests::harness::kind() };
            let errno = Errno { name: "ENOENT".into(), text: "W".into() };
            let failure = SpawnFailure { step: exec(found, None), errno };
            assert!(hint(&failure, &kind).unwrap().starts_with(shown), "{named}");
        }
    }
}

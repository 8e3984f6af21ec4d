//! Errors between a client and the supervisor, with their remedies.

use crate::conn::Failure;
use crate::holder::{Stopped, is_alive};
use crate::ssh::NoWay;
use gob_host::dirs::DirsError;
use gob_protocol::shell::word;
use gob_protocol::{ErrorCode, WireError};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The reason why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory can't be found or used.
    #[error(transparent)]
    Dirs(#[from] DirsError),
    /// The supervisor, or the worker, refused it.
    #[error(transparent)]
    Refused(#[from] WireError),
    /// The socket has no listener, and none was to be started.
    #[error("no supervisor is running")]
    Nobody {
        /// The expected socket.
        socket: PathBuf,
    },
    /// The socket can't be used.
    #[error("cannot connect to {}", socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another user's process listens there.
    #[error("{} is served by another user (uid {uid})", socket.display())]
    Peer {
        /// The socket.
        socket: PathBuf,
        /// Its user.
        uid: u32,
    },
    /// The listener does not speak gob's protocol.
    #[error("another program answers on {}", socket.display())]
    Foreign {
        /// The socket.
        socket: PathBuf,
        /// Its bytes.
        said: String,
    },
    /// The program that starts the supervisor is missing.
    #[error("cannot find gob-keeper, which starts the supervisor")]
    NoKeeper {
        /// The directories that were searched.
        looked: Vec<PathBuf>,
    },
    /// A step towards a running supervisor failed.
    #[error("cannot start the supervisor: {operation}")]
    Start {
        /// The operation and its object.
        operation: String,
        /// The cause.
        source: io::Error,
    },
    /// The supervisor could not start, with its reason.
    #[error("the supervisor could not start")]
    StartFailed {
        /// Its own message: operation, path, errno.
        said: String,
        /// Its log.
        log: PathBuf,
    },
    /// Another process of this user listens on the socket that the lock file gives to the supervisor.
    #[error(
        "{} is served by pid {pid}, and the supervisor that {} names is pid {told}",
        socket.display(),
        lock.display()
    )]
    Impostor {
        /// The socket.
        socket: PathBuf,
        /// The process that listens.
        pid: i32,
        /// The lock file.
        lock: PathBuf,
        /// The process that it names.
        told: i32,
    },
    /// The lock is held, or the keeper is gone, and the supervisor does not answer by the deadline.
    #[error("{}", silent(*pid, stopped.as_ref(), *waited))]
    Silent {
        /// The supervisor in the lock file, if it lives.
        pid: Option<i32>,
        /// The stopped process, if that is the reason.
        stopped: Option<Stopped>,
        /// The time that was waited.
        waited: Duration,
        /// The supervisor's log.
        log: PathBuf,
    },
    /// No answer by the client's own deadline; the work goes on.
    #[error("no answer to `{request}` within {}", waited_for(*after))]
    Timeout {
        /// The request's type.
        request: String,
        /// The time that was waited.
        after: Duration,
        /// Whether the peer has it. It was not even sent without an answer to hello.
        sent: bool,
    },
    /// The supervisor has the request and does not even answer a ping any more.
    #[error("no answer to `{request}`, and none to a ping for {}", waited_for(*silent))]
    Stalled {
        /// The request's type.
        request: String,
        /// The time that the ping was waited for.
        silent: Duration,
    },
    /// The connection ended before the answer.
    #[error("the connection was lost before `{request}` was answered")]
    Lost {
        /// The request's type.
        request: String,
    },
    /// The answer does not follow PROTOCOL.
    #[error("the answer to `{request}` cannot be read")]
    Answer {
        /// The request's type.
        request: String,
        /// The problem.
        source: serde_json::Error,
    },
    /// There is no way over ssh to a supervisor.
    #[error("{0}")]
    Ssh(Box<NoWay>),
    /// Reading, writing or waiting failed.
    #[error("the connection to {} failed", socket.display())]
    Io {
        /// The socket.
        socket: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Formats a time: `1.5 s`, `30 ms`.
fn waited_for(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

fn silent(pid: Option<i32>, stopped: Option<&Stopped>, waited: Duration) -> String {
    let seconds = waited.as_secs_f64();
    if let Some(stopped) = stopped {
        return format!("the supervisor does not answer within {seconds:.1} s: {stopped}");
    }
    match pid {
        Some(pid) => format!("the supervisor (pid {pid}) does not answer within {seconds:.1} s"),
        None => format!("the supervisor does not answer within {seconds:.1} s"),
    }
}

/// Returns the path that was probably intended: the given one from the working directory.
fn from_here(variable: &str, path: &Path) -> String {
    match std::path::absolute(path) {
        Ok(path) => format!("export {variable}={}, or unset {variable}", word(&path.to_string_lossy())),
        Err(_) => format!("unset {variable}"),
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => Self::Refused(error),
            Failure::Lost { request } => Self::Lost { request },
        }
    }
}

impl Error {
    /// Returns a word for programs: the wire's code, or the client's own for errors that never reached the
    /// wire.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(error) => error.code.as_str(),
            Self::Timeout { .. } => "client-timeout",
            Self::Answer { .. } => "answer-invalid",
            Self::Peer { .. } => ErrorCode::PermissionDenied.as_str(),
            Self::Dirs(DirsError::Relative { .. }) => "usage",
            Self::Dirs(_)
            | Self::Nobody { .. }
            | Self::Connect { .. }
            | Self::Foreign { .. }
            | Self::Impostor { .. }
            | Self::NoKeeper { .. }
            | Self::Start { .. }
            | Self::StartFailed { .. }
            | Self::Silent { .. }
            | Self::Stalled { .. }
            | Self::Lost { .. }
            | Self::Io { .. }
            | Self::Ssh(_) => "supervisor-unreachable",
        }
    }

    /// Returns the cause in one line, where there is one beside the message.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Foreign { said, .. } => Some(format!("it answered: {said}")),
            Self::StartFailed { said, .. } => Some(said.clone()),
            Self::Nobody { socket } => Some(format!("nobody listens on {}", socket.display())),
            Self::NoKeeper { looked } => {
                let looked: Vec<_> = looked.iter().map(|path| path.display().to_string()).collect();
                Some(format!("looked in {}", looked.join(", ")))
            }
            Self::Timeout { sent: true, .. } => Some("the supervisor goes on with it".to_owned()),
            Self::Stalled { .. } => {
                Some("the supervisor has it, and may still go on with it once it answers again".to_owned())
            }
            Self::Timeout { sent: false, .. } => Some(
                "it was not sent: there was a way to a supervisor, or to its machine, and no answer by then"
                    .to_owned(),
            ),
            Self::Dirs(error) => std::error::Error::source(error).map(ToString::to_string),
            Self::Connect { source, .. } | Self::Start { source, .. } | Self::Io { source, .. } => {
                Some(source.to_string())
            }
            Self::Answer { source, .. } => Some(source.to_string()),
            Self::Impostor { pid, told, .. } => Some(if is_alive(*told) {
                format!("pid {told} lives, and that socket does not lead to it; pid {pid} is not believed")
            } else {
                format!("pid {told} has ended; pid {pid} is not believed")
            }),
            Self::Refused(error) => cause_of(error),
            Self::Ssh(no_way) => no_way.cause(),
            Self::Peer { .. } | Self::Silent { .. } | Self::Lost { .. } => None,
        }
    }

    /// Returns the remedy for a person.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        const LOGS: &str = "see gobctl daemon logs";
        const OTHER_DIR: &str =
            "choose another directory for gob: GOB_RUNTIME_DIR=/path/to/a/private/directory";
        match self {
            Self::Refused(error) => error.hint.clone(),
            Self::Ssh(no_way) => no_way.hint(),
            Self::Nobody { .. } => Some("gobctl daemon start starts it".to_owned()),
            Self::Foreign { .. } | Self::Peer { .. } => Some(OTHER_DIR.to_owned()),
            Self::Dirs(DirsError::Unsafe { .. }) => {
                Some(format!("gobctl doctor says how to repair it; or {OTHER_DIR}"))
            }
            Self::Dirs(DirsError::Others { .. }) => Some(
                "nothing was made; run it without sudo, or with a home of this user: sudo -H gobctl, or set HOME"
                    .to_owned(),
            ),
            Self::Dirs(DirsError::Relative { variable, path }) => Some(from_here(variable, path)),
            Self::NoKeeper { .. } => {
                Some("install it beside gobctl, or name its directory in GOB_LIBEXEC".to_owned())
            }
            Self::StartFailed { log, .. } if log.is_file() => Some(format!("its log is {}", log.display())),
            Self::Silent { stopped: Some(stopped), .. } => Some(stopped.hint()),
            Self::Impostor { pid, .. } => {
                Some(format!("see what it is: ps -fp {pid}; end it, if it is not yours to keep: kill {pid}; then again"))
            }
            Self::Silent { log, .. } if log.is_file() => {
                Some(format!("gobctl doctor; the supervisor's log is {}", log.display()))
            }
            Self::Timeout { .. } | Self::Lost { .. } | Self::Answer { .. } | Self::Io { .. } => {
                Some(LOGS.to_owned())
            }
            Self::Dirs(DirsError::NoHome) => Some(
                "set HOME, or all of GOB_RUNTIME_DIR, GOB_STATE_DIR, GOB_DATA_DIR and GOB_CONFIG".to_owned(),
            ),
            Self::Dirs(_)
            | Self::Connect { .. }
            | Self::Start { .. }
            | Self::StartFailed { .. }
            | Self::Stalled { .. }
            | Self::Silent { .. } => Some("gobctl doctor".to_owned()),
        }
    }
}

/// Returns what people need of a refusal's details beside its message: the workers in the way, the process that lives on, the last
/// lines of one that does not.
fn cause_of(error: &WireError) -> Option<String> {
    let details = error.details.as_ref()?;
    if let Some(all) = details.get("workers").and_then(Value::as_array).filter(|all| !all.is_empty()) {
        let text =
            |worker: &Value, key| worker.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let lines = all.iter().map(|of| format!("{} is owned by {}", text(of, "worker"), text(of, "owner")));
        return Some(lines.chain(["nothing was touched".to_owned()]).collect::<Vec<_>>().join("\n"));
    }
    if error.code == ErrorCode::ServerOwnedByOther {
        return details.get("pid").map(|pid| format!("its worker (pid {pid}) was not touched"));
    }
    let lines = details.get("last_lines").and_then(Value::as_array).filter(|lines| !lines.is_empty())?;
    let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
    Some(lines.join("\n"))
}

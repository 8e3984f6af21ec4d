//! The end of a run, and the step at which a start failed (PROTOCOL 6).

use serde::{Deserialize, Serialize};
use std::fmt;

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Exit {
    /// The leader exited by itself.
    Code {
        /// The exit code, 0 to 255.
        code: i32,
    },
    /// A signal ended it.
    Signal {
        /// The signal's name, such as `SIGKILL` or `SIGRTMIN+1`.
        signal: String,
        /// The leader left a core file.
        core_dumped: bool,
    },
    /// The program was never executed.
    SpawnFailed {
        /// The errno's name, such as `ENOENT`.
        spawn_error: String,
        /// The step that failed; none from an older supervisor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StartStep>,
    },
}

/// The step at which a start failed (PROTOCOL 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StartStep {
    /// Going to the working directory.
    Chdir,
    /// Finding and executing the program; only here `ENOENT` says that there is no program.
    Exec,
    /// The file is there, and its interpreter is not, or it is no program.
    Interpreter,
    /// Making the process.
    Fork,
    /// All that comes before; also each step that is not known here.
    #[serde(other)]
    Prepare,
}

impl fmt::Display for StartStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chdir => "chdir",
            Self::Exec => "exec",
            Self::Interpreter => "interpreter",
            Self::Fork => "fork",
            Self::Prepare => "prepare",
        })
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code { code } => write!(f, "exited {code}"),
            Self::Signal { signal, core_dumped: false } => write!(f, "killed by {signal}"),
            Self::Signal { signal, core_dumped: true } => write!(f, "killed by {signal}, core dumped"),
            Self::SpawnFailed { spawn_error, step: None } => {
                write!(f, "could not be spawned: {spawn_error}")
            }
            Self::SpawnFailed { spawn_error, step: Some(step) } => {
                write!(f, "could not be spawned: {step}: {spawn_error}")
            }
        }
    }
}

//! The word of a project file on a job: whether it must not run.

use alloc::string::String;
use alloc::sync::Arc;
use gob_protocol::Request;
use serde::{Deserialize, Serialize};

/// The job that a request may begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begins {
    /// Program and arguments.
    pub command: Arc<[String]>,
    /// The real path of its directory.
    pub cwd: Arc<str>,
}

/// A job, as the project file of its directory has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// The job.
    pub job: Begins,
    /// The reason why it must not run; `None` when it may.
    pub reason: Option<String>,
}

impl Begins {
    /// Returns the job of a request that names a command.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other requests name no command")]
    pub fn of_add(request: &Request) -> Option<Self> {
        match request {
            Request::Add(add) | Request::Create(add) => {
                Some(Self { command: add.command.as_slice().into(), cwd: add.cwd.as_str().into() })
            }
            Request::QueueAdd(add) => {
                Some(Self { command: add.command.as_slice().into(), cwd: add.cwd.as_str().into() })
            }
            Request::ScheduleAdd(add) => {
                Some(Self { command: add.command.as_slice().into(), cwd: add.cwd.as_str().into() })
            }
            _other => None,
        }
    }
}

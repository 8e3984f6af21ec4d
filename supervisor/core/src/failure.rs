//! Why a run gets no process: the step that failed, and the errno; and why the holder of its graph can't be told. Plain data,
//! without words.

use alloc::boxed::Box;
use alloc::string::String;
use gob_protocol::{Exit, StartStep};

/// A start that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnFailure {
    /// The step.
    pub step: SpawnStep,
    /// The kernel's refusal, or the one that fits.
    pub errno: Errno,
}

impl SpawnFailure {
    /// Returns the end of a run whose start has failed so.
    pub(crate) fn exit(&self) -> Exit {
        Exit::SpawnFailed { spawn_error: self.errno.name.clone(), step: Some(self.step.told()) }
    }
}

/// Returns the end of a run that was given up before its process was tried.
pub(crate) fn not_tried(errno: &str) -> Exit {
    Exit::SpawnFailed { spawn_error: errno.into(), step: Some(StartStep::Prepare) }
}

/// An errno.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errno {
    /// Its name, such as `ENOENT`.
    pub name: String,
    /// The machine's words for it, such as `No such file or directory (os error 2)`, or those about an unfit file.
    pub text: String,
}

/// A step of a start, with the thing that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpawnStep {
    /// Looking for a holder without gob: it can't be told whether there is one.
    Examine(Box<Unclear>),
    /// The preparation as a whole: it panicked.
    Prepare,
    /// Work on a disk that does not answer.
    Disk(Silent),
    /// Finding a free port, or taking the one that the kind says.
    Port(Option<u16>),
    /// Opening the lock's file.
    OpenLock {
        /// The file.
        path: String,
    },
    /// Taking the lock.
    TakeLock {
        /// Its file.
        path: String,
    },
    /// Reading what is known of a graph.
    ReadRecord {
        /// The lock beside it.
        path: String,
    },
    /// Making a directory.
    MakeDir {
        /// The directory.
        path: String,
    },
    /// Finding the program; a kind without a command has none.
    FindProgram(Option<String>),
    /// Passing on arguments and environment: a NUL byte is in them.
    Arguments,
    /// Going to the working directory.
    Chdir {
        /// The directory.
        path: String,
    },
    /// Making the pipes for its output.
    Pipe,
    /// Reading the pattern of a check, with the flaw of that pattern.
    Pattern(String),
    /// Naming a resource limit: there is none of that name.
    LimitName,
    /// A step on the way from clone to exec, but for [`SpawnStep::Chdir`] and [`SpawnStep::Exec`].
    Fork {
        /// Which.
        step: ForkStep,
        /// The program that was to be executed.
        program: String,
    },
    /// Executing the program.
    Exec {
        /// The program.
        program: String,
        /// The flaw of its file, where the errno does not tell it.
        flaw: Option<ExecFlaw>,
    },
}

impl SpawnStep {
    /// Returns the step as clients are told it. Only `exec` with `ENOENT` says that there is no program.
    pub(crate) const fn told(&self) -> StartStep {
        match self {
            Self::FindProgram(_) | Self::Exec { flaw: None, .. } => StartStep::Exec,
            Self::Exec { flaw: Some(ExecFlaw::Interpreter { .. } | ExecFlaw::Format), .. } => {
                StartStep::Interpreter
            }
            Self::Chdir { .. } => StartStep::Chdir,
            Self::Fork { .. } => StartStep::Fork,
            Self::Examine(_)
            | Self::Prepare
            | Self::Disk(_)
            | Self::Port(_)
            | Self::OpenLock { .. }
            | Self::TakeLock { .. }
            | Self::ReadRecord { .. }
            | Self::MakeDir { .. }
            | Self::Arguments
            | Self::Pipe
            | Self::Pattern(_)
            | Self::LimitName => StartStep::Prepare,
        }
    }
}

/// A step of the new process on its way to its program, about which there is nothing to tell but the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForkStep {
    /// Making the process.
    Clone,
    /// Leading a process group of its own.
    Group,
    /// Dying with the supervisor.
    DeathSignal,
    /// Looking whether the supervisor still lives.
    Parent,
    /// The standard streams.
    Stdio,
    /// Giving a lock its number.
    LockNumber,
    /// Keeping a lock open across exec.
    KeepLock,
    /// Closing all other descriptors.
    Close,
    /// The limit of open files that workers have.
    OpenFiles,
    /// A limit of its kind, by its name without `RLIMIT_`.
    Limit(&'static str),
}

/// The flaw of a file that could not be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecFlaw {
    /// It is neither a program nor a script.
    Format,
    /// It is a script, and its first line names no program.
    Interpreter {
        /// The name in that line.
        interpreter: String,
        /// The line ends in CR, which is part of the name.
        crlf: bool,
    },
}

/// The reason why it can't be told who holds a graph without gob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unclear {
    /// The place of the examination does not answer.
    Silent(Silent),
    /// The lock file can't be read.
    Unreadable {
        /// The lock file.
        path: String,
        /// The flaw of it.
        flaw: LockFlaw,
    },
    /// The lock file is malformed, and not being written.
    SaysNothing {
        /// The lock file.
        path: String,
        /// The flaw of its text.
        flaw: String,
    },
    /// The lock file goes on changing.
    Changes {
        /// The lock file.
        path: String,
    },
    /// The lock file of a dead process can't be removed.
    Stays {
        /// The lock file.
        path: String,
        /// The flaw of it.
        flaw: LockFlaw,
    },
    /// The processes can't be listed.
    NoProcesses(Errno),
}

/// The flaw of a file that should be a lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockFlaw {
    /// The machine refuses it.
    Machine(Errno),
    /// It is not a regular file.
    NotAFile,
    /// It has more bytes than a lock file may have.
    TooLong {
        /// The limit.
        most: u64,
    },
}

/// An operation on a disk that has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silent {
    /// The operation.
    pub operation: &'static str,
    /// Its place.
    pub place: String,
    /// The time since its begin.
    pub seconds: u64,
    /// How much work hangs on other disks, where that is why it does not begin; else 0.
    pub elsewhere: usize,
}

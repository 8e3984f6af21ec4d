//! The reasons why one of gob's directories can't be used, in words.

use crate::passwd;
use crate::private::Flaw;
use std::io;
use std::path::PathBuf;

/// Why a directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DirsError {
    /// Neither `HOME` nor `/etc/passwd` names a home directory.
    #[error("there is no home directory: set HOME, since /etc/passwd has none for this user")]
    NoHome,
    /// A `GOB_*` path is relative: each working directory would have a supervisor of its own.
    #[error("{variable} must be an absolute path, not `{}`", path.display())]
    Relative {
        /// The variable.
        variable: String,
        /// The path as given.
        path: PathBuf,
    },
    /// One of gob's own directories is not a private directory of this user. It was left as it is.
    #[error("the {what} directory {} {flaw}", path.display())]
    Unsafe {
        /// `runtime` or `state`.
        what: &'static str,
        /// The directory.
        path: PathBuf,
        /// The flaw.
        flaw: Flaw,
    },
    /// A directory would have to be made inside another user's, and would lock that user out.
    #[error("cannot make {}: {} belongs to uid {owner}{}, not to you (uid {me})", path.display(), above.display(), sudo(*owner))]
    Others {
        /// The directory to be made.
        path: PathBuf,
        /// The nearest existing directory above `path`.
        above: PathBuf,
        /// The owner of `above`.
        owner: u32,
        /// This user's id.
        me: u32,
    },
    /// One of gob's own directories could not be opened or made.
    #[error("cannot {operation} the {what} directory {}", path.display())]
    Io {
        /// `open`, `create` or `read`.
        operation: &'static str,
        /// `runtime` or `state`.
        what: &'static str,
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl DirsError {
    /// Returns the error with its cause, as one sentence.
    #[must_use]
    pub fn with_cause(&self) -> String {
        match self {
            Self::Io { source, .. } => format!("{self}: {source}"),
            Self::NoHome | Self::Relative { .. } | Self::Unsafe { .. } | Self::Others { .. } => {
                self.to_string()
            }
        }
    }
}

impl From<DirsError> for io::Error {
    fn from(error: DirsError) -> Self {
        let kind = match &error {
            DirsError::Io { source, .. } => source.kind(),
            DirsError::NoHome | DirsError::Relative { .. } => io::ErrorKind::InvalidInput,
            DirsError::Unsafe { .. } | DirsError::Others { .. } => io::ErrorKind::PermissionDenied,
        };
        Self::new(kind, error.with_cause())
    }
}

/// Names the user who ran sudo, where that user is `owner`; else empty. An environment that was passed on in
/// part may have no `SUDO_UID`; then `/etc/passwd` has the name of the uid.
fn sudo(owner: u32) -> String {
    let user = std::env::var("SUDO_USER").ok();
    let is_his = |user: &String| match std::env::var("SUDO_UID") {
        Ok(uid) => uid == owner.to_string(),
        Err(_) => passwd::user(owner).is_some_and(|found| found.name == *user),
    };
    user.filter(is_his).map(|user| format!(" ({user}, who ran sudo)")).unwrap_or_default()
}

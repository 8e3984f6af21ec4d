//! A directory of one test, which goes with the test, also with one that fails.

use std::ops::Deref;
use std::path::Path;
use tempfile::TempDir;

/// The directory; empty at first.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    /// Makes one with the name of a test in its own name.
    pub(crate) fn new(test: &str) -> Self {
        Self(TempDir::with_prefix(format!("gob-{test}-")).unwrap())
    }
}

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        self.0.path()
    }
}

impl AsRef<Path> for Scratch {
    fn as_ref(&self) -> &Path {
        self
    }
}

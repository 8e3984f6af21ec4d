//! `last.json`: what the workers were like when the supervisor was last heard of, for clients that find nobody.
//!
//! Written a second after something changed, once for all that changed meanwhile, and at the orderly end. Nothing in
//! the supervisor ever reads it.

use gob_protocol::{Timestamp, View};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// The file's name in the state directory.
pub(crate) const LAST: &str = "last.json";

/// How long changes are gathered.
const GATHER: Duration = Duration::from_secs(1);

/// When the file is to be written, and whether it is being written.
#[derive(Debug, Default)]
pub(crate) struct Last {
    due: Option<Instant>,
    written_seq: u64,
}

/// What the file says.
#[derive(serde::Serialize)]
pub(crate) struct Snapshot {
    pub(crate) workers: Vec<View>,
    pub(crate) seq: u64,
    pub(crate) instance: String,
    pub(crate) time: Timestamp,
}

impl Last {
    /// Notes how far the supervisor has come.
    pub(crate) fn changed(&mut self, seq: u64) {
        if seq != self.written_seq && self.due.is_none() {
            self.due = Some(Instant::now() + GATHER);
        }
    }

    /// When to write.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Notes that everything up to this event is being written.
    pub(crate) fn written(&mut self, seq: u64) {
        self.due = None;
        self.written_seq = seq;
    }
}

impl Snapshot {
    /// Replaces the file in one step. Readers see the old one or the new one.
    pub(crate) fn write(&self, state_dir: &Path) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let temporary: PathBuf = state_dir.join(format!("{LAST}.new"));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
        let mut file = io::BufWriter::new(options.open(&temporary)?);
        serde_json::to_writer(&mut file, self)?;
        file.into_inner()?;
        std::fs::rename(temporary, state_dir.join(LAST))
    }
}

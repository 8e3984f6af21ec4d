//! `last.json`: what the workers were like when the supervisor was last heard of, for clients that find nobody.
//!
//! Written a second after something changed, once for all that changed meanwhile, and at the orderly end. Nothing in
//! the supervisor ever reads it.

use crate::disks::Disks;
use gob_protocol::{Timestamp, View};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The file's name in the state directory.
pub(crate) const LAST: &str = "last.json";

/// How long changes are gathered.
const GATHER: Duration = Duration::from_secs(1);

/// When the file is to be written, and whether it is being written: a disk that is slow has one writer at a time.
#[derive(Debug, Default)]
pub(crate) struct Last {
    due: Option<Instant>,
    written_seq: u64,
    is_being_written: bool,
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
        if seq != self.written_seq && self.due.is_none() && !self.is_being_written {
            self.due = Some(Instant::now() + GATHER);
        }
    }

    /// When to write.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Notes that everything up to this event is being written.
    pub(crate) fn begin(&mut self, seq: u64) {
        self.due = None;
        self.written_seq = seq;
        self.is_being_written = true;
    }

    /// Notes that it is written, or never will be. What changed meanwhile is noted next.
    pub(crate) fn end(&mut self) {
        self.is_being_written = false;
    }
}

impl Snapshot {
    /// Has it written after whatever was to be written before. The receiver hears when that is done.
    pub(crate) fn begin(self, disks: &Disks, state_dir: &str) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        let dir = PathBuf::from(state_dir);
        disks.begin(LAST, vec![state_dir.to_owned()], move |at| {
            at.go("write", &dir.join(LAST).to_string_lossy());
            if let Err(e) = self.write(&dir) {
                tracing::warn!(error = %e, "cannot write last.json");
            }
            // Whoever waits may have gone.
            done.send(()).unwrap_or_default();
        });
        is_done
    }

    /// Replaces the file in one step. Readers see the old one or the new one.
    fn write(&self, state_dir: &Path) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn one_writer_at_a_time_and_the_last_word_last() {
        let mut last = Last::default();
        last.changed(1);
        assert!(last.due().is_some());
        last.begin(1);
        last.changed(2);
        assert_eq!(last.due(), None, "it is being written, however long that takes");
        last.end();
        last.changed(2);
        assert!(last.due().is_some());

        let dir = std::env::temp_dir().join(format!("gob-last-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (disks, state_dir) = (Disks::new(), dir.to_str().unwrap());
        let (release, hung) = mpsc::channel::<()>();
        // The disk hangs for the first one, and what was to be written at the end waits for it.
        disks.begin(LAST, Vec::new(), move |_| {
            hung.recv().unwrap_err();
        });
        let snapshot = |seq| Snapshot { workers: Vec::new(), seq, instance: "i".into(), time: Timestamp(0) };
        let written: Vec<_> = (1..=50).map(|seq| snapshot(seq).begin(&disks, state_dir)).collect();
        assert!(!dir.join(LAST).exists());
        drop(release);
        written.into_iter().for_each(|written| written.blocking_recv().unwrap());
        let text = std::fs::read_to_string(dir.join(LAST)).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["seq"], 50);
        std::fs::remove_dir_all(dir).unwrap();
    }
}

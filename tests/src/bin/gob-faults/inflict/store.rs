//! The file of the history: deleted, cut short, or locked by another process for a while.

use super::{Inflict, Inflicted, Outcome, done, nobody};
use std::fs;
use std::time::Duration;

impl Inflict<'_> {
    pub(super) fn delete_store(&mut self) -> Inflicted {
        self.shared.loses_store();
        let path = self.shared.gob.state_dir().join("store.sqlite3");
        // The log goes or stays: each is a thing that people do.
        if self.dice.below(2) == 0 {
            drop(fs::remove_file(path.with_file_name("store.sqlite3-wal")));
        }
        match fs::remove_file(&path) {
            Ok(()) => done("deleted the history"),
            Err(e) => nobody(format!("{}: {e}", path.display())),
        }
    }

    pub(super) fn cut_store(&mut self) -> Inflicted {
        self.shared.cuts();
        let path = self.shared.gob.state_dir().join("store.sqlite3");
        let Ok(file) = fs::OpenOptions::new().write(true).open(&path) else {
            return nobody("there is no history");
        };
        let bytes = file.metadata().map(|of| of.len()).unwrap_or_default();
        let left = self.dice.below(bytes + 1);
        file.set_len(left).map_err(|e| format!("{}: {e}", path.display()))?;
        done(format!("cut the history from {bytes} to {left} bytes"))
    }

    pub(super) fn lock_store(&mut self) -> Inflicted {
        let path = self.shared.gob.state_dir().join("store.sqlite3");
        if !path.exists() {
            return nobody("there is no history");
        }
        let time = Duration::from_millis(self.dice.below(4_000));
        let locked = rusqlite::Connection::open(&path).and_then(|other| {
            other.busy_timeout(Duration::from_secs(1))?;
            other.execute_batch("BEGIN EXCLUSIVE")?;
            Ok(other)
        });
        let Ok(other) = locked else { return nobody("the history is in use") };
        Ok(Outcome::Done(
            format!("locked the history for {time:?} more"),
            Box::new(move |shared| {
                shared.load_for(time);
                drop(other);
                Ok(())
            }),
        ))
    }
}

//! History without a supervisor: its store, opened for reading, and its last state.
//!
//! Only the verbs of history come here, so no other one opens SQLite.

use crate::context::Context;
use crate::failure::Failure;
use crate::last::LastState;
use crate::suggest::DID_YOU_MEAN;
use crate::text::{escape, nearest, shell_word};
use gob_client::protocol::answer::{BlameData, RunsData};
use gob_client::protocol::{Cursor, Stats};
use gob_client::{Error, Name};
use gob_store::{Reader, StoreError, Supervisor};

/// Exit code for a worker that is not known.
const UNKNOWN: u8 = 4;

/// The files that the last supervisor left.
pub(super) struct Kept {
    /// The store, if there is one.
    reader: Option<Reader>,
    last: Option<LastState>,
}

impl Kept {
    /// Opens them, and notes that they are old. Fails with `nobody` where no supervisor has left any.
    pub(super) fn open(context: &Context, nobody: Error) -> Result<Self, Failure> {
        let dirs = context.dirs()?;
        let last = LastState::read(&dirs);
        let reader = match Reader::open(&dirs.state, Supervisor::Gone) {
            Ok(reader) => Some(reader),
            Err(StoreError::Missing(_)) => None,
            Err(error) => return Err(unreadable(&error)),
        };
        let of = match (&last, &reader) {
            (Some(last), _) => format!(", of {}", last.time),
            (None, Some(_)) => String::new(),
            (None, None) => return Err(nobody.into()),
        };
        context.note(&format!("no supervisor is running; this is the last known state{of}"));
        Ok(Self { reader, last })
    }

    /// Returns runs of a worker, newest first, of lower numbers than `before`.
    pub(super) fn runs(&self, name: &Name, before: Option<u64>, limit: u32) -> Result<RunsData, Failure> {
        let page = self.read(|reader| reader.runs(name, before, limit))?;
        match page {
            Some(page) if before.is_some() || !page.items.is_empty() => {
                Ok(RunsData { runs: page.items, more: page.more })
            }
            Some(_) | None => self.known(name).map(|()| RunsData { runs: Vec::new(), more: false }),
        }
    }

    /// Returns the statistics of a worker's runs.
    pub(super) fn stats(&self, name: &Name) -> Result<Stats, Failure> {
        let stats = self.read(|reader| reader.stats(name))?.unwrap_or_default();
        if stats.runs == 0 {
            self.known(name)?;
        }
        Ok(stats)
    }

    /// Returns the changes of a worker, newest first, of those before `before`.
    pub(super) fn blame(
        &self,
        name: &Name,
        before: Option<&Cursor>,
        limit: u32,
    ) -> Result<BlameData, Failure> {
        let data = self.read(|reader| reader.blame(name, before, limit))?.unwrap_or_default();
        if before.is_none() && data.entries.is_empty() {
            self.known(name)?;
        }
        Ok(data)
    }

    fn read<T>(&self, read: impl FnOnce(&Reader) -> Result<T, StoreError>) -> Result<Option<T>, Failure> {
        self.reader.as_ref().map(read).transpose().map_err(|error| unreadable(&error))
    }

    /// Fails for a worker of which nothing is left.
    fn known(&self, name: &Name) -> Result<(), Failure> {
        let workers = self.last.as_ref().map_or(&[][..], |last| &last.workers);
        if workers.iter().any(|worker| worker.name == *name) {
            return Ok(());
        }
        let is_in_history = self.read(|reader| {
            let has_runs = !reader.runs(name, None, 1)?.items.is_empty();
            Ok(has_runs || !reader.blame(name, None, 1)?.entries.is_empty())
        })?;
        if is_in_history == Some(true) {
            return Ok(());
        }
        let near = nearest(name.as_str(), workers.iter().map(|worker| worker.name.as_str()));
        let hint = near.map_or_else(
            || "see what there was: gobctl list --no-autostart".to_owned(),
            |near| format!("{DID_YOU_MEAN} {}?", shell_word(near)),
        );
        let message = format!("there was no worker {}", escape(name.as_str()));
        Err(Failure::own("server-not-found", UNKNOWN, message).hint(hint))
    }
}

/// Returns the failure for a store that can't be read. Its errors are sentences with the way out.
fn unreadable(error: &StoreError) -> Failure {
    Failure::own("history-unreadable", 1, "the history cannot be read".to_owned()).cause(error.to_string())
}

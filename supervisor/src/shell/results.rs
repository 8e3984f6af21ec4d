//! Results of the parts beside the loop, handed to the core: of work on disks, output, probes, examinations and healing.

use super::{Done, Shell};
use crate::foreign;
use crate::heal::Mended;
use crate::history;
use crate::output::FromOutput;
use crate::programs;
use crate::readiness::{self, Found};
use crate::shared;
use gob_core::{Input, Lost, Note, RunKey};
use gob_protocol::handshake::Handshake;
use gob_store::Told;
use std::sync::Arc;

impl Shell {
    /// Tells the core of programs that were replaced on disk while workers run them.
    pub(crate) fn take_programs(&mut self, news: programs::News) {
        let seen = self.programs.take(news);
        if !seen.is_empty() {
            self.input(Input::Programs(seen));
        }
    }

    /// Handles a result of work beside the loop.
    pub(crate) fn take_done(&mut self, done: Done) {
        let Some(done) = self.put_off_done(done) else { return };
        match done {
            Done::Opened(opened) => self.try_program(opened),
            Done::Tried(tried) => self.tried(tried),
            Done::Keeper(keeper) => self.input(Input::KeeperBrought(keeper)),
            Done::Prepared { key, slot, silent } => self.prepared(key, &slot, silent),
            Done::Freed(key) => self.input(Input::Freed { key }),
            Done::Saved => self.last.end(),
            Done::Store(Told::Trimmed(runs)) => self.forget_runs(runs),
            Done::Store(Told::JobsTrimmed(jobs)) => jobs.into_iter().for_each(|job| self.forget_logs(job)),
            Done::Store(told) => {
                if let Some(input) = history::told(told) {
                    self.input(input);
                }
            }
            Done::Shared(database, told) => {
                if let Some(told) = self.shared.sift(database, told) {
                    shared::gone(&told).iter().for_each(|job| self.forget_logs(job.clone()));
                    shared::told(told).into_iter().for_each(|input| self.input(input));
                }
            }
            Done::Input(input) => self.input(*input),
        }
    }

    pub(crate) fn take_report(&mut self, report: FromOutput) {
        match report {
            FromOutput::Handshake { key, result } => {
                let input = match result {
                    Ok(handshake) if readiness::is_anywhere(&handshake) => {
                        return self.locate(key, handshake);
                    }
                    Ok(handshake) => Input::Ready { key, handshake, ports: Vec::new() },
                    Err(error) => Input::NeverReady { last_lines: self.last_lines(&key), key, error },
                };
                self.input(input);
            }
            FromOutput::Drained { key } => {
                let all = self.all_read(key);
                self.input(all);
            }
        }
    }

    /// Finds the address on which a run listens that reported only its port.
    pub(super) fn locate(&mut self, key: RunKey, handshake: Handshake) {
        match self.runs.tree(&key) {
            Some(tree) => self.readiness.locate(key, handshake, tree),
            // The run is gone, and the core drops the result.
            None => self.input(Input::Ready { key, handshake, ports: Vec::new() }),
        }
    }

    pub(super) fn last_lines(&self, key: &RunKey) -> Vec<String> {
        self.taps.get(key).map(|tap| tap.last_lines()).unwrap_or_default()
    }

    pub(crate) fn take_found(&mut self, found: Found) {
        match found {
            Found::Ready { key, handshake, ports } => {
                self.readiness.located(&key);
                self.input(Input::Ready { key, handshake, ports });
            }
            Found::Probed { key, found } => {
                self.readiness.end_probe(&key);
                self.input(Input::Probed { key, found });
            }
            Found::Ports(seen) => self.input(Input::Ports(seen)),
            Found::StopAnswered { key, taken } => self.input(Input::StopAnswered { key, taken }),
            Found::Notified { pid, note, status } => {
                // A process of no run of ours has nothing to say.
                let Some(key) = self.runs.run_of(pid) else { return };
                if let Some(status) = status {
                    self.input(Input::Told { key: key.clone(), status });
                }
                if note != Note::default() {
                    self.input(Input::Notified { key, note });
                }
            }
        }
    }

    pub(crate) fn take_foreign(&mut self, found: foreign::Found) {
        match found {
            foreign::Found::Examined { key, sighting } => {
                let found = self.foreign.take(&key.name, sighting);
                self.input(Input::Examined { key, found });
            }
            foreign::Found::OrphanEnded { key, pid } => self.input(Input::OrphanEnded { key, pid }),
            foreign::Found::HolderGone { name, pid } => {
                self.input(Input::HolderGone { name, pid });
            }
        }
    }

    /// Continues with the files that replaced the lost ones.
    pub(crate) fn take_healed(&mut self, mended: Mended) {
        let boot = &mut self.boot;
        boot.lock = mended.lock.unwrap_or_else(|| Arc::clone(&boot.lock));
        boot.runtime = mended.runtime.unwrap_or_else(|| Arc::clone(&boot.runtime));
        if let Some(socket) = mended.notify
            && let Err(error) = self.readiness.listen(socket)
        {
            tracing::error!(%error, "no notifications any more");
        }
        if mended.logs {
            self.output.find_again();
        }
        self.runs.heal_journal();
        self.input(Input::Healed);
        if mended.sockets {
            self.input(Input::SocketsLost(Lost::Any));
        }
    }
}

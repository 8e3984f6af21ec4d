//! The files of a run as data, between two programs: offsets and open descriptors.

use super::{Fault, RunLog, Side};
use crate::output::index::{Index, IndexState};
use crate::output::tap::Tap;
use crate::upgrade::{Fd, Inherited, Named, Unfit};
use gob_core::RunKey;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

/// One run's files.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunLogState {
    key: RunKey,
    sides: [SideState; 2],
    index: IndexState,
    /// Writes fail, and so many bytes were dropped.
    fault: Option<u64>,
    index_failed: bool,
}

/// One stream's files.
#[derive(Debug, Serialize, Deserialize)]
struct SideState {
    file: Option<Fd>,
    start: u64,
    size: u64,
    rotated: Vec<u64>,
    mid_line: bool,
}

impl RunLogState {
    pub(in crate::output) const fn key(&self) -> &RunKey {
        &self.key
    }
}

impl RunLog {
    /// Returns what another program needs to go on with it.
    pub(in crate::output) fn hand_over(&self, named: &mut Named) -> RunLogState {
        RunLogState {
            key: self.key.clone(),
            sides: self.sides.each_ref().map(|side| side.hand_over(named)),
            index: self.index.hand_over(named),
            fault: self.fault.as_ref().map(|fault| fault.dropped),
            index_failed: self.index_failed,
        }
    }

    /// Goes on with files that another program wrote.
    pub(in crate::output) fn resume(
        state: RunLogState,
        tap: Arc<Tap>,
        inherited: &mut Inherited,
    ) -> Result<Self, Unfit> {
        let RunLogState { key, sides: [stdout, stderr], index, fault, index_failed } = state;
        let sides = [Side::resume(stdout, inherited)?, Side::resume(stderr, inherited)?];
        let is_open = sides.iter().any(|side| side.file.is_some());
        let now = Instant::now();
        let mut log = Self {
            key,
            tap,
            cost: 0,
            sides,
            index: Index::resume(index, inherited)?,
            fault: fault.map(|dropped| Fault { retry: now, dropped }),
            index_failed,
            seen: now,
            losses: 0,
            is_open,
        };
        log.cost = log.disk_bytes();
        Ok(log)
    }
}

impl Side {
    fn hand_over(&self, named: &mut Named) -> SideState {
        SideState {
            file: self.file.as_ref().map(|file| named.name(file)),
            start: self.start,
            size: self.size,
            rotated: self.rotated.iter().copied().collect(),
            mid_line: self.mid_line,
        }
    }

    fn resume(state: SideState, inherited: &mut Inherited) -> Result<Self, Unfit> {
        let SideState { file, start, size, rotated, mid_line } = state;
        let file = file.map(|fd| inherited.take(fd)).transpose()?.map(File::from);
        Ok(Self { file, start, size, rotated: rotated.into(), mid_line })
    }
}

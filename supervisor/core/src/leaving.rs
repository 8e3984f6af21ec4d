//! The end of the supervisor itself, from the request to the last worker that is down.

use crate::ids::ConnId;
use alloc::vec::Vec;
use gob_protocol::{Id, Name, Survivor};
use serde::{Deserialize, Serialize};

/// The supervisor's own end, once it was requested.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Leaving(Option<Way>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Way {
    asked_by: Option<(ConnId, Option<Id>)>,
    stopped: Vec<Name>,
    nuke: bool,
    /// Processes that can't be ended, and stay.
    survivors: Vec<Survivor>,
    /// The request was answered and the process is ending; no worker may start any more.
    done: bool,
}

/// The last word about the end.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) asked_by: Option<(ConnId, Option<Id>)>,
    pub(crate) stopped: Vec<Name>,
    pub(crate) nuke: bool,
    pub(crate) survivors: Vec<Survivor>,
}

impl Leaving {
    /// Tells whether the end was requested.
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins the end, with these workers up.
    pub(crate) fn begin(&mut self, asked_by: Option<(ConnId, Option<Id>)>, stopped: Vec<Name>, nuke: bool) {
        self.0 = Some(Way { asked_by, stopped, nuke, survivors: Vec::new(), done: false });
    }

    /// Forgets an asker whose connection is gone.
    pub(crate) fn forget(&mut self, conn: ConnId) {
        if let Some(way) = &mut self.0 {
            way.asked_by.take_if(|(asker, _)| *asker == conn);
        }
    }

    /// Notes processes of a worker that can't be ended, and goes on without them.
    pub(crate) fn without(&mut self, name: &Name, survivors: &[Survivor]) {
        if let Some(way) = &mut self.0 {
            way.stopped.retain(|stopped| stopped != name);
            way.survivors.extend_from_slice(survivors);
        }
    }

    /// Tells whether the end waits only for workers.
    pub(crate) fn is_due(&self) -> bool {
        self.0.as_ref().is_some_and(|way| !way.done)
    }

    /// Comes to the end, once.
    pub(crate) fn finish(&mut self) -> Option<Left> {
        let way = self.0.as_mut().filter(|way| !way.done)?;
        way.done = true;
        Some(Left {
            asked_by: way.asked_by.take(),
            stopped: core::mem::take(&mut way.stopped),
            nuke: way.nuke,
            survivors: core::mem::take(&mut way.survivors),
        })
    }

    #[cfg(test)]
    pub(crate) fn asked_by(&self) -> Option<&(ConnId, Option<Id>)> {
        self.0.as_ref()?.asked_by.as_ref()
    }
}

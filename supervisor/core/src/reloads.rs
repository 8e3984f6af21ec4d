//! Requests for a new reading of the configuration.

use crate::ids::ConnId;
use alloc::vec::Vec;
use gob_protocol::Id;
use serde::{Deserialize, Serialize};

/// A connection, and the name of its request.
pub(crate) type Asker = (ConnId, Option<Id>);

/// One reading is under way at a time. A request that comes meanwhile is answered by the next one: the file may have
/// changed since that one began.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reloads {
    /// A reading is under way.
    reading: bool,
    /// Another one has to follow.
    again: bool,
    /// Askers that the reading under way answers.
    asked: Vec<Asker>,
    /// Askers that the next one answers.
    waiting: Vec<Asker>,
}

impl Reloads {
    /// Notes a request, or a SIGHUP without an asker; true when a reading begins now.
    pub(crate) fn ask(&mut self, asker: Option<Asker>) -> bool {
        if self.reading {
            self.again = true;
            self.waiting.extend(asker);
            return false;
        }
        self.reading = true;
        self.asked.extend(asker);
        true
    }

    /// Notes that the reading is through. Returns the askers to be answered, and whether the next one begins now.
    pub(crate) fn done(&mut self) -> (Vec<Asker>, bool) {
        let answered = core::mem::replace(&mut self.asked, core::mem::take(&mut self.waiting));
        self.reading = core::mem::take(&mut self.again);
        (answered, self.reading)
    }

    /// Tells whether a reading is under way.
    pub(crate) const fn is_on(&self) -> bool {
        self.reading
    }

    /// Forgets the askers of a connection that is gone.
    pub(crate) fn forget(&mut self, conn: ConnId) {
        self.asked.retain(|(asker, _)| *asker != conn);
        self.waiting.retain(|(asker, _)| *asker != conn);
    }

    #[cfg(test)]
    pub(crate) fn askers(&self) -> impl Iterator<Item = &Asker> {
        self.asked.iter().chain(&self.waiting)
    }
}

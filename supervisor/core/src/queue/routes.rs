//! The way of a question to one of the two stores: lanes that several machines share are in a database.
//!
//! It follows from the lane, or from the number of the job.

use crate::lanes::SharedStore;
use crate::refusals;
use crate::state::Core;
use alloc::boxed::Box;
use alloc::vec::Vec;
use gob_protocol::WireError;
use gob_protocol::queue::{LaneName, QueueAsk, is_shared};

/// The cursor of the jobs of shared lanes, in a list of all lanes.
pub(super) const PAGE: &str = "s:";

/// Tells whether several machines share this lane.
pub(super) fn is_lane(core: &Core, name: &LaneName) -> bool {
    core.cx.setup.settings.lanes.get(name.as_str()).is_some_and(|lane| lane.shared)
}

/// The shared lanes of the configuration.
pub(super) fn names(core: &Core) -> Vec<LaneName> {
    let lanes = core.cx.setup.settings.lanes.iter().filter(|(_, lane)| lane.shared);
    lanes.filter_map(|(name, _)| LaneName::new(name).ok()).collect()
}

/// Tells whether a question is for the database.
pub(super) fn is_for(core: &Core, ask: &QueueAsk) -> bool {
    match ask {
        QueueAsk::Add(new) => is_lane(core, &new.lane),
        QueueAsk::Heartbeat(beats) => beats.iter().any(|beat| is_shared(&beat.id)),
        QueueAsk::Finish(ending) => is_shared(&ending.id),
        QueueAsk::GiveBack { id, .. }
        | QueueAsk::Stale { id, .. }
        | QueueAsk::Cancel { id, .. }
        | QueueAsk::Retry { id, .. }
        | QueueAsk::Get { id } => is_shared(id),
        QueueAsk::List { lane: None, after, .. } => {
            after.as_ref().is_some_and(|after| after.starts_with(PAGE))
        }
        QueueAsk::Claim { lane, .. }
        | QueueAsk::List { lane: Some(lane), .. }
        | QueueAsk::Lane { lane }
        | QueueAsk::Pause { lane }
        | QueueAsk::Resume { lane }
        | QueueAsk::Width { lane, .. }
        | QueueAsk::Clear { lane, .. } => is_lane(core, lane),
        QueueAsk::Recover { .. }
        | QueueAsk::Lanes
        | QueueAsk::ScheduleAdd(_)
        | QueueAsk::ScheduleList { .. }
        | QueueAsk::ScheduleRemove { .. }
        | QueueAsk::ScheduleDue { .. }
        | QueueAsk::Unfinished
        | QueueAsk::DeleteAll => false,
    }
}

/// Returns the refusal of what can't wait, while the database is known to be away.
pub(super) fn is_away(core: &Core) -> Option<Box<WireError>> {
    let is_away = matches!(core.lanes.shared, SharedStore::Away | SharedStore::Lost);
    is_away.then(|| refusals::shared_away(&core.lanes.shared_reason))
}

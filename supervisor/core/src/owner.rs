//! The owner rule (PROTOCOL 5). There is no second place that decides who may stop what.

use alloc::boxed::Box;
use alloc::format;
use gob_protocol::shell::word;
use gob_protocol::{ErrorCode, Name, Owner, WireError};

/// Whether the requester may stop, restart, signal, remove or hand over what this owner owns.
pub(crate) fn may_manage(owner: &Owner, requester: &Owner) -> bool {
    if owner.is_unknown() { requester.is_cli() } else { owner == requester }
}

/// The refusal for somebody who may not.
pub(crate) fn owned_by_other(
    worker: &Name,
    owner: &Owner,
    requester: &Owner,
    pid: Option<i32>,
) -> Box<WireError> {
    let hint = if owner.is_unknown() {
        format!(
            "nobody owns it; the command line may take it over: gobctl start {} --owner cli",
            word(worker.as_str())
        )
    } else {
        format!(
            "ask its owner to stop it, or have it handed over: gobctl hand-over {} {requester} --owner {owner}",
            word(worker.as_str())
        )
    };
    let mut details = serde_json::Map::new();
    details.insert("worker".into(), worker.as_str().into());
    details.insert("owner".into(), owner.as_str().into());
    details.insert("requester".into(), requester.as_str().into());
    if let Some(pid) = pid {
        details.insert("pid".into(), pid.into());
    }
    let message = format!("{worker} is owned by {owner}, you are {requester}");
    Box::new(WireError::new(ErrorCode::ServerOwnedByOther, message).hint(hint).details(details.into()))
}

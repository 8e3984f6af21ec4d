//! Refusals of upgrades.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use gob_protocol::{ErrorCode, Name, Owner, WireError};
use serde_json::json;

/// The new program did not take over.
pub(crate) fn upgrade_failed(why: &str) -> Box<WireError> {
    let message = format!("the supervisor was not upgraded: {why}");
    let hint = "it goes on as it was, and so does every worker; more is in gobctl daemon logs";
    Box::new(WireError::new(ErrorCode::UpgradeFailed, message).hint(hint))
}

/// Another upgrade is under way.
pub(crate) fn upgrade_is_on() -> Box<WireError> {
    let error = WireError::new(ErrorCode::Busy, "an upgrade is under way");
    Box::new(error.hint("see what became of it: gobctl daemon status"))
}

/// The requester is none of those that may replace the supervisor's program.
pub(crate) fn may_not_upgrade(
    others: &[(&Name, &Owner)],
    requester: &Owner,
    force_owners: &[Owner],
) -> Box<WireError> {
    let owners: Vec<&str> = force_owners.iter().map(Owner::as_str).collect();
    let who = if owners.is_empty() { "nobody".into() } else { owners.join(", ") };
    let message = format!("all owners depend on the supervisor's program; you are {requester}");
    let workers: Vec<_> = others
        .iter()
        .map(|(name, owner)| json!({"worker": name.as_str(), "owner": owner.as_str()}))
        .collect();
    let details = json!({"requester": requester.as_str(), "workers": workers});
    let error = WireError::new(ErrorCode::ServerOwnedByOther, message).details(details);
    Box::new(error.hint(format!("an upgrade is for {who} (force_owners in the configuration)")))
}

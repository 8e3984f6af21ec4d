//! Requests about the supervisor itself.

use super::Call;
use crate::pulse::Deadline;
use gob_protocol::Request;
use gob_protocol::answer::{
    EmptyData, NukeData, PingData, ReloadData, ShutdownData, SubscribeData, UpgradeData,
};
use gob_protocol::request::Force;
pub use gob_protocol::request::{Subscribe, Upgrade};

/// Asks whether the supervisor answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping;

/// Makes the supervisor read the configuration again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reload;

/// Requests the supervisor's own health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status;

/// Ends the subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribe;

/// Ends all workers and removes gob's own files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nuke {
    /// Also ends live workers of other owners.
    pub force: bool,
}

/// Ends all workers and the supervisor; logs and history stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// Also ends live workers of other owners.
    pub force: bool,
}

call!(Ping, "ping", PingData, |_this| Request::Ping, {
    const READS: bool = true;
});
call!(Reload, "reload", ReloadData, |_this| Request::Reload);
call!(Nuke, "nuke", NukeData, |this| Request::Nuke(Force { force: this.force }), {
    // Every worker is stopped first.
    fn deadline(&self) -> Deadline {
        Deadline::WhileAlive
    }
});
call!(Shutdown, "shutdown", ShutdownData, |this| Request::Shutdown(Force { force: this.force }), {
    // Every worker is stopped first.
    fn deadline(&self) -> Deadline {
        Deadline::WhileAlive
    }
});
call!(Upgrade, "upgrade", UpgradeData, |this| Request::Upgrade(this), {
    // The new program is tried first, and the supervisor pauses for the moment of its exec.
    fn deadline(&self) -> Deadline {
        Deadline::WhileAlive
    }
});
call!(Subscribe, "subscribe", SubscribeData, |this| Request::Subscribe(this), {
    const READS: bool = true;
});
call!(Unsubscribe, "unsubscribe", EmptyData, |_this| Request::Unsubscribe);
call!(Status, "status", gob_protocol::Status, |_this| Request::Status, {
    const READS: bool = true;
});

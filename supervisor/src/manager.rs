//! Tells the service manager that started the keeper where the supervisor stands (sd_notify(3)).
//!
//! The keeper is the manager's process and stays so; it hands `NOTIFY_SOCKET` down, without which nothing is told. A manager that
//! does not read lets its senders wait, so messages leave on a thread of [`Disks`], one after the other.

use crate::disks::Disks;
use gob_core::Recorded;
use gob_protocol::EventKind;
use sd_notify::NotifyState;

const LANE: &str = "the service manager";

/// Tells that the supervisor serves, and that the keeper is the process to watch, whatever program started it.
pub(crate) fn serving(disks: &Disks, keeper: i32) {
    let keeper = keeper.unsigned_abs();
    tell(disks, move || {
        let status = format!("serving (pid {})", std::process::id());
        sd_notify::notify(&[NotifyState::Ready, NotifyState::MainPid(keeper), NotifyState::Status(&status)])
    });
}

/// Tells that the configuration is read again, until [`reloaded`].
pub(crate) fn reloading(disks: &Disks) {
    tell(disks, || sd_notify::notify(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?]));
}

/// Tells that the configuration was read.
pub(crate) fn reloaded(disks: &Disks) {
    tell(disks, || sd_notify::notify(&[NotifyState::Ready]));
}

/// Tells a change that concerns the manager: the supervisor's own end.
pub(crate) fn heard(disks: &Disks, recorded: &Recorded) {
    if let Recorded::Change(change) = recorded
        && change.event == EventKind::SupervisorStopping
    {
        tell(disks, || sd_notify::notify(&[NotifyState::Stopping]));
    }
}

fn tell(disks: &Disks, send: impl FnOnce() -> std::io::Result<()> + Send + 'static) {
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        drop(disks.hand_in(LANE, move || {
            if let Err(error) = send() {
                tracing::warn!(%error, "cannot tell the service manager");
            }
        }));
    }
}

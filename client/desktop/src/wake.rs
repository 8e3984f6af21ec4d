//! Repaints on request, and none for a window that is not seen.

use eframe::egui;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A delay that no person sees.
const SOON: Duration = Duration::from_millis(1);

/// A request for a repaint that any thread can make.
#[derive(Clone)]
pub(crate) struct Wake {
    egui: egui::Context,
    hidden: Arc<AtomicBool>,
}

impl Wake {
    pub(crate) fn new(egui: egui::Context) -> Self {
        Self { egui, hidden: Arc::default() }
    }

    /// Asks for a repaint; not of a minimised window, which is painted anyway when it is shown again.
    pub(crate) fn now(&self) {
        if !self.hidden.load(Ordering::Acquire) {
            self.egui.request_repaint();
        }
    }

    /// As [`Wake::now`], for what comes all the time: egui draws twice for a request without a delay, and once for this one.
    pub(crate) fn soon(&self) {
        if !self.hidden.load(Ordering::Acquire) {
            self.egui.request_repaint_after(SOON);
        }
    }

    /// Tells whether the window is minimised.
    pub(crate) fn set_hidden(&self, hidden: bool) {
        self.hidden.store(hidden, Ordering::Release);
    }

    /// Brings the window back, or closes it, also while it is minimised.
    pub(crate) fn command(&self, commands: impl IntoIterator<Item = egui::ViewportCommand>) {
        for command in commands {
            self.egui.send_viewport_cmd_to(egui::ViewportId::ROOT, command);
        }
        self.egui.request_repaint();
    }
}

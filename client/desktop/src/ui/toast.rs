//! Answers to what was asked for, in the corner. One that tells of a trouble stays until it is closed.

use super::Desk;
use super::parts::trouble;
use crate::palette::Palette;
use eframe::egui::{self, Align2, vec2};
use gob_client::screen::Trouble;
use std::collections::VecDeque;
use std::time::Duration;

/// Toasts that are shown at once; older ones go.
const MOST: usize = 4;
/// Time for which a sentence is shown, in seconds.
const SHOWN: f64 = 6.0;

#[derive(Debug)]
enum Toast {
    Said(String, Option<f64>),
    Trouble(Trouble),
}

/// The toasts.
#[derive(Debug, Default)]
pub(super) struct Toasts(VecDeque<Toast>);

impl Toasts {
    pub(super) fn say(&mut self, said: String) {
        self.push(Toast::Said(said, None));
    }

    pub(super) fn tell(&mut self, trouble: Trouble) {
        self.push(Toast::Trouble(trouble));
    }

    /// Closes them all; false where there is none.
    pub(super) fn close(&mut self) -> bool {
        !std::mem::take(&mut self.0).is_empty()
    }

    fn push(&mut self, toast: Toast) {
        self.0.push_back(toast);
        while self.0.len() > MOST {
            self.0.pop_front();
        }
    }
}

impl Desk {
    pub(super) fn toasts(&mut self, egui: &egui::Context) {
        let now = egui.input(|input| input.time);
        let mut next: Option<f64> = None;
        self.toasts.0.retain_mut(|toast| match toast {
            Toast::Said(_, until) => {
                let until = *until.get_or_insert(now + SHOWN);
                next = Some(next.map_or(until, |next| next.min(until)));
                now < until
            }
            Toast::Trouble(_) => true,
        });
        if self.toasts.0.is_empty() {
            return;
        }
        // Nothing else may happen until then.
        if let Some(until) = next.filter(|until| *until > now) {
            egui.request_repaint_after(Duration::from_secs_f64(until - now));
        }
        let mut closed = None;
        let area =
            egui::Area::new(egui::Id::unique("toasts")).anchor(Align2::RIGHT_BOTTOM, vec2(-12.0, -12.0));
        area.order(egui::Order::Foreground).show(egui, |ui| {
            ui.set_max_width(420.0);
            for (at, toast) in self.toasts.0.iter().enumerate() {
                let frame = egui::Frame::popup(ui.style()).fill(Palette::of(ui).raised);
                frame.show(ui, |ui| match toast {
                    Toast::Said(said, _) => {
                        ui.label(said);
                    }
                    Toast::Trouble(of) => {
                        trouble(ui, of);
                        if ui.button("Close").clicked() {
                            closed = Some(at);
                        }
                    }
                });
            }
        });
        if let Some(at) = closed {
            self.toasts.0.remove(at);
        }
    }
}

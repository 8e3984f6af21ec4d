//! The tray: whether all is well, the last failures, the way back to the window.
//!
//! A thread of its own speaks to D-Bus. Where there is none, or no tray, the settings say so, once.

use crate::icon;
use crate::wake::Wake;
use eframe::egui::ViewportCommand;
use gob_client::surface::Summary;
use ksni::blocking::TrayMethods;
use ksni::menu::StandardItem;
use ksni::{MenuItem, ToolTip};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// The way to the tray's thread.
#[derive(Clone, Default)]
pub(crate) struct Tray {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    summary: Option<Summary>,
    is_new: bool,
    missing: Option<String>,
}

impl Tray {
    /// Begins the thread.
    ///
    /// # Errors
    /// When no thread can be made.
    pub(crate) fn begin(wake: Wake) -> std::io::Result<Self> {
        let tray = Self::default();
        let its = tray.clone();
        std::thread::Builder::new().name("tray".to_owned()).spawn(move || its.run(wake))?;
        Ok(tray)
    }

    /// Shows this from now on.
    pub(crate) fn show(&self, summary: Summary) {
        let mut state = self.state();
        if state.summary.as_ref() != Some(&summary) {
            state.summary = Some(summary);
            state.is_new = true;
            self.shared.changed.notify_one();
        }
    }

    /// Returns why there is no tray.
    pub(crate) fn missing(&self) -> Option<String> {
        self.state().missing.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Summary> {
        let mut state = self.state();
        while !state.is_new {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_new = false;
        state.summary.clone()
    }

    fn run(&self, wake: Wake) {
        let Some(first) = self.next() else { return };
        let handle = match (Item { summary: first, wake }).spawn() {
            Ok(handle) => handle,
            Err(error) => {
                self.state().missing = Some(error.to_string());
                return;
            }
        };
        while let Some(summary) = self.next() {
            if handle.update(|item| item.summary = summary).is_none() {
                self.state().missing = Some("the desktop ended it".to_owned());
                return;
            }
        }
    }
}

struct Item {
    summary: Summary,
    wake: Wake,
}

impl Item {
    fn show_window(&self) {
        self.wake.command([
            ViewportCommand::Minimized(false),
            ViewportCommand::Visible(true),
            ViewportCommand::Focus,
        ]);
    }
}

impl ksni::Tray for Item {
    fn id(&self) -> String {
        "gob-desktop".to_owned()
    }

    fn title(&self) -> String {
        format!("gob: {}", self.summary.line)
    }

    fn icon_pixmap(&self) -> Vec<ksni::Icon> {
        icon::with_dot(self.summary.tone).into_iter().collect()
    }

    fn tool_tip(&self) -> ToolTip {
        ToolTip { title: self.title(), description: self.summary.failures.join("\n"), ..ToolTip::default() }
    }

    fn activate(&mut self, _x: i32, _y: i32) {
        self.show_window();
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        let text = |label: &str| {
            StandardItem { label: label.replace('_', "__"), enabled: false, ..StandardItem::default() }.into()
        };
        let mut menu: Vec<MenuItem<Self>> = vec![text(&self.summary.line)];
        menu.extend(self.summary.failures.iter().map(|failure| text(failure)));
        menu.push(MenuItem::Separator);
        let show = StandardItem {
            label: "Show the window".to_owned(),
            activate: Box::new(|item: &mut Self| item.show_window()),
            ..StandardItem::default()
        };
        let quit = StandardItem {
            label: "Close; workers go on".to_owned(),
            activate: Box::new(|item: &mut Self| item.wake.command([ViewportCommand::Close])),
            ..StandardItem::default()
        };
        menu.extend([show.into(), quit.into()]);
        menu
    }
}

//! The window: a drawing of what is known, and the wishes of the person before it.
//!
//! Pure but for egui: a [`Scene`] goes in, [`Intent`]s come out, and [`Desk`] remembers what only the window knows: the
//! selection, the open dialog, the answers that are shown.

mod actions;
mod banner;
mod bar;
mod commands;
mod detail;
mod dialog;
mod events;
mod keys;
mod list;
mod log;
mod parts;
mod settings;
mod toast;

use crate::settings::Settings;
use dialog::Dialog;
use eframe::egui;
use gob_client::logs::{Direction, Page, Streams};
use gob_client::protocol::Timestamp;
use gob_client::screen::Trouble;
use gob_client::surface::{self, Answer, Ask, AskId, Choice, Clock, Known, News, Shows};
use gob_client::{Name, Owner, View};
use toast::Toasts;

/// The picture's contents.
pub(crate) struct Scene<'a> {
    pub(crate) known: &'a Known,
    pub(crate) page: &'a Page,
    pub(crate) now: Timestamp,
    pub(crate) clock: &'a Clock,
    /// The kinds of the configuration.
    pub(crate) kinds: &'a [String],
    /// The home directory, from which a new job begins.
    pub(crate) home: &'a str,
    /// Why there is no tray, if there is none.
    pub(crate) tray: Option<&'a str>,
    /// Why notifications can't be shown, where that was tried.
    pub(crate) notifications: Option<&'a str>,
    /// The path of the settings, and why they are not in effect.
    pub(crate) file: &'a str,
    pub(crate) file_trouble: Option<&'a str>,
}

/// A wish of the person before the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Intent {
    /// A request.
    Ask(AskId, Ask),
    /// Start the supervisor.
    Supervise,
    /// Put a text on the clipboard.
    Copy(String),
    /// Keep the settings.
    Save,
    /// Show this output in the log.
    Show(Option<Shown>),
    Follow(bool),
    Older,
    Newer,
    Find(String, bool, Option<i64>),
    Quit,
}

/// The output that the log shows: a worker, one of its runs or the latest, and the streams.
pub(crate) type Shown = (Name, Option<u64>, StreamsKey);

/// The streams of the log, as a person chooses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum StreamsKey {
    #[default]
    Both,
    Stdout,
    Stderr,
}

impl StreamsKey {
    pub(crate) const fn streams(self) -> Streams {
        match self {
            Self::Both => Streams::Both,
            Self::Stdout => Streams::Stdout,
            Self::Stderr => Streams::Stderr,
        }
    }
}

impl Intent {
    /// Returns the direction of a search.
    pub(crate) const fn direction(newer: bool) -> Direction {
        if newer { Direction::Newer } else { Direction::Older }
    }
}

/// The lower half of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Lower {
    #[default]
    Log,
    Events,
}

/// The log as the person wants it.
#[derive(Debug, Default)]
pub(crate) struct LogWish {
    pub(crate) streams: StreamsKey,
    /// A run that was chosen; else the latest.
    pub(crate) run: Option<u64>,
    pub(crate) pattern: String,
    /// The output that is shown now.
    shown: Option<Shown>,
    /// The generation and first line of the page that was drawn last, and the found line that was scrolled to.
    drawn: (u64, i64),
    scrolled_to: Option<i64>,
    /// The scroll offset.
    at: f32,
    is_at_end: bool,
    /// The page of which older or newer lines were asked for.
    asked: Option<(u64, i64, usize)>,
}

/// Knowledge of the window alone.
pub(crate) struct Desk {
    /// The selection, the leases, what was asked for.
    pub(crate) shared: surface::Desk,
    pub(crate) settings: Settings,
    pub(crate) lower: Lower,
    pub(crate) log: LogWish,
    dialog: Option<Dialog>,
    toasts: Toasts,
    intents: Vec<Intent>,
    focus: Option<Focus>,
    /// The choice made in the palette.
    chosen: Option<Choice>,
    selected_before: Option<Name>,
    /// The list has to show the selected row.
    scrolls_to_selected: bool,
    /// The scroll offset of the list, and its height.
    list_view: (f32, f32),
}

/// A control that the next frame gives the keyboard to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Focus {
    List,
    Details,
    Log,
    Events,
    Filter,
    Search,
    Dialog,
}

impl Desk {
    pub(crate) fn new(me: Owner, settings: Settings) -> Self {
        Self {
            shared: surface::Desk::new(me),
            settings,
            lower: Lower::Log,
            log: LogWish::default(),
            dialog: None,
            toasts: Toasts::default(),
            intents: Vec::new(),
            focus: None,
            chosen: None,
            selected_before: None,
            scrolls_to_selected: false,
            list_view: (0.0, 0.0),
        }
    }

    /// Draws everything, and returns what is wanted.
    pub(crate) fn show(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>) -> Vec<Intent> {
        let shown = self.shared.list.shown(scene.known.model.workers(), scene.now);
        let at = self.shared.list.settle(&shown);
        let selected = at.and_then(|at| shown.get(at)).copied();
        self.keys(ui, scene, &shown, selected);
        // A key may have moved it.
        let selected = self.shared.list.settle(&shown).and_then(|at| shown.get(at)).copied();
        self.follow_selection(selected, scene);
        self.banner(ui, scene);
        self.bar(ui, scene);
        self.workers(ui, scene, &shown);
        self.lower(ui, scene, selected);
        egui::CentralPanel::default().show(ui, |ui| match selected {
            Some(worker) => self.detail(ui, scene, worker),
            None => self.nothing(ui, scene),
        });
        self.dialogs(ui.ctx(), scene);
        self.toasts(ui.ctx());
        let asks = self.shared.take().into_iter().map(|(id, ask)| Intent::Ask(id, ask));
        self.intents.extend(asks);
        std::mem::take(&mut self.intents)
    }

    /// Makes the log and the runs those of the selected worker.
    fn follow_selection(&mut self, selected: Option<&View>, scene: &Scene<'_>) {
        let name = selected.map(|worker| &worker.name);
        if self.selected_before.as_ref() != name {
            self.selected_before = name.cloned();
            self.scrolls_to_selected = true;
            self.log.run = None;
        }
        let wanted = name.map(|name| (name.clone(), self.log.run, self.log.streams));
        if self.log.shown != wanted {
            self.log.shown.clone_from(&wanted);
            self.log.asked = None;
            self.log.scrolled_to = None;
            self.intents.push(Intent::Show(wanted));
        }
        self.shared.keep_up(scene.known, selected, Shows::default());
    }

    /// Takes the answer to a request.
    pub(crate) fn answered(&mut self, id: AskId, answer: Result<Answer, Trouble>) {
        let is_open = |dialog: &Dialog, id| dialog.asked == Some(id);
        match self.shared.answered(id, answer) {
            None => {}
            Some(News::Said(said)) => self.toasts.say(said),
            Some(News::Trouble(trouble)) => self.toasts.tell(trouble),
            Some(News::FormDone(id, said)) => {
                self.dialog.take_if(|dialog| is_open(dialog, id));
                self.toasts.say(said);
            }
            Some(News::FormRefused(id, trouble)) => {
                match self.dialog.as_mut().filter(|dialog| is_open(dialog, id)) {
                    Some(dialog) => {
                        dialog.asked = None;
                        dialog.refused = Some(trouble);
                        self.focus = Some(Focus::Dialog);
                    }
                    None => self.toasts.tell(trouble),
                }
            }
        }
    }

    /// Tells of a trouble that no request has.
    pub(crate) fn trouble(&mut self, trouble: Trouble) {
        self.toasts.tell(trouble);
    }
}

#[cfg(test)]
mod tests;

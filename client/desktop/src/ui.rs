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
use gob_client::protocol::{RunRecord, Timestamp};
use gob_client::screen::{List, Trouble};
use gob_client::surface::{Answer, Ask, AskId, Choice, Clock, Known};
use gob_client::{Name, Owner, View};
use std::collections::{BTreeSet, HashMap};
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

/// The runs of a worker as of some change of it.
#[derive(Debug)]
struct Runs {
    of: (Name, u64, gob_client::protocol::State),
    runs: Vec<RunRecord>,
    more: bool,
}

/// The purpose of a request, until its answer comes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Purpose {
    /// A button: its answer is told in passing.
    Button,
    /// The open dialog: it closes with success, and shows a refusal.
    Dialog,
    /// The list of runs.
    Runs(Name, u64, gob_client::protocol::State),
    /// The completion of a dialog.
    Graphs,
}

/// Knowledge of the window alone.
pub(crate) struct Desk {
    pub(crate) me: Owner,
    pub(crate) settings: Settings,
    pub(crate) list: List,
    pub(crate) lower: Lower,
    pub(crate) log: LogWish,
    /// Workers that this window holds.
    pub(crate) held: BTreeSet<Name>,
    dialog: Option<Dialog>,
    toasts: Toasts,
    runs: Option<Runs>,
    open: HashMap<AskId, Purpose>,
    next_id: AskId,
    intents: Vec<Intent>,
    focus: Option<Focus>,
    /// The choice made in the palette.
    chosen: Option<Choice>,
    graphs: Vec<gob_client::protocol::answer::GraphOnDisk>,
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
            me,
            settings,
            list: List::default(),
            lower: Lower::Log,
            log: LogWish::default(),
            held: BTreeSet::new(),
            dialog: None,
            toasts: Toasts::default(),
            runs: None,
            open: HashMap::new(),
            next_id: 1,
            intents: Vec::new(),
            focus: None,
            chosen: None,
            graphs: Vec::new(),
            selected_before: None,
            scrolls_to_selected: false,
            list_view: (0.0, 0.0),
        }
    }

    /// Draws everything, and returns what is wanted.
    pub(crate) fn show(&mut self, ui: &mut egui::Ui, scene: &Scene<'_>) -> Vec<Intent> {
        let shown = self.list.shown(scene.known.model.workers(), scene.now);
        let at = self.list.settle(&shown);
        let selected = at.and_then(|at| shown.get(at)).copied();
        self.keys(ui, scene, &shown, selected);
        // A key may have moved it.
        let selected = self.list.settle(&shown).and_then(|at| shown.get(at)).copied();
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
        let Some(worker) = selected.filter(|_| scene.known.link.is_up()) else { return };
        let of = (worker.name.clone(), worker.run, worker.state);
        let is_asked = self.open.values().any(|purpose| {
            matches!(purpose, Purpose::Runs(name, run, state) if (name, run, state) == (&of.0, &of.1, &of.2))
        });
        if !is_asked && self.runs.as_ref().is_none_or(|runs| runs.of != of) {
            let (name, run, state) = of;
            self.ask_for(Purpose::Runs(name.clone(), run, state), Ask::Runs { name });
        }
    }

    fn ask(&mut self, ask: Ask) {
        self.ask_for(Purpose::Button, ask);
    }

    fn ask_for(&mut self, purpose: Purpose, ask: Ask) {
        let id = self.next_id;
        self.next_id += 1;
        self.open.insert(id, purpose);
        self.intents.push(Intent::Ask(id, ask));
    }

    /// Takes the answer to a request.
    pub(crate) fn answered(&mut self, id: AskId, answer: Result<Answer, Trouble>) {
        let Some(purpose) = self.open.remove(&id) else { return };
        match (purpose, answer) {
            (Purpose::Dialog, Err(trouble))
                if self.dialog.as_ref().is_some_and(|dialog| dialog.asked == Some(id)) =>
            {
                if let Some(dialog) = &mut self.dialog {
                    dialog.asked = None;
                    dialog.refused = Some(trouble);
                    self.focus = Some(Focus::Dialog);
                }
            }
            (Purpose::Runs(name, run, state), answer) => {
                // A history that can't be had is an empty one, and asked for again with the next change.
                let (runs, more) = match answer {
                    Ok(Answer::Runs { runs, more, .. }) => (runs, more),
                    Ok(_) | Err(_) => (Vec::new(), false),
                };
                self.runs = Some(Runs { of: (name, run, state), runs, more });
            }
            (Purpose::Graphs, Ok(Answer::Graphs(graphs))) => self.graphs = graphs,
            (Purpose::Graphs, _) => {}
            (purpose, Ok(Answer::Done { said, shows, .. })) => {
                if purpose == Purpose::Dialog
                    && self.dialog.as_ref().is_some_and(|dialog| dialog.asked == Some(id))
                {
                    self.dialog = None;
                }
                if let Some(name) = shows {
                    self.list.filter.clear();
                    self.list.select(name);
                }
                self.toasts.say(said);
            }
            (_, Ok(Answer::Runs { .. } | Answer::Graphs(_) | Answer::Locks(_) | Answer::Queue(_))) => {}
            (_, Err(trouble)) => self.toasts.tell(trouble),
        }
    }

    /// Tells of a trouble that no request has.
    pub(crate) fn trouble(&mut self, trouble: Trouble) {
        self.toasts.tell(trouble);
    }
}

#[cfg(test)]
mod tests;

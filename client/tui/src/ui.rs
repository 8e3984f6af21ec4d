//! The screen: a drawing of what is known, and the wishes of the person before it.
//!
//! Pure: a [`Scene`] goes in, [`Intent`]s come out, and [`Ui`] remembers what only the screen knows: which pane has the keys, where
//! each is scrolled to, the open dialog, the answers that are shown.

mod about;
mod actions;
mod areas;
mod bars;
mod dialog;
mod events;
mod field;
mod hits;
mod keys;
mod list;
mod log;
mod mouse;
mod paint;
mod project;
mod queue;
mod runs;
mod said;
mod typing;

use crate::look::Look;
use crate::project::Project;
use areas::Areas;
use crossterm::event::{Event, KeyEventKind};
use dialog::Dialog;
use gob_client::logs::{Direction, Page, Streams};
use gob_client::protocol::Timestamp;
use gob_client::screen::Trouble;
use gob_client::surface::{Answer, Ask, AskId, Clock, Desk, Known, News, Shows};
use gob_client::{Name, Owner, View};
use hits::Hits;
use log::LogView;
use mouse::Drag;
use project::Start;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use said::Said;
use std::time::Instant;
use typing::Typing;

/// The picture's contents.
pub(crate) struct Scene<'a> {
    pub(crate) known: &'a Known,
    pub(crate) page: &'a Page,
    /// The time of day, for ages.
    pub(crate) now: Timestamp,
    /// The time that passes, for messages that go.
    pub(crate) instant: Instant,
    pub(crate) clock: &'a Clock,
    /// The kinds of the configuration.
    pub(crate) kinds: &'a [String],
    /// The directory from which a new job begins.
    pub(crate) cwd: &'a str,
    pub(crate) project: Option<&'a Project>,
}

/// A wish of the person before the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Intent {
    /// A request.
    Ask(AskId, Ask),
    /// Start the supervisor.
    Supervise,
    /// Put a text on the clipboard.
    Copy(String),
    /// Show this output in the log.
    Show(Option<Shown>),
    Follow(bool),
    Older,
    Newer,
    Find(String, Direction, Option<i64>),
    /// Stop this process, as a shell does with Ctrl-Z.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Read the kinds of the configuration.
    Kinds,
    /// Read the project file.
    Project,
    Quit,
}

/// The output that the log shows: a worker, one of its runs or the latest, and the streams.
pub(crate) type Shown = (Name, Option<u64>, Streams);

/// A pane that can have the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Pane {
    #[default]
    Workers,
    Details,
    Log,
    Events,
}

impl Pane {
    const ALL: [Self; 4] = [Self::Workers, Self::Details, Self::Log, Self::Events];
}

/// The two sides of the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Side {
    #[default]
    About,
    Runs,
}

/// The lists that share the last pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Last {
    #[default]
    Events,
    Locks,
    Queue,
}

impl Last {
    const ALL: [Self; 3] = [Self::Events, Self::Locks, Self::Queue];
}

/// The scroll offset of a list of lines, and the furthest that there is.
#[derive(Debug, Default)]
struct Scroll {
    at: usize,
    most: usize,
    page: usize,
}

impl Scroll {
    /// Moves by so many lines.
    fn by(&mut self, lines: isize) {
        self.at = self.at.saturating_add_signed(lines).min(self.most);
    }

    /// Takes the sizes as they are drawn, and returns the first line.
    fn fit(&mut self, lines: usize, height: usize) -> usize {
        self.page = height;
        self.most = lines.saturating_sub(height);
        self.at = self.at.min(self.most);
        self.at
    }
}

/// Knowledge of the screen alone.
pub(crate) struct Ui {
    /// The selection, the leases, what was asked for.
    pub(crate) shared: Desk,
    look: Look,
    focus: Pane,
    side: Side,
    last: Last,
    /// The pane of the lower half that is seen where there is no room for both.
    lower: Pane,
    is_zoomed: bool,
    log: LogView,
    about: Scroll,
    /// The selected run.
    run_at: usize,
    /// The number behind the last event that is seen, once a person has scrolled away from the end.
    events_end: Option<u64>,
    locks: Scroll,
    queue: Scroll,
    typing: Option<Typing>,
    dialog: Option<Dialog>,
    said: Said,
    start: Start,
    areas: Areas,
    hits: Hits,
    drag: Option<Drag>,
    /// The last frame, from which text is copied.
    drawn: Buffer,
    selected_before: Option<Name>,
    first_row: usize,
    intents: Vec<Intent>,
}

impl Ui {
    pub(crate) fn new(me: Owner, look: Look) -> Self {
        Self {
            shared: Desk::new(me),
            look,
            focus: Pane::Workers,
            side: Side::About,
            last: Last::Events,
            lower: Pane::Log,
            is_zoomed: false,
            log: LogView::default(),
            about: Scroll::default(),
            run_at: 0,
            events_end: None,
            locks: Scroll::default(),
            queue: Scroll::default(),
            typing: None,
            dialog: None,
            said: Said::default(),
            start: Start::default(),
            areas: Areas::default(),
            hits: Hits::default(),
            drag: None,
            drawn: Buffer::default(),
            selected_before: None,
            first_row: 0,
            intents: Vec::new(),
        }
    }

    /// Takes input, and returns whether anything on the screen may be another thing now.
    pub(crate) fn input(&mut self, event: &Event, scene: &Scene<'_>) -> bool {
        match event {
            Event::Key(key) if key.kind == KeyEventKind::Release => return false,
            Event::Key(key) => self.key(*key, scene),
            Event::Mouse(mouse) => return self.mouse(*mouse, scene),
            Event::Paste(text) => self.paste(text),
            Event::Resize(..) => {}
            Event::FocusGained | Event::FocusLost => return false,
        }
        true
    }

    /// Returns the wishes since the last call, those that follow from the selection among them.
    pub(crate) fn wishes(&mut self, scene: &Scene<'_>) -> Vec<Intent> {
        let shown = self.shared.list.shown(scene.known.model.workers(), scene.now);
        let selected = self.shared.list.settle(&shown).and_then(|at| shown.get(at)).copied();
        self.follow_selection(selected);
        self.search_on(scene.page);
        let is_seen = self.is_seen(Pane::Events);
        let shows =
            Shows { locks: is_seen && self.last == Last::Locks, queue: is_seen && self.last == Last::Queue };
        self.shared.keep_up(scene.known, selected, shows);
        let asks = self.shared.take().into_iter().map(|(id, ask)| Intent::Ask(id, ask));
        self.intents.extend(asks);
        std::mem::take(&mut self.intents)
    }

    /// Makes the log that of the selected worker.
    fn follow_selection(&mut self, selected: Option<&View>) {
        let name = selected.map(|worker| &worker.name);
        if self.selected_before.as_ref() != name {
            self.selected_before = name.cloned();
            self.log.forget();
            self.said.selected(name);
            self.about.at = 0;
            self.run_at = 0;
        }
        let wanted = name.map(|name| (name.clone(), self.log.run, self.log.streams));
        if self.log.show(&wanted) {
            self.intents.push(Intent::Show(wanted));
        }
    }

    /// Draws everything.
    pub(crate) fn draw(&mut self, frame: &mut Frame<'_>, scene: &Scene<'_>) {
        let known = scene.known;
        let banner = known.link.banner(known.model.workers().len() > 0);
        self.areas = Areas::of(frame.area(), banner.as_ref(), self.focus, self.lower, self.is_zoomed);
        self.hits.clear();
        let buf = frame.buffer_mut();
        let Some(areas) = self.areas.fitting() else {
            return paint::put(buf, self.areas.all, "The terminal is too small.", self.look.strong());
        };
        let shown = self.shared.list.shown(known.model.workers(), scene.now);
        let at = self.shared.list.settle(&shown);
        let selected = at.and_then(|at| shown.get(at)).copied();
        self.top_bar(buf, areas.top, scene);
        self.banner(buf, areas.banner, banner.as_ref());
        self.workers(buf, areas.workers, (&shown, at), scene);
        self.details(buf, areas.details, selected, scene);
        self.log_pane(buf, areas.log, selected, scene);
        self.last_pane(buf, areas.events, scene);
        self.bottom_bar(buf, areas.bottom, selected, scene);
        self.troubles(buf, areas.all);
        self.dialogs(buf, areas.all, scene);
        self.mark_drag(buf);
        self.drawn.clone_from(buf);
    }

    /// Returns whether a pane is on the screen.
    fn is_seen(&self, pane: Pane) -> bool {
        self.areas.of_pane(pane).is_some_and(|area| !area.is_empty())
    }

    /// Gives a pane the keys, and shows it.
    fn go_to(&mut self, pane: Pane) {
        self.focus = pane;
        if matches!(pane, Pane::Log | Pane::Events) {
            self.lower = pane;
        }
    }

    /// Takes the answer to a request.
    pub(crate) fn answered(&mut self, id: AskId, answer: Result<Answer, Trouble>, now: Instant) {
        let is_open = |dialog: &Dialog| dialog.asked() == Some(id);
        match self.shared.answered(id, answer) {
            None => {}
            Some(News::Said(said)) => self.said.say(said, now),
            Some(News::Trouble(trouble)) => self.said.tell(trouble),
            Some(News::FormDone(_, said)) => {
                if !self.project_answered(id, None) {
                    self.dialog.take_if(|dialog| is_open(dialog));
                }
                self.said.say(said, now);
            }
            Some(News::FormRefused(_, trouble)) if self.project_answered(id, Some(&trouble)) => {
                self.said.tell(trouble);
            }
            Some(News::FormRefused(_, trouble)) => {
                match self.dialog.as_mut().filter(|dialog| is_open(dialog)) {
                    Some(dialog) => dialog.refuse(trouble),
                    None => self.said.tell(trouble),
                }
            }
        }
    }

    /// Tells of a trouble that no request has.
    pub(crate) fn trouble(&mut self, trouble: Trouble) {
        self.said.tell(trouble);
    }

    /// Returns the time at which a message goes.
    pub(crate) fn goes_at(&self) -> Option<Instant> {
        self.said.until()
    }
}

#[cfg(test)]
mod tests;

//! The window's program: threads on one side, the drawing on the other.

use crate::herald::Herald;
use crate::palette;
use crate::settings::{File, Settings, Theme};
use crate::trace::Trace;
use crate::tray::Tray;
use crate::ui::{Desk, Intent, Scene, Shown};
use crate::wake::Wake;
use eframe::egui::{self, ThemePreference, ViewportCommand};
use gob_client::blocking::Connector;
use gob_client::logs::{Pane, Target};
use gob_client::screen::Trouble;
use gob_client::surface::{self, Ask, Asks, Clock, Feed, Job, Told};
use gob_client::{Dirs, Owner};
use std::time::Duration;

/// The interval at which texts like `2m ago` are renewed while a person sees them.
const MINUTE: Duration = Duration::from_secs(60);
/// The same for a worker that starts or waits, whose state tells seconds.
const SECOND: Duration = Duration::from_secs(1);

/// Everything of one window.
pub(crate) struct App {
    dirs: Dirs,
    desk: Desk,
    feed: Feed,
    asks: Asks,
    pane: Pane,
    tray: Tray,
    herald: Herald,
    wake: Wake,
    clock: Clock,
    kinds: Vec<String>,
    home: String,
    file: File,
    file_trouble: Option<String>,
    is_hidden: bool,
    /// The log was followed when the window was minimised.
    followed: bool,
    /// The connections, and the successions of supervisors, that were seen.
    connections: u64,
    successors: u64,
    trace: Option<Trace>,
}

impl App {
    /// Opens it.
    ///
    /// # Errors
    /// When a thread or descriptor can't be made.
    pub(crate) fn open(
        egui: &egui::Context,
        dirs: Dirs,
        owner: Owner,
        trace: Option<Trace>,
    ) -> std::io::Result<Self> {
        let (file, settings, file_trouble) = File::open(&dirs.config);
        palette::install(egui);
        apply(egui, &settings);
        let wake = Wake::new(egui.clone());
        let connector =
            Connector::new(dirs.clone(), owner.clone()).program("gob-desktop", env!("CARGO_PKG_VERSION"));
        let feed = Feed::default();
        let (tray, herald) = (Tray::begin(wake.clone())?, Herald::begin(settings.notify.clone())?);
        let (shown, told) = (tray.clone(), herald.clone());
        let changed = wake.clone();
        feed.follow(
            connector.clone(),
            move || changed.now(),
            move |alarm, summary| {
                shown.show(summary);
                if let Some(alarm) = alarm {
                    told.tell(alarm);
                }
            },
        )?;
        let (answered, read) = (wake.clone(), wake.clone());
        let asks = Asks::begin(connector, move || answered.now())?;
        let pane = Pane::open(move || read.soon())?;
        Ok(Self {
            kinds: surface::kinds(&dirs),
            home: std::env::var("HOME").unwrap_or_else(|_| "/".to_owned()),
            desk: Desk::new(owner, settings),
            dirs,
            feed,
            asks,
            pane,
            tray,
            herald,
            wake,
            clock: Clock::local(),
            file,
            file_trouble,
            is_hidden: false,
            followed: false,
            connections: 0,
            successors: 0,
            trace,
        })
    }

    fn take_answers(&mut self) {
        while let Some(told) = self.asks.told() {
            match told {
                Told::Answer(id, answer) => self.desk.answered(id, answer),
                Told::NotStarted(trouble) => self.feed.refused(trouble),
            }
        }
    }

    fn fulfil(&mut self, egui: &egui::Context, intent: Intent) {
        match intent {
            Intent::Ask(id, ask) => {
                if ask == Ask::Graphs {
                    self.kinds = surface::kinds(&self.dirs);
                }
                if !self.asks.give(Job::Ask(id, Box::new(ask))) {
                    self.desk.answered(id, Err(too_many()));
                }
            }
            Intent::Supervise => {
                self.asks.give(Job::Supervise);
                self.feed.again();
            }
            Intent::Copy(text) => egui.copy_text(text),
            Intent::Save => self.save(egui),
            Intent::Show(wanted) => self.show_log(wanted),
            Intent::Follow(follows) => self.pane.follow(follows),
            Intent::Older => self.pane.older(),
            Intent::Newer => self.pane.newer(),
            Intent::Find(pattern, newer, from) => self.pane.find(&pattern, Intent::direction(newer), from),
            Intent::Quit => egui.send_viewport_cmd(ViewportCommand::Close),
        }
    }

    fn show_log(&self, wanted: Option<Shown>) {
        self.pane.show(wanted.map(|(name, run, streams)| Target {
            dir: self.dirs.logs().join(name.on_disk()),
            run,
            streams: streams.streams(),
        }));
    }

    fn save(&mut self, egui: &egui::Context) {
        apply(egui, &self.desk.settings);
        self.herald.want(&self.desk.settings.notify);
        match self.file.write(&self.desk.settings) {
            Ok(()) => self.file_trouble = None,
            Err(error) => self.desk.trouble(Trouble {
                code: "settings".to_owned(),
                message: format!("the settings could not be written to {}", self.file.path().display()),
                cause: Some(error.to_string()),
                hint: Some("they hold until this window is closed".to_owned()),
            }),
        }
    }

    /// Asks for the next repaint, where a text on the window grows old by itself and a person looks at it.
    fn schedule(&self, egui: &egui::Context, counts_seconds: bool, has_times: bool) {
        let is_seen = egui.input(|input| input.viewport().focused.unwrap_or(false));
        if is_seen && counts_seconds {
            egui.request_repaint_after(SECOND);
        } else if is_seen && has_times {
            egui.request_repaint_after(MINUTE);
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, egui: &egui::Context, _frame: &mut eframe::Frame) {
        let is_hidden = egui.input(|input| input.viewport().minimized.unwrap_or(false));
        if is_hidden == self.is_hidden {
            return;
        }
        self.is_hidden = is_hidden;
        self.wake.set_hidden(is_hidden);
        // Output that nobody sees is not read either; lines that are held stay.
        if is_hidden {
            self.followed = self.pane.page().follows;
        }
        if self.followed {
            let shown = self.desk.log.shown().filter(|_| !is_hidden).cloned();
            self.show_log(shown);
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        if let Some(trace) = &mut self.trace {
            trace.begin();
        }
        self.take_answers();
        let page = self.pane.page();
        let feed = self.feed.clone();
        let known = feed.known();
        let is_new = self.connections != known.connections;
        self.connections = known.connections;
        if std::mem::replace(&mut self.successors, known.successors) != known.successors {
            self.desk.trouble(known.succession());
        }
        let (no_tray, no_notifications) = (self.tray.missing(), self.herald.trouble());
        let scene = Scene {
            known: &known,
            page: &page,
            now: surface::now(),
            clock: &self.clock,
            kinds: &self.kinds,
            home: &self.home,
            tray: no_tray.as_deref(),
            notifications: no_notifications.as_deref(),
            file: &self.file.path().display().to_string(),
            file_trouble: self.file_trouble.as_deref(),
        };
        let intents = self.desk.show(ui, &scene);
        let counts_seconds = known.model.workers().any(|worker| {
            use gob_client::protocol::State;
            matches!(worker.state, State::Starting | State::Backoff)
        });
        let has_times = known.model.workers().len() > 0;
        drop(known);
        if is_new {
            self.asks.give(Job::Reconnect);
        }
        for intent in intents {
            self.fulfil(ui.ctx(), intent);
        }
        self.schedule(ui.ctx(), counts_seconds, has_times);
        if let Some(trace) = &mut self.trace {
            trace.end();
        }
    }
}

fn too_many() -> Trouble {
    Trouble {
        code: "busy".to_owned(),
        message: "too many requests of this window wait to be sent".to_owned(),
        cause: None,
        hint: Some("wait for the answers".to_owned()),
    }
}

/// Makes theme and size of texts those of the settings.
fn apply(egui: &egui::Context, settings: &Settings) {
    egui.set_theme(match settings.theme {
        Theme::System => ThemePreference::System,
        Theme::Light => ThemePreference::Light,
        Theme::Dark => ThemePreference::Dark,
    });
    egui.set_zoom_factor(f32::from(settings.text_size) / 100.0);
}

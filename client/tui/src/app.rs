//! The loop: input, answers and changes in, frames and wishes out. It waits in one place, and for nothing but its inbox.

use crate::input::{Happened, Inbox};
use crate::pace::Pace;
use crate::tty::Tty;
use crate::ui::{Intent, Scene, Shown, Ui};
use crate::{End, Options};
use gob_client::Dirs;
use gob_client::logs::{Pane, Target};
use gob_client::protocol::State;
use gob_client::screen::Trouble;
use gob_client::surface::{self, Ask, Asks, Clock, Feed, Job, Told};
use nix::sys::signal::Signal;
use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Time after which texts like `2m` are renewed.
const MINUTE: Duration = Duration::from_secs(60);
/// The same where a text tells seconds.
const SECOND: Duration = Duration::from_secs(1);
/// Things that are taken before the next frame at most, so that pasted text is not drawn letter by letter, and does not hold it up.
const TURN: usize = 256;

/// Everything of one screen.
pub(crate) struct App {
    dirs: Dirs,
    cwd: String,
    project: Option<crate::Project>,
    read_project: crate::ReadProject,
    inbox: Inbox,
    tty: Tty,
    ui: Ui,
    pace: Pace,
    feed: Feed,
    asks: Asks,
    pane: Pane,
    clock: Clock,
    kinds: Vec<String>,
    /// The time of the last frame.
    drawn: Instant,
    /// The connections, and the successions of supervisors, that were seen.
    connections: u64,
    successors: u64,
}

impl App {
    /// Takes the terminal over, and begins all threads.
    ///
    /// # Errors
    /// When the terminal can't be used, or no thread can be had.
    pub(crate) fn open(options: Options) -> io::Result<Self> {
        let inbox = Inbox::open()?;
        let feed = Feed::default();
        let [followed, answered, read] = [inbox.bell(), inbox.bell(), inbox.bell()];
        let connector = options.connector.autostart(false);
        feed.follow(connector.clone(), move || followed.ring(), |_, _| {})?;
        let asks = Asks::begin(connector, move || answered.ring())?;
        let pane = Pane::open(move || read.ring())?;
        let mut pace = Pace::default();
        pace.changed(true);
        Ok(Self {
            ui: Ui::new(options.owner, options.look),
            dirs: options.dirs,
            cwd: options.cwd,
            project: None,
            read_project: options.project,
            pace,
            feed,
            asks,
            pane,
            clock: Clock::local(),
            kinds: Vec::new(),
            drawn: Instant::now(),
            connections: 0,
            successors: 0,
            // The last one that can fail: everything after it gives the terminal back.
            tty: Tty::take()?,
            inbox,
        })
    }

    /// Runs until the person, a signal or the terminal ends it.
    ///
    /// # Errors
    /// When the terminal does not take a frame.
    pub(crate) fn run(mut self) -> io::Result<End> {
        loop {
            let wait = self.wait();
            let mut happened = self.inbox.next(wait);
            for _ in 0..TURN {
                let Some(next) = happened.take() else { break };
                if let ControlFlow::Break(end) = self.take(next)? {
                    return Ok(end);
                }
                happened = self.inbox.next(Some(Duration::ZERO));
            }
            if let Some(next) = happened
                && let ControlFlow::Break(end) = self.take(next)?
            {
                return Ok(end);
            }
            if let ControlFlow::Break(end) = self.fulfil_all()? {
                return Ok(end);
            }
            let now = Instant::now();
            if self.grows_old().is_some_and(|age| now >= self.drawn + age)
                || self.ui.goes_at().is_some_and(|at| now >= at)
            {
                self.pace.changed(false);
            }
            if self.pace.wait(now) == Some(Duration::ZERO) {
                self.draw()?;
                self.drawn = Instant::now();
                self.pace.drawn(self.drawn);
                // A pane that the frame shows for the first time, as in a larger terminal, wants its contents.
                if let ControlFlow::Break(end) = self.fulfil_all()? {
                    return Ok(end);
                }
            }
        }
    }

    /// Returns how long nothing has to be done: for ever, where nothing on the screen grows old by itself.
    fn wait(&self) -> Option<Duration> {
        let now = Instant::now();
        let until = |at: Instant| at.saturating_duration_since(now);
        let age = self.grows_old().map(|age| until(self.drawn + age));
        let message = self.ui.goes_at().map(until);
        [self.pace.wait(now), age, message].into_iter().flatten().min()
    }

    /// Returns the time after which a text on the screen is another one.
    fn grows_old(&self) -> Option<Duration> {
        let known = self.feed.known();
        if !known.link.is_up() || known.model.workers().len() == 0 {
            return None;
        }
        let counts_seconds = known.model.workers().any(|worker| match worker.state {
            State::Starting | State::Backoff => true,
            State::Ready => worker.expected_ms.is_some(),
            State::Idle
            | State::Unhealthy
            | State::Stopping
            | State::Failed
            | State::Ceded
            | State::External => false,
        });
        Some(if counts_seconds { SECOND } else { MINUTE })
    }

    fn take(&mut self, happened: Happened) -> io::Result<ControlFlow<End>> {
        match happened {
            Happened::Input(event) => {
                let is_other = self.with_scene(|ui, _, scene| ui.input(&event, scene));
                if is_other {
                    self.pace.changed(true);
                }
            }
            Happened::Changed => self.take_changes(),
            Happened::Signal(Signal::SIGTSTP) => self.suspend()?,
            Happened::Signal(Signal::SIGCONT) => {
                self.tty.resume()?;
                self.pace.changed(true);
            }
            Happened::Signal(signal) => return Ok(ControlFlow::Break(End::Signal(signal as i32))),
            Happened::Hangup => return Ok(ControlFlow::Break(End::Hangup)),
        }
        Ok(ControlFlow::Continue(()))
    }

    fn take_changes(&mut self) {
        let now = Instant::now();
        while let Some(told) = self.asks.told() {
            match told {
                Told::Answer(id, answer) => self.ui.answered(id, answer, now),
                Told::NotStarted(trouble) => self.feed.refused(trouble),
            }
        }
        let known = self.feed.known();
        let is_new = std::mem::replace(&mut self.connections, known.connections) != known.connections;
        let is_other = std::mem::replace(&mut self.successors, known.successors) != known.successors;
        let succession = is_other.then(|| known.succession());
        drop(known);
        if let Some(trouble) = succession {
            self.ui.trouble(trouble);
        }
        if is_new {
            self.asks.give(Job::Reconnect);
        }
        self.pace.changed(false);
    }

    /// Calls something with everything that the screen shows.
    fn with_scene<T>(&mut self, call: impl FnOnce(&mut Ui, &mut Tty, &Scene<'_>) -> T) -> T {
        let page = self.pane.page();
        let known = self.feed.known();
        let scene = Scene {
            known: &known,
            page: &page,
            now: surface::now(),
            instant: Instant::now(),
            clock: &self.clock,
            kinds: &self.kinds,
            cwd: &self.cwd,
            project: self.project.as_ref(),
        };
        call(&mut self.ui, &mut self.tty, &scene)
    }

    /// Does all that is wished for.
    fn fulfil_all(&mut self) -> io::Result<ControlFlow<End>> {
        for intent in self.with_scene(|ui, _, scene| ui.wishes(scene)) {
            match intent {
                Intent::Quit => return Ok(ControlFlow::Break(End::Quit)),
                Intent::Suspend => self.suspend()?,
                Intent::Redraw => self.tty.resume()?,
                Intent::Copy(text) => self.tty.copy(&text)?,
                Intent::Ask(id, ask) => self.ask(id, ask),
                Intent::Supervise => {
                    self.asks.give(Job::Supervise);
                    self.feed.again();
                }
                Intent::Kinds => self.kinds = surface::kinds(&self.dirs),
                Intent::Project => self.project = (self.read_project)(),
                Intent::Show(wanted) => self.show_log(wanted),
                Intent::Follow(follows) => self.pane.follow(follows),
                Intent::Older => self.pane.older(),
                Intent::Newer => self.pane.newer(),
                Intent::Find(pattern, direction, from) => self.pane.find(&pattern, direction, from),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn ask(&mut self, id: surface::AskId, ask: Ask) {
        if !self.asks.give(Job::Ask(id, Box::new(ask))) {
            let trouble = Trouble {
                code: "busy".to_owned(),
                message: "too many requests of this screen wait to be sent".to_owned(),
                cause: None,
                hint: Some("wait for the answers".to_owned()),
            };
            self.ui.answered(id, Err(trouble), Instant::now());
        }
    }

    fn show_log(&self, wanted: Option<Shown>) {
        self.pane.show(wanted.map(|(name, run, streams)| Target {
            dir: self.dirs.logs().join(name.on_disk()),
            run,
            streams,
        }));
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.tty.suspend()?;
        self.pace.changed(true);
        Ok(())
    }

    /// Draws a frame. The terminal gets it when nothing is locked any more: it may not take it for a while.
    fn draw(&mut self) -> io::Result<()> {
        self.tty.fit()?;
        self.with_scene(|ui, tty, scene| tty.render(|frame| ui.draw(frame, scene)));
        self.tty.flush()
    }
}

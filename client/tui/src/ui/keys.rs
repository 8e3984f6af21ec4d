//! The keyboard. The letters are those of the window; an open dialog and a text that is typed have all keys.

use super::dialog::Dialog;
use super::typing::For;
use super::{Intent, Last, Pane, Scene, Side, Ui};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use gob_client::View;
use gob_client::screen::text;
use gob_client::surface::{Command, Form};

/// Keys that are commands, too, with what they do.
pub(super) const COMMANDS: [Command; 22] = [
    ("Enter", "start the worker"),
    ("s", "stop it"),
    ("S", "kill it"),
    ("r", "restart it"),
    ("x", "send a signal to it"),
    ("o", "hand it over"),
    ("d", "remove it"),
    ("l", "hold it, or let go of it"),
    ("c", "copy the endpoint or port of the worker"),
    ("p", "look at the ports of the worker"),
    ("n", "start a graph"),
    ("N", "run a command"),
    ("u", "jobs of the project"),
    ("f", "follow the log, or stop following"),
    ("w", "wrap long lines of the log"),
    ("t", "show or hide the times of the log"),
    ("e", "stdout, stderr or both in the log"),
    ("/", "filter the workers, or search the log"),
    ("z", "enlarge the pane, or shrink what is enlarged"),
    ("R", "start the supervisor, or try again"),
    ("?", "keys"),
    ("q", "quit; workers go on"),
];

/// The other keys.
pub(super) const MORE: [Command; 12] = [
    ("j k Down Up", "move, or scroll"),
    ("PgDn PgUp", "a page; Ctrl-D and Ctrl-U half of one"),
    ("g G", "to the beginning, to the end"),
    ("1 2 3 4", "workers, details, log, events"),
    ("Tab", "the next pane; Shift-Tab the one before"),
    ("[ ]", "details and runs; events, locks and lanes; streams"),
    ("Left Right", "move long lines of the log"),
    ("Ctrl-F", "search the log; n and N in it go on and back"),
    (":", "find a command or a worker by words"),
    ("Esc", "close a message, clear the filter"),
    ("Ctrl-Z", "stop this screen as a shell does; fg brings it back"),
    ("mouse", "click, scroll; drag copies text, Shift-drag selects"),
];

impl Ui {
    pub(super) fn key(&mut self, key: KeyEvent, scene: &Scene<'_>) {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('z') {
            return self.intents.push(Intent::Suspend);
        }
        if self.dialog_key(key, scene) || self.typing_key(key, scene) {
            return;
        }
        if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
            return self.control_key(key, scene);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has a hundred keys")]
        match key.code {
            KeyCode::Char(c) => self.letter(c, scene),
            KeyCode::Enter => self.enter(scene),
            KeyCode::Down => self.scroll_focused(1, scene),
            KeyCode::Up => self.scroll_focused(-1, scene),
            KeyCode::PageDown => self.scroll_focused(self.page(), scene),
            KeyCode::PageUp => self.scroll_focused(-self.page(), scene),
            KeyCode::Home => self.go_to_end(false, scene),
            KeyCode::End => self.go_to_end(true, scene),
            KeyCode::Left | KeyCode::Right if self.focus == Pane::Log => {
                self.scroll_across(key.code == KeyCode::Right);
            }
            KeyCode::Tab => self.next_pane(1),
            KeyCode::BackTab => self.next_pane(3),
            KeyCode::Esc => self.escape(),
            _ => {}
        }
    }

    pub(super) fn paste(&mut self, text: &str) {
        if !self.dialog_paste(text) {
            // Pasted text is no command.
            self.typing_paste(text);
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has a hundred keys")]
    fn control_key(&mut self, key: KeyEvent, scene: &Scene<'_>) {
        match key.code {
            KeyCode::Char('c') => self.quit(scene),
            KeyCode::Char('d') => self.scroll_focused(self.page() / 2, scene),
            KeyCode::Char('u') => self.scroll_focused(-self.page() / 2, scene),
            KeyCode::Char('l') => self.intents.push(Intent::Redraw),
            KeyCode::Char('f') => {
                self.go_to(Pane::Log);
                self.type_for(For::Search);
            }
            _ => {}
        }
    }

    fn letter(&mut self, letter: char, scene: &Scene<'_>) {
        match letter {
            'j' => self.scroll_focused(1, scene),
            'k' => self.scroll_focused(-1, scene),
            'g' => self.go_to_end(false, scene),
            'G' => self.go_to_end(true, scene),
            '1' => self.go_to(Pane::Workers),
            '2' => self.go_to(Pane::Details),
            '3' => self.go_to(Pane::Log),
            '4' => self.go_to(Pane::Events),
            '[' => self.next_tab(false),
            ']' => self.next_tab(true),
            ':' => self.command(":", scene),
            'n' if self.searches() => self.find_next(true, scene.page),
            'N' if self.searches() => self.find_next(false, scene.page),
            letter => {
                let found = COMMANDS.iter().find(|(key, _)| key.chars().eq([letter]));
                if let Some((key, _)) = found {
                    self.command(key, scene);
                }
            }
        }
    }

    /// Whether `n` means the next match: only in the log, once something was searched for.
    const fn searches(&self) -> bool {
        matches!(self.focus, Pane::Log) && !self.log.pattern.is_empty()
    }

    /// Does what a key of [`COMMANDS`] stands for.
    pub(super) fn command(&mut self, key: &str, scene: &Scene<'_>) {
        let shown = self.shared.list.shown(scene.known.model.workers(), scene.now);
        let selected = self.shared.list.settle(&shown).and_then(|at| shown.get(at)).copied();
        if self.act(key, selected, scene) {
            return;
        }
        match key {
            "n" => self.open_new(Form::start_graph(), scene),
            "N" => self.open_new(Form::new_job(scene.cwd), scene),
            "u" => {
                self.intents.push(Intent::Project);
                self.dialog = Some(Dialog::Project(0));
            }
            "f" => {
                self.go_to(Pane::Log);
                self.toggle_follow(scene.page);
            }
            "w" => self.toggle_wrap(),
            "t" => self.toggle_times(),
            "e" => self.next_streams(),
            "/" if self.focus == Pane::Log => self.type_for(For::Search),
            "/" => self.type_for(For::Filter),
            "z" => self.is_zoomed = !self.is_zoomed,
            "R" if scene.known.link.is_up() => {
                self.said.say("The supervisor answers.".to_owned(), scene.instant);
            }
            "R" => self.intents.push(Intent::Supervise),
            ":" => self.dialog = Some(Dialog::palette()),
            "?" => self.dialog = Some(Dialog::help()),
            "q" => self.quit(scene),
            _ => {}
        }
    }

    /// Ends the screen; asks first where jobs would end with it.
    fn quit(&mut self, scene: &Scene<'_>) {
        let workers = scene.known.model.workers();
        let ends = |worker: &&View| worker.state.is_live() && self.shared.ends.contains(&worker.name);
        let jobs: Vec<String> = workers.filter(ends).map(|worker| text::name(worker.name.as_str())).collect();
        if jobs.is_empty() {
            self.intents.push(Intent::Quit);
        } else {
            self.dialog = Some(Dialog::Quit(jobs));
        }
    }

    fn enter(&mut self, scene: &Scene<'_>) {
        match (self.focus, self.side) {
            (Pane::Details, Side::Runs) => {
                let shown = self.shared.list.shown(scene.known.model.workers(), scene.now);
                if let Some(worker) = self.shared.list.settle(&shown).and_then(|at| shown.get(at)) {
                    self.choose_run(worker);
                }
            }
            (Pane::Workers | Pane::Details, _) => self.command("Enter", scene),
            (Pane::Log | Pane::Events, _) => {}
        }
    }

    fn escape(&mut self) {
        if self.said.close() {
            return;
        }
        if !self.shared.list.filter.is_empty() {
            self.shared.list.filter.clear();
        } else if self.log.run.is_some() {
            self.log.run = None;
        } else {
            self.is_zoomed = false;
        }
    }

    fn next_pane(&mut self, by: usize) {
        let at = Pane::ALL.into_iter().cycle().skip_while(|pane| *pane != self.focus).nth(by);
        if let Some(pane) = at {
            self.go_to(pane);
        }
    }

    fn next_tab(&mut self, forward: bool) {
        match self.focus {
            Pane::Workers | Pane::Details => {
                self.side = if self.side == Side::About { Side::Runs } else { Side::About };
            }
            Pane::Log if forward => self.next_streams(),
            Pane::Log => {
                self.next_streams();
                self.next_streams();
            }
            Pane::Events => {
                let by = if forward { 1 } else { Last::ALL.len() - 1 };
                let next = Last::ALL.into_iter().cycle().skip_while(|last| *last != self.last).nth(by);
                self.last = next.unwrap_or_default();
            }
        }
    }

    /// Returns the lines of a page of the pane that has the keys.
    fn page(&self) -> isize {
        let area = self.areas.of_pane(self.focus).unwrap_or_default();
        isize::try_from(area.height.saturating_sub(3)).unwrap_or(1).max(1)
    }

    fn scroll_focused(&mut self, by: isize, scene: &Scene<'_>) {
        self.scroll(self.focus, by, scene);
    }

    /// Moves the selection of a pane, or scrolls it.
    pub(super) fn scroll(&mut self, pane: Pane, by: isize, scene: &Scene<'_>) {
        match pane {
            Pane::Workers => self.step(by, scene),
            Pane::Details if self.side == Side::Runs => self.step_run(by),
            Pane::Details => self.about.by(by),
            Pane::Log => self.scroll_log(by, scene),
            Pane::Events => match self.last {
                Last::Events => self.scroll_events(by, scene),
                Last::Locks => self.locks.by(by),
                Last::Queue => self.queue.by(by),
            },
        }
    }

    fn go_to_end(&mut self, is_last: bool, scene: &Scene<'_>) {
        if self.focus == Pane::Log {
            return self.log_end(is_last, scene);
        }
        let far = if is_last { isize::MAX / 2 } else { isize::MIN / 2 };
        self.scroll_focused(far, scene);
    }

    /// Moves the selection among the workers.
    pub(super) fn step(&mut self, by: isize, scene: &Scene<'_>) {
        let shown: Vec<&View> = self.shared.list.shown(scene.known.model.workers(), scene.now);
        self.shared.list.step(&shown, by);
    }
}

//! The screen without a terminal: keys and clicks in, wishes and text out.

mod forms;
mod panes;

use super::*;
use crate::look::Colours;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use gob_client::screen::{Link, sample};
use gob_client::surface::EventLine;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

const NOW: &str = "2026-11-20T10:02:00.000Z";
const LOOK: Look = Look { colours: Colours::Many, unicode: true };

/// A screen, and everything that it shows.
struct Stage {
    ui: Ui,
    known: Known,
    /// A page of its own for each answer, as the pane makes them.
    page: Box<Page>,
    project: Option<Project>,
    kinds: Vec<String>,
    now: Instant,
    terminal: Terminal<TestBackend>,
}

/// Returns a worker that is ready, with these changes.
fn view(name: &str, changes: Value) -> View {
    sample(name, &changes).unwrap()
}

/// Returns the worker of another owner.
fn others(name: &str) -> View {
    view(name, json!({"owner": "desktop", "owned": false}))
}

impl Stage {
    fn of(workers: Vec<View>, width: u16, height: u16) -> Self {
        let mut known = Known { link: Link::Up, ..Known::default() };
        let data = json!({"seq": 1, "instance": "one", "gap": false, "workers": workers});
        known.model.subscribed(&serde_json::from_value(data).unwrap());
        let mut stage = Self {
            ui: Ui::new(Owner::cli(), LOOK),
            known,
            page: Box::new(Page { follows: true, ..Page::default() }),
            project: None,
            kinds: vec!["graph".to_owned(), "oxigraph".to_owned()],
            now: Instant::now(),
            terminal: Terminal::new(TestBackend::new(width, height)).unwrap(),
        };
        stage.draw();
        stage
    }

    fn with<T>(&mut self, call: impl FnOnce(&mut Ui, &mut Terminal<TestBackend>, &Scene<'_>) -> T) -> T {
        let scene = Scene {
            known: &self.known,
            page: &self.page,
            now: NOW.parse().unwrap(),
            instant: self.now,
            clock: &Clock::utc(),
            kinds: &self.kinds,
            cwd: "/home/ada",
            project: self.project.as_ref(),
        };
        call(&mut self.ui, &mut self.terminal, &scene)
    }

    /// Draws a frame, and returns the screen.
    fn draw(&mut self) -> String {
        self.with(|ui, terminal, scene| terminal.draw(|frame| ui.draw(frame, scene)).map(drop).unwrap());
        let buffer = self.terminal.backend().buffer();
        let line = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..buffer.area.height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
    }

    fn press(&mut self, code: KeyCode, modifiers: KeyModifiers) {
        let key = Event::Key(KeyEvent::new(code, modifiers));
        self.with(|ui, _, scene| ui.input(&key, scene));
        self.draw();
    }

    fn key(&mut self, code: KeyCode) {
        self.press(code, KeyModifiers::NONE);
    }

    /// Presses letters, one after the other.
    fn keys(&mut self, letters: &str) {
        letters.chars().for_each(|letter| self.key(KeyCode::Char(letter)));
    }

    fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) {
        let mouse = Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
        self.with(|ui, _, scene| ui.input(&mouse, scene));
        self.draw();
    }

    /// Clicks on the first place of a text.
    fn click(&mut self, text: &str) {
        let (x, y) = self.place(text);
        self.mouse(MouseEventKind::Down(MouseButton::Left), x, y);
        self.mouse(MouseEventKind::Up(MouseButton::Left), x, y);
    }

    fn place(&mut self, text: &str) -> (u16, u16) {
        let screen = self.draw();
        let found = screen.lines().enumerate().find_map(|(y, line)| Some((line.find(text)?, y, line)));
        let (at, y, line) = found.unwrap_or_else(|| panic!("{text} is not shown:\n{screen}"));
        (line[..at].chars().count() as u16, y as u16)
    }

    /// Returns the wishes since the last call, without those that fill the screen by themselves.
    fn wishes(&mut self) -> Vec<Intent> {
        let all = self.with(|ui, _, scene| ui.wishes(scene));
        let own = |intent: &Intent| {
            !matches!(
                intent,
                Intent::Show(_) | Intent::Kinds | Intent::Ask(_, Ask::Runs { .. } | Ask::Graphs)
            )
        };
        all.into_iter().filter(own).collect()
    }

    /// As [`Stage::wishes`], the requests alone.
    fn asked(&mut self) -> Vec<Ask> {
        self.wishes().into_iter().filter_map(as_ask).map(|(_, ask)| ask).collect()
    }

    /// Returns every request since the last call, with its number.
    fn all_asks(&mut self) -> Vec<(AskId, Ask)> {
        self.with(|ui, _, scene| ui.wishes(scene)).into_iter().filter_map(as_ask).collect()
    }

    fn selected(&mut self) -> String {
        self.draw();
        self.ui.shared.list.selected().map(|name| name.as_str().to_owned()).unwrap_or_default()
    }
}

fn as_ask(intent: Intent) -> Option<(AskId, Ask)> {
    if let Intent::Ask(id, ask) = intent { Some((id, ask)) } else { None }
}

fn name(text: &str) -> Name {
    Name::any(text).unwrap()
}

fn refusal() -> Trouble {
    Trouble {
        code: "server-owned-by-other".to_owned(),
        message: "demo is owned by cli, you are desktop".to_owned(),
        cause: None,
        hint: Some("ask its owner (gobctl, pid 4240)".to_owned()),
    }
}

#[test]
fn a_scroll_stays_within_its_lines() {
    let mut scroll = Scroll::default();
    assert_eq!(scroll.fit(10, 4), 0);
    scroll.by(99);
    assert_eq!(scroll.fit(10, 4), 6);
    scroll.by(-99);
    assert_eq!(scroll.fit(2, 4), 0);
}

#[test]
fn an_action_is_asked_for_by_its_key_and_its_click() {
    let mut stage = Stage::of(vec![view("notes", json!({}))], 100, 30);
    stage.keys("sSr");
    let stop = |force| Ask::Stop { name: name("notes"), force };
    assert_eq!(stage.asked(), [stop(false), stop(true), Ask::Restart { name: name("notes") }]);
    stage.click("s Stop");
    assert_eq!(stage.asked(), [stop(false)]);
    stage.keys("l");
    stage.keys("l");
    assert_eq!(stage.asked(), [Ask::Lease { name: name("notes") }, Ask::Release { name: name("notes") }]);
    stage.keys("c");
    assert_eq!(stage.wishes(), [Intent::Copy("unix:/run/notes.sock".to_owned())]);
    stage.keys("p");
    assert_eq!(stage.asked(), [Ask::Ports { name: name("notes") }]);
}

#[test]
fn an_action_on_what_others_own_says_why_not_and_asks_nothing() {
    let mut stage = Stage::of(vec![others("notes"), others("web")], 100, 30);
    assert_eq!(stage.wishes(), []);
    let screen = stage.draw();
    assert!(screen.contains("It is owned by desktop: you can use it, not stop it."), "{screen}");
    stage.keys("s");
    assert_eq!(stage.asked(), []);
    assert!(stage.draw().contains("notes: Stop: it is owned by desktop"));
    stage.keys("j");
    assert_eq!(stage.wishes(), []);
    assert!(!stage.draw().contains("Stop: it is owned"), "it was about another worker");
    stage.known.link = Link::Away;
    stage.keys("l");
    assert!(stage.draw().contains("Hold: the supervisor is not running"));
    stage.keys("n");
    assert!(stage.draw().contains("Start a graph: the supervisor is not running"));
    assert_eq!(stage.asked(), []);
}

#[test]
fn the_selection_moves_with_keys_wheel_and_clicks() {
    let names = ["a", "b", "c", "d"];
    let mut stage = Stage::of(names.map(|name| view(name, json!({}))).to_vec(), 80, 24);
    stage.keys("jj");
    assert_eq!(stage.selected(), "c");
    stage.keys("k");
    assert_eq!(stage.selected(), "b");
    stage.keys("G");
    assert_eq!(stage.selected(), "d");
    stage.keys("g");
    assert_eq!(stage.selected(), "a");
    stage.click("● c");
    assert_eq!(stage.selected(), "c");
    let (x, y) = stage.place("● a");
    stage.mouse(MouseEventKind::ScrollDown, x, y);
    assert_eq!(stage.selected(), "d");
}

#[test]
fn a_list_longer_than_its_pane_shows_the_selected_worker() {
    let workers = (0..1000).map(|n| view(&format!("w{n}"), json!({}))).collect();
    let mut stage = Stage::of(workers, 80, 24);
    stage.keys("G");
    let screen = stage.draw();
    assert!(screen.contains("● w999") && !screen.contains("● w0 "), "{screen}");
    stage.keys("g");
    assert!(stage.draw().contains("● w0 "));
}

#[test]
fn a_filter_is_typed_and_cleared() {
    let mut stage = Stage::of(vec![view("notes", json!({})), view("web", json!({"kind": "job"}))], 80, 24);
    stage.keys("/jo");
    let screen = stage.draw();
    assert!(screen.contains("Filter: jo") && screen.contains("1 of 2"), "{screen}");
    assert_eq!(stage.selected(), "web");
    stage.keys("x");
    assert!(stage.draw().contains("No worker matches the filter"));
    stage.key(KeyCode::Backspace);
    stage.key(KeyCode::Enter);
    stage.keys("s");
    assert_eq!(stage.asked(), [Ask::Stop { name: name("web"), force: false }]);
    assert!(stage.draw().contains("filter: jo"));
    stage.ui.said = Said::default();
    stage.key(KeyCode::Esc);
    assert!(!stage.draw().contains("filter: jo"));
}

#[test]
fn the_screen_ends_asks_for_nothing_else_and_tells_what_would_end_with_it() {
    let mut stage = Stage::of(vec![view("web", json!({"kind": "job"}))], 80, 24);
    stage.keys("q");
    assert_eq!(stage.wishes(), [Intent::Quit]);
    stage.press(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(stage.wishes(), [Intent::Quit]);
    stage.press(KeyCode::Char('z'), KeyModifiers::CONTROL);
    assert_eq!(stage.wishes(), [Intent::Suspend]);
    stage.ui.shared.ends.insert(name("web"));
    stage.keys("q");
    assert_eq!(stage.wishes(), []);
    assert!(stage.draw().contains("web stops with this screen."), "{}", stage.draw());
    stage.key(KeyCode::Enter);
    assert_eq!(stage.wishes(), [Intent::Quit]);
}

#[test]
fn a_banner_tells_that_the_supervisor_is_away_and_its_key_starts_it() {
    let mut stage = Stage::of(vec![view("notes", json!({}))], 80, 24);
    stage.known.link = Link::Away;
    let screen = stage.draw();
    assert!(screen.contains("The supervisor is not running") && screen.contains("● notes"), "{screen}");
    assert_eq!(stage.wishes(), [], "nothing is started behind anybody's back");
    stage.keys("R");
    assert_eq!(stage.wishes(), [Intent::Supervise]);
    stage.click("R starts it");
    assert_eq!(stage.wishes(), [Intent::Supervise]);
}

#[test]
fn troubles_stay_until_they_are_closed_and_sentences_go() {
    let mut stage = Stage::of(vec![view("demo", json!({}))], 80, 24);
    stage.keys("s");
    let id = stage.all_asks().into_iter().find(|(_, ask)| matches!(ask, Ask::Stop { .. })).map(|(id, _)| id);
    stage.ui.answered(id.unwrap(), Err(refusal()), stage.now);
    let screen = stage.draw();
    assert!(screen.contains("server-owned-by-other") && screen.contains("ask its owner"), "{screen}");
    stage.key(KeyCode::Esc);
    assert!(!stage.draw().contains("server-owned-by-other"));
    stage.ui.said.say("stopped demo".to_owned(), stage.now);
    assert!(stage.draw().contains("stopped demo"));
    let goes = stage.ui.goes_at().unwrap();
    stage.now = goes;
    assert!(!stage.draw().contains("stopped demo"));
    assert_eq!(stage.ui.goes_at(), None);
}

#[test]
fn text_that_is_dragged_over_is_copied() {
    let mut stage = Stage::of(vec![view("notes", json!({}))], 100, 30);
    let (x, y) = stage.place("unix:/run/notes.sock");
    stage.mouse(MouseEventKind::Down(MouseButton::Left), x, y);
    stage.mouse(MouseEventKind::Drag(MouseButton::Left), x + 4, y);
    stage.mouse(MouseEventKind::Up(MouseButton::Left), x + 4, y);
    assert_eq!(stage.wishes(), [Intent::Copy("unix:".to_owned())]);
    assert!(stage.draw().contains("copied 5 characters"));
    stage.mouse(MouseEventKind::Down(MouseButton::Left), x, y);
    stage.mouse(MouseEventKind::Drag(MouseButton::Left), x, y + 1);
    stage.mouse(MouseEventKind::Up(MouseButton::Left), x, y + 1);
    let copied = stage.wishes();
    assert!(
        matches!(copied.as_slice(), [Intent::Copy(text)] if text.starts_with("unix:/run/notes.sock\n")),
        "{copied:?}"
    );
}

#[test]
fn nothing_is_drawn_where_there_is_no_room_and_everything_where_there_is() {
    for (width, height) in [(1, 1), (19, 5), (20, 6), (33, 9), (59, 15), (60, 16), (80, 24), (300, 80)] {
        let mut stage = Stage::of(vec![view("notes", json!({})), others("日本語のグラフ")], width, height);
        for keys in ["2", "3", "4", "]", "]", ":", "?", "n"] {
            stage.keys(keys);
            stage.key(KeyCode::Esc);
        }
        stage.known.link = Link::Away;
        stage.draw();
    }
}

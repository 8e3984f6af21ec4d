//! The list of workers, the keyboard, events and the log.

use super::*;
use gob_client::logs::{Pane, Target};

fn selected(window: &Window) -> Option<&str> {
    window.state().desk.shared.list.selected().map(Name::as_str)
}

#[test]
fn workers_are_rows_that_are_heard_as_they_are_seen() {
    let failed = json!({"owner": "cli", "owned": false, "state": "failed", "pid": null, "reason": "why"});
    let window = window(vec![view("notes", json!({})), view("bad", failed)]);
    let row = window.get_by_role_and_label(Role::ListItem, "notes, ready, owned by desktop (you)");
    assert!(row.accesskit_node().toggled().is_some());
    window.get_by_role_and_label(Role::ListItem, "bad, failed, owned by cli, why");
    window.get_by_label("2 workers");
}

#[test]
fn the_keyboard_moves_the_selection_and_acts_on_it() {
    let mut window = window(vec![view("a", json!({})), view("b", json!({})), view("c", json!({}))]);
    assert_eq!(selected(&window), Some("a"));
    keys(&mut window, "jj");
    assert_eq!(selected(&window), Some("c"));
    window.key_press(egui::Key::ArrowUp);
    settle(&mut window);
    assert_eq!(selected(&window), Some("b"));
    keys(&mut window, "k");
    window.key_press(egui::Key::End);
    settle(&mut window);
    assert_eq!(selected(&window), Some("c"));
    keys(&mut window, "sSrl");
    let c = || name("c");
    let all = [
        Ask::Stop { name: c(), force: false },
        Ask::Stop { name: c(), force: true },
        Ask::Restart { name: c() },
        Ask::Lease { name: c() },
    ];
    assert_eq!(asked(&mut window), all);
    window.key_press(egui::Key::Enter);
    assert_eq!(asked(&mut window), []);
    window.get_by_label("Start: it is ready already");
    keys(&mut window, "q");
    assert_eq!(wanted(&mut window), [Intent::Quit]);
}

#[test]
fn a_filter_is_typed_and_no_letter_of_it_is_a_command() {
    let mut window = window(vec![view("notes", json!({})), view("web", json!({"kind": "job"}))]);
    keys(&mut window, "/");
    keys(&mut window, "job");
    assert_eq!((selected(&window), window.state().desk.shared.list.filter.as_str()), (Some("web"), "job"));
    window.get_by_label("1 of 2 workers");
    assert_eq!(asked(&mut window), []);
    keys(&mut window, "x");
    window.get_by_label("No worker matches the filter");
    press(&mut window, "Clear the filter");
    assert_eq!(selected(&window), Some("web"), "the selection came back");
}

#[test]
fn an_empty_window_teaches() {
    let window = window(vec![]);
    window.get_by_label("Nothing runs yet");
    window.get_by_label_contains("gobctl start notes");
    window.get_by_role_and_label(Role::Button, "Start a graph…");
}

#[test]
fn of_a_thousand_workers_only_those_that_are_seen_are_drawn() {
    let views = (0..1_000).map(|number| view(&format!("n{number}"), json!({}))).collect();
    let mut window = window(views);
    let rows = |window: &Window| window.query_all_by_role(Role::ListItem).count();
    assert!((5..60).contains(&rows(&window)), "{}", rows(&window));
    window.key_press(egui::Key::End);
    settle(&mut window);
    assert_eq!(selected(&window), Some("n999"));
    window.get_by_role_and_label(Role::ListItem, "n999, ready, owned by desktop (you)");
}

#[test]
fn events_are_shown_in_the_words_of_gobctl() {
    let mut known = known(vec![view("demo", json!({}))]);
    let client = json!({"owner": "cli", "client": "gobctl", "pid": 4240});
    let idle = json!(view("demo", json!({"state": "idle", "exit": {"code": 0}})));
    let event = json!({"event": "worker_stopped", "seq": 2, "time": NOW, "actor": client, "worker": idle});
    known.frame(&event.to_string());
    let mut window = window_of(known);
    press(&mut window, "Events");
    window.get_by_label("10:02:00.000");
    window.get_by_label("stopped");
    window.get_by_label("exited 0   by cli (gobctl, pid 4240)");
}

#[test]
fn the_log_is_read_searched_and_held() {
    let dir = tempfile::tempdir().unwrap();
    let lines: String = (0..300).map(|number| format!("line {number}\u{1b}[0m\n")).collect();
    std::fs::write(dir.path().join("1.stdout.log"), lines).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let pane = Pane::open(move || tell.send(()).unwrap_or(())).unwrap();
    pane.show(Some(Target { dir: dir.path().to_owned(), run: None, streams: Streams::Both }));
    while pane.page().lines.len() < 300 {
        told.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    }
    let mut window = window(vec![view("demo", json!({}))]);
    window.state_mut().page = Page::clone(&pane.page());
    settle(&mut window);
    window.get_by_label("line 299");
    // A page that comes is at its end in the very frame that draws it first.
    let more: String = (300..350).map(|number| format!("line {number}\n")).collect();
    let mut file = std::fs::OpenOptions::new().append(true).open(dir.path().join("1.stdout.log")).unwrap();
    std::io::Write::write_all(&mut file, more.as_bytes()).unwrap();
    while pane.page().lines.len() < 350 {
        told.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    }
    window.state_mut().page = Page::clone(&pane.page());
    window.run_steps(1);
    let last = window.get_by_label("line 349").rect();
    assert!((860.0..=900.0).contains(&last.bottom()), "{last:?}");
    window.hover_at(last.center());
    window.run_steps(1);
    window.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Line,
        source: egui::MouseWheelSource::Unknown,
        delta: egui::vec2(0.0, 3.0),
        phase: egui::TouchPhase::Move,
        modifiers: egui::Modifiers::NONE,
    });
    window.run_steps(1);
    assert_eq!(wanted(&mut window).first(), Some(&Intent::Follow(false)));
    assert!(window.query_by_label("line 0").is_none(), "only what is seen is drawn");
    window.get_by_role_and_label(Role::CheckBox, "Follow").click();
    assert_eq!(wanted(&mut window), [Intent::Follow(false)]);
    keys(&mut window, "f");
    assert_eq!(wanted(&mut window), [Intent::Follow(false)]);
    let field = window.get_by_role_and_label(Role::TextInput, "Search the log");
    field.focus();
    field.type_text("line 7");
    settle(&mut window);
    press(&mut window, "Previous match");
    assert_eq!(wanted(&mut window), [Intent::Find("line 7".to_owned(), false, None)]);
    pane.find("line 42", gob_client::logs::Direction::Older, None);
    while pane.page().found().is_none() {
        told.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    }
    window.state_mut().page = Page::clone(&pane.page());
    settle(&mut window);
    window.get_by_label("line 42");
    keys(&mut window, "w");
    window.get_by_label("line 42");
    press(&mut window, "stderr");
    let shows = std::mem::take(&mut window.state_mut().intents);
    assert!(shows.contains(&Intent::Show(Some((name("demo"), None, StreamsKey::Stderr)))));
}

#[test]
fn in_a_small_window_with_large_texts_every_part_has_room() {
    let mut window = window(vec![view("demo", json!({}))]);
    window.set_size(egui::vec2(590.0, 380.0));
    settle(&mut window);
    let top = |label: &str| window.get_by_role_and_label(Role::Button, label).rect().top();
    assert!(top("Log") > 190.0, "the log takes {} of 380", 380.0 - top("Log"));
    keys(&mut window, ",");
    let close = window.get_by_role_and_label(Role::Button, "Close").rect();
    assert!(close.bottom() < 380.0, "{close:?}");
}

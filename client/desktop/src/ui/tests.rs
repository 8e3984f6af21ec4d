//! The window without a display: what is there by name, role and description, and what each control wants.

mod dialogs;
mod lists;

use super::*;
use crate::palette;
use crate::testing::view;
use eframe::egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use gob_client::screen::{Action, Link};
use serde_json::json;

/// A window with what it is shown.
struct Stage {
    desk: Desk,
    known: Known,
    page: Page,
    intents: Vec<Intent>,
    /// The number of the latest request that was taken.
    latest: u64,
    file_trouble: Option<&'static str>,
}

type Window = Harness<'static, Stage>;

const NOW: &str = "2026-11-20T10:02:00.000Z";

fn known(views: Vec<View>) -> Known {
    let mut known = Known { link: Link::Up, ..Known::default() };
    known.model.reset("i".to_owned(), 1, views);
    known
}

fn window(views: Vec<View>) -> Window {
    window_of(known(views))
}

fn window_of(known: Known) -> Window {
    let me = Owner::new("desktop").unwrap();
    let desk = Desk::new(me, Settings::default());
    let shown =
        Stage { desk, known, page: Page::default(), intents: Vec::new(), latest: 0, file_trouble: None };
    let builder = Harness::builder().with_size([1180.0, 900.0]).with_step_dt(0.01);
    let mut harness = builder.build_ui_state(
        |ui, shown: &mut Stage| {
            let scene = Scene {
                known: &shown.known,
                page: &shown.page,
                now: NOW.parse().unwrap(),
                clock: &Clock::utc(),
                kinds: &["graph".to_owned(), "oxigraph".to_owned()],
                home: "/home/ada",
                tray: Some("no D-Bus"),
                notifications: Some("no service"),
                file: "/home/ada/.config/gob/desktop.toml",
                file_trouble: shown.file_trouble,
            };
            shown.intents.extend(shown.desk.show(ui, &scene));
        },
        shown,
    );
    palette::install(&harness.ctx);
    settle(&mut harness);
    harness
}

/// Draws until nothing changes, but for toasts that go in their time.
fn settle(window: &mut Window) {
    window.run_steps(4);
}

/// Returns the wishes since the last call.
fn taken(window: &mut Window) -> Vec<Intent> {
    settle(window);
    let shown = window.state_mut();
    let asked = shown.intents.iter().filter_map(|intent| {
        let Intent::Ask(id, _) = intent else { return None };
        Some(*id)
    });
    shown.latest = asked.max().unwrap_or(shown.latest);
    std::mem::take(&mut shown.intents)
}

/// Returns the requests that were wanted since the last call, without those that fill the window by themselves.
fn asked(window: &mut Window) -> Vec<Ask> {
    let asks = taken(window).into_iter().filter_map(|intent| {
        let Intent::Ask(_, ask) = intent else { return None };
        Some(ask).filter(|ask| !matches!(ask, Ask::Runs { .. } | Ask::Graphs))
    });
    asks.collect()
}

/// Returns the other wishes.
fn wanted(window: &mut Window) -> Vec<Intent> {
    taken(window).into_iter().filter(|intent| !matches!(intent, Intent::Ask(..) | Intent::Show(_))).collect()
}

fn press(window: &mut Window, button: &str) {
    window.get_by_role_and_label(Role::Button, button).click();
    settle(window);
}

fn name(text: &str) -> Name {
    Name::any(text).unwrap()
}

/// Types letters as a keyboard does.
fn keys(window: &mut Window, letters: &str) {
    for letter in letters.chars() {
        window.event(egui::Event::Text(letter.to_string()));
        settle(window);
    }
}

/// Answers the latest request.
fn answer(window: &mut Window, answer: Result<Answer, Trouble>) {
    let held = taken(window);
    let shown = window.state_mut();
    shown.intents = held;
    let id = shown.latest;
    shown.desk.answered(id, answer);
    settle(window);
}

fn refusal() -> Trouble {
    Trouble {
        code: "server-owned-by-other".to_owned(),
        message: "demo is owned by cli, you are desktop".to_owned(),
        cause: None,
        hint: Some("ask its owner (gobctl, pid 4240)".to_owned()),
    }
}

fn button(action: Action) -> String {
    actions::label(action)
}

#[test]
fn every_action_that_is_allowed_is_asked_for() {
    let mut window = window(vec![view("demo", json!({}))]);
    let demo = || name("demo");
    for (button, ask) in [
        ("Stop", Ask::Stop { name: demo(), force: false }),
        ("Kill", Ask::Stop { name: demo(), force: true }),
        ("Restart", Ask::Restart { name: demo() }),
        ("Hold", Ask::Lease { name: demo() }),
        ("Let go", Ask::Release { name: demo() }),
        ("Look again", Ask::Ports { name: demo() }),
    ] {
        press(&mut window, button);
        assert_eq!(asked(&mut window), [ask], "{button}");
    }
    let down = json!({"state": "idle", "pid": null, "endpoint": null});
    window.state_mut().known = known(vec![view("demo", down)]);
    settle(&mut window);
    press(&mut window, "Start");
    assert_eq!(asked(&mut window), [Ask::Start { name: demo(), kind: None }]);
}

#[test]
fn every_action_that_is_not_allowed_is_there_and_says_why() {
    let others = json!({"owner": "cli", "owned": false});
    let nobodys = json!({"owner": "unknown", "owned": false});
    let foreign = json!({"owner": "unknown", "owned": false, "state": "external"});
    let idle = json!({"state": "idle", "pid": null, "endpoint": null});
    let blocked = json!({"state": "failed", "pid": null, "endpoint": null, "blocked": "its data is gone"});
    let all = [others, nobodys, foreign, idle, blocked, json!({}), json!({"state": "stopping"})];
    let me = Owner::new("desktop").unwrap();
    let mut refused = 0;
    for changes in all {
        let worker = view("demo", changes);
        let mut window = window(vec![worker.clone()]);
        for (action, allowed) in gob_client::screen::actions(&worker, &me) {
            let label = button(action);
            let node = window.get_by_role_and_label(Role::Button, &label);
            let node = node.accesskit_node();
            assert_eq!(node.is_disabled(), allowed.is_err(), "{action:?} of {worker:?}");
            if let Err(reason) = allowed {
                refused += 1;
                assert_eq!(node.description(), Some(reason.to_string()), "{action:?}");
                press(&mut window, &button(action));
                assert_eq!(asked(&mut window), [], "{action:?}");
            }
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn a_worker_in_other_hands_can_be_used_and_says_whose_it_is() {
    let mut window = window(vec![view("demo", json!({"owner": "cli", "owned": false}))]);
    window.get_by_label_contains("you can use it, not stop it");
    press(&mut window, "Copy the endpoint");
    assert_eq!(wanted(&mut window), [Intent::Copy("unix:/run/demo.sock".to_owned())]);
    press(&mut window, "Hold");
    assert_eq!(asked(&mut window), [Ask::Lease { name: name("demo") }]);
}

#[test]
fn a_failed_worker_says_why_and_offers_its_log() {
    let failed =
        json!({"state": "failed", "pid": null, "endpoint": null, "reason": "exited 1 five times\u{1b}"});
    let mut window = window(vec![view("demo", failed)]);
    window.state_mut().desk.lower = Lower::Events;
    window.get_by_label("exited 1 five times\\x1b");
    press(&mut window, "Show its log");
    assert_eq!(window.state().desk.lower, Lower::Log);
}

#[test]
fn the_log_and_the_runs_are_those_of_the_selected_worker() {
    let mut window = window(vec![view("a", json!({})), view("b", json!({"run": 4}))]);
    let shows = |window: &mut Window| -> Vec<Intent> {
        taken(window)
            .into_iter()
            .filter(|intent| matches!(intent, Intent::Show(_) | Intent::Ask(..)))
            .collect()
    };
    let first = shows(&mut window);
    assert_eq!(first.first(), Some(&Intent::Show(Some((name("a"), None, StreamsKey::Both)))));
    assert!(matches!(first.get(1), Some(Intent::Ask(_, Ask::Runs { name })) if name.as_str() == "a"));
    keys(&mut window, "j");
    assert_eq!(shows(&mut window).first(), Some(&Intent::Show(Some((name("b"), None, StreamsKey::Both)))));
    let run = json!({
        "run": 3, "pid": 7, "started_at": "2026-11-20T09:00:00.000Z", "ready_at": null, "stopped_at": null,
        "duration_ms": 5000, "exit": {"code": 3}, "outcome": "failure", "owner": "cli", "actor": "supervisor",
    });
    let runs = vec![serde_json::from_value(run).unwrap()];
    answer(&mut window, Ok(Answer::Runs { name: name("b"), runs, more: true }));
    window.get_by_label("exited 3");
    press(&mut window, "Log of run 3");
    assert_eq!(shows(&mut window), [Intent::Show(Some((name("b"), Some(3), StreamsKey::Both)))]);
    press(&mut window, "Latest run");
    assert_eq!(shows(&mut window), [Intent::Show(Some((name("b"), None, StreamsKey::Both)))]);
    // It is restarted: the history is another one.
    window.state_mut().known = known(vec![view("a", json!({})), view("b", json!({"run": 5}))]);
    settle(&mut window);
    assert!(matches!(shows(&mut window).first(), Some(Intent::Ask(_, Ask::Runs { .. }))));
}

#[test]
fn a_supervisor_that_is_away_leaves_everything_readable_and_offers_a_start() {
    let mut away = known(vec![view("demo", json!({}))]);
    away.link = Link::Away;
    let mut window = window_of(away);
    window.get_by_label_contains("last known state");
    window.get_by_label("unix:/run/demo.sock");
    for label in ["Start graph…", "New job…", "Stop", "Restart", "Remove…", "Hold", "Look again"] {
        let node = window.get_by_role_and_label(Role::Button, label);
        assert_eq!(node.accesskit_node().description().as_deref(), Some(Link::AWAY), "{label}");
    }
    keys(&mut window, "srl");
    assert_eq!(asked(&mut window), []);
    press(&mut window, "Start the supervisor");
    assert_eq!(wanted(&mut window), [Intent::Supervise]);
    window.state_mut().known.link = Link::Refused(refusal());
    settle(&mut window);
    window.get_by_label("demo is owned by cli, you are desktop (server-owned-by-other)");
    window.get_by_label("ask its owner (gobctl, pid 4240)");
}

#[test]
fn a_refusal_is_shown_as_it_is_until_it_is_closed() {
    let mut window = window(vec![view("demo", json!({}))]);
    press(&mut window, "Stop");
    answer(&mut window, Err(refusal()));
    window.get_by_label("demo is owned by cli, you are desktop (server-owned-by-other)");
    window.get_by_label("ask its owner (gobctl, pid 4240)");
    press(&mut window, "Close");
    assert!(window.query_by_label_contains("server-owned-by-other").is_none());
    press(&mut window, "Restart");
    answer(&mut window, Ok(Answer::Done { said: "restarted demo".to_owned(), shows: None, holds: false }));
    window.get_by_label("restarted demo");
}

#[test]
fn every_control_has_a_name_in_every_view() {
    let mut window = window(vec![view("demo", json!({"leases": 1})), view("web", json!({"kind": "job"}))]);
    for letter in ["", "n", "N", "d", "o", ",", "?", "4"] {
        keys(&mut window, letter);
        assert_eq!(window.unnamed_widgets(), Vec::<String>::new(), "after {letter}");
        let controls = window.root().children_recursive().filter(|node| {
            let role = node.accesskit_node().role();
            matches!(role, Role::Button | Role::TextInput | Role::CheckBox | Role::ListItem | Role::ComboBox)
        });
        assert!(controls.count() > 3, "after {letter}");
        window.key_press(egui::Key::Escape);
        settle(&mut window);
    }
}

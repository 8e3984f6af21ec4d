//! Panes: the details, runs, the log, events, locks and lanes.
#![expect(clippy::replace_box, reason = "each answer of the pane is a page of its own")]

use super::*;
use gob_client::logs::{Line, Searched, Stream};
use gob_client::screen::Tone;
use std::sync::Arc;

fn page(lines: usize) -> Page {
    let line = |n| {
        Arc::new(Line::of(if n % 5 == 4 { Stream::Stderr } else { Stream::Stdout }, &format!("line {n}")))
    };
    Page {
        run: Some(1),
        generation: 1,
        follows: true,
        lines: (0..lines).map(line).collect(),
        ..Page::default()
    }
}

#[test]
fn the_log_is_that_of_the_selected_worker() {
    let mut stage = Stage::of(vec![view("a", json!({})), view("b", json!({}))], 80, 24);
    let shows = |stage: &mut Stage| {
        let all = stage.with(|ui, _, scene| ui.wishes(scene));
        all.into_iter().filter(|intent| matches!(intent, Intent::Show(_))).collect::<Vec<_>>()
    };
    assert_eq!(shows(&mut stage), [Intent::Show(Some((name("a"), None, Streams::Both)))]);
    assert_eq!(shows(&mut stage), [], "it is shown already");
    stage.keys("je");
    assert_eq!(shows(&mut stage), [Intent::Show(Some((name("b"), None, Streams::Stdout)))]);
    stage.click(" both ");
    assert_eq!(shows(&mut stage), [Intent::Show(Some((name("b"), None, Streams::Both)))]);
}

#[test]
fn the_end_of_the_log_is_followed_and_a_scroll_holds_it() {
    let mut stage = Stage::of(vec![view("a", json!({}))], 80, 24);
    stage.page = Box::new(page(50));
    assert_eq!(stage.wishes(), []);
    let screen = stage.draw();
    assert!(screen.contains("! line 49") && screen.contains("following"), "{screen}");
    stage.keys("3k");
    assert_eq!(stage.wishes(), [Intent::Follow(false)]);
    stage.page.follows = false;
    let screen = stage.draw();
    assert!(screen.contains("held") && !screen.contains("line 49"), "{screen}");
    stage.keys("G");
    assert_eq!(stage.wishes(), [Intent::Follow(true)]);
    let (x, y) = stage.place("line 45");
    stage.page.follows = true;
    stage.mouse(MouseEventKind::ScrollUp, x, y);
    assert_eq!(stage.wishes(), [Intent::Follow(false)]);
}

#[test]
fn the_log_is_searched_and_the_next_match_found() {
    let mut stage = Stage::of(vec![view("a", json!({}))], 80, 24);
    stage.page = Box::new(page(50));
    stage.keys("3/line 1");
    stage.key(KeyCode::Enter);
    let find = |direction, from| Intent::Find("line 1".to_owned(), direction, from);
    assert_eq!(stage.wishes(), [find(Direction::Older, None)]);
    stage.page = Box::new(Page { follows: false, searched: Some(Searched::Found(19)), ..page(50) });
    assert!(stage.draw().contains("! line 19"));
    stage.keys("nN");
    assert_eq!(stage.wishes(), [find(Direction::Older, Some(19)), find(Direction::Newer, Some(19))]);
    // Another pattern begins from what is seen, not from the earlier match.
    stage.keys("g/line 2");
    stage.key(KeyCode::Enter);
    assert_eq!(stage.wishes(), [Intent::Find("line 2".to_owned(), Direction::Newer, Some(-1))]);
    stage.keys("/line 1");
    stage.key(KeyCode::Enter);
    stage.wishes();
    stage.page.searched = Some(Searched::NotFound);
    assert!(stage.draw().contains("not found: line 1"));
    stage.keys("1n");
    assert!(stage.draw().contains("Start a graph"), "outside of the log it is the key of a new graph");
}

#[test]
fn long_lines_are_broken_or_moved_to_the_side() {
    let mut stage = Stage::of(vec![view("a", json!({}))], 80, 24);
    let long = format!("{}END", "x".repeat(120));
    stage.page.lines = vec![Arc::new(Line::of(Stream::Stdout, &long))];
    assert!(stage.draw().contains("x…"));
    stage.keys("w");
    assert!(stage.draw().contains("END"));
    stage.keys("w3");
    for _ in 0..8 {
        stage.key(KeyCode::Right);
    }
    let screen = stage.draw();
    assert!(screen.contains("END") && screen.contains("from column 65"), "{screen}");
    stage.key(KeyCode::Left);
    assert!(stage.draw().contains("from column 57"));
}

#[test]
fn a_search_that_finds_nothing_below_goes_on_above() {
    let mut stage = Stage::of(vec![view("a", json!({}))], 80, 24);
    stage.wishes();
    stage.page = Box::new(Page { follows: false, ..page(50) });
    stage.keys("3kkk/line 1");
    stage.key(KeyCode::Enter);
    let find = |direction, from| Intent::Find("line 1".to_owned(), direction, Some(from));
    assert_eq!(stage.wishes(), [find(Direction::Newer, 37)]);
    assert_eq!(stage.wishes(), []);
    stage.page = Box::new(Page { follows: false, searched: Some(Searched::NotFound), ..page(50) });
    assert_eq!(stage.wishes(), [find(Direction::Older, 38)]);
    stage.page = Box::new(Page { follows: false, searched: Some(Searched::NotFound), ..page(50) });
    assert_eq!(stage.wishes(), []);
}

#[test]
fn a_match_far_to_the_right_is_brought_into_sight() {
    let mut stage = Stage::of(vec![view("a", json!({}))], 80, 24);
    stage.wishes();
    let long = format!("{} NEEDLE {}", "x".repeat(3000), "y".repeat(300));
    stage.page.lines = vec![Arc::new(Line::of(Stream::Stdout, &long))];
    stage.keys("3/needle");
    stage.key(KeyCode::Enter);
    let found = Page { follows: false, searched: Some(Searched::Found(0)), ..Page::clone(&stage.page) };
    stage.page = Box::new(found);
    let screen = stage.draw();
    assert!(screen.contains("x NEEDLE y"), "{screen}");
}

#[test]
fn the_weightiest_remarks_of_the_log_have_room_first() {
    let mut stage = Stage::of(vec![view("a", json!({}))], 80, 24);
    stage.page = Box::new(Page {
        follows: false,
        searched: Some(Searched::Invalid("a group is open, column 1".to_owned())),
        ..page(9)
    });
    stage.keys("w3");
    let screen = stage.draw();
    assert!(screen.contains("a group is open, column 1") && !screen.contains("wrapped"), "{screen}");
    stage.ui.log.pattern = "z".repeat(200);
    stage.page.searched = Some(Searched::NotFound);
    assert!(stage.draw().contains("not found: zzz"), "{}", stage.draw());
}

#[test]
fn nothing_is_said_of_output_that_was_not_looked_at() {
    let mut stage = Stage::of(vec![view("a", json!({}))], 80, 24);
    assert!(!stage.draw().contains("No output yet."));
    stage.page.is_read = true;
    assert!(stage.draw().contains("No output yet."));
}

#[test]
fn a_port_is_copied_where_there_is_no_endpoint() {
    let ports = json!([{"port": 5173, "protocol": "tcp", "pid": 7}]);
    let mut stage =
        Stage::of(vec![view("web", json!({"kind": "job", "endpoint": null, "ports": ports}))], 80, 24);
    stage.keys("c");
    assert_eq!(stage.wishes(), [Intent::Copy("localhost:5173".to_owned())]);
}

#[test]
fn a_hostile_line_is_shown_and_not_obeyed() {
    let mut stage = Stage::of(vec![view("a", json!({}))], 80, 24);
    stage.page.lines =
        vec![Arc::new(Line::of(Stream::Stdout, "\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}cX\u{202e}\u{9b}31m"))];
    let screen = stage.draw();
    assert!(screen.contains("\\x1bcX\\u{202e}\\x9b31m"), "{screen}");
    assert!(!screen.chars().any(|c| c.is_control() && c != '\n'));
}

#[test]
fn a_run_is_chosen_and_its_log_shown() {
    let mut stage = Stage::of(vec![view("b", json!({"run": 4}))], 120, 30);
    let id = stage.all_asks().into_iter().find(|(_, ask)| matches!(ask, Ask::Runs { .. })).map(|(id, _)| id);
    let run = json!({
        "run": 3, "pid": 7, "started_at": "2026-11-20T09:00:00.000Z", "ready_at": null, "stopped_at": null,
        "duration_ms": 5000, "exit": {"code": 3}, "outcome": "failure", "owner": "cli", "actor": "supervisor",
    });
    let runs = vec![serde_json::from_value(run).unwrap()];
    stage.ui.answered(id.unwrap(), Ok(Answer::Runs { name: name("b"), runs, more: true }), stage.now);
    stage.keys("2]");
    let screen = stage.draw();
    assert!(screen.contains("#3  09:00:00  5.0s  exited 3") && screen.contains("older ones"), "{screen}");
    stage.key(KeyCode::Enter);
    let shown = stage.with(|ui, _, scene| ui.wishes(scene));
    assert_eq!(shown, [Intent::Show(Some((name("b"), Some(3), Streams::Both)))]);
    assert!(stage.draw().contains("run #3"));
}

#[test]
fn a_failed_worker_says_why_and_its_log_is_below() {
    let failed =
        json!({"state": "failed", "pid": null, "endpoint": null, "reason": "exited 1 five times\u{1b}"});
    let mut stage = Stage::of(vec![view("bad", failed)], 80, 24);
    let screen = stage.draw();
    assert!(screen.contains("■ bad") && screen.contains("exited 1 five times\\x1b"), "{screen}");
}

fn event(n: u64) -> EventLine {
    EventLine {
        time: Some(NOW.parse().unwrap()),
        subject: "notes".to_owned(),
        word: format!("event-{n}."),
        details: String::new(),
        tone: Tone::Plain,
        worker: None,
    }
}

#[test]
fn events_stay_in_sight_while_others_come() {
    let mut stage = Stage::of(vec![view("a", json!({}))], 80, 24);
    let push = |stage: &mut Stage, n| {
        stage.known.events.push_back(event(n));
        stage.known.events_ever += 1;
        if stage.known.events.len() > 30 {
            stage.known.events.pop_front();
        }
    };
    (0..30).for_each(|n| push(&mut stage, n));
    stage.keys("4");
    assert!(stage.draw().contains("event-29."));
    stage.keys("kkk");
    (30..33).for_each(|n| push(&mut stage, n));
    let screen = stage.draw();
    assert!(screen.contains("event-26.") && !screen.contains("event-27."), "{screen}");
    // Those that were looked at have gone: the oldest ones that there are.
    (33..80).for_each(|n| push(&mut stage, n));
    assert!(stage.draw().contains("event-50."));
    stage.keys("G");
    assert!(stage.draw().contains("event-79."));
}

#[test]
fn locks_and_lanes_are_asked_for_once_they_are_shown() {
    let mut stage = Stage::of(vec![], 80, 24);
    (stage.known.locks, stage.known.queue) = (1, 1);
    assert_eq!(stage.asked(), []);
    stage.keys("4]");
    let asked = stage.wishes();
    assert!(matches!(asked.as_slice(), [Intent::Ask(_, Ask::Locks)]), "{asked:?}");
    let party = json!({"process": "deploy", "pid": 7, "host": "here", "owner": "agent", "mode": "exclusive", "priority": 0, "age_ms": 61000, "token": 3});
    let lock = json!({
        "lock": "release", "holders": [party.clone()], "waiters": [party], "acquired": 1, "contended": 1, "broken": 0,
        "waits": 0, "longest_wait_ms": 0,
    });
    let locks = serde_json::from_value(json!({"locks": [lock]})).unwrap();
    let Some(Intent::Ask(id, _)) = asked.first() else { panic!("{asked:?}") };
    stage.ui.answered(*id, Ok(Answer::Locks(locks)), stage.now);
    let screen = stage.draw();
    assert!(screen.contains("release  held by  agent (deploy, pid 7) for 1m  exclusive"), "{screen}");
    assert!(screen.contains("release  waited for by"), "{screen}");
    stage.keys("]");
    let asked = stage.wishes();
    let [Intent::Ask(id, Ask::Queue)] = asked.as_slice() else { panic!("{asked:?}") };
    let counts = json!({"pending": 0, "running": 1, "completed": 0, "failed": 0, "cancelled": 0});
    let farm = json!({"lane": "farm", "width": 2, "paused": false, "counts": counts, "shared": true, "away": "refused"});
    let queue = serde_json::from_value(json!({"jobs": [], "lanes": [farm]})).unwrap();
    stage.ui.answered(*id, Ok(Answer::Queue(queue)), stage.now);
    let screen = stage.draw();
    assert!(screen.contains("farm  width 2  database away; here:  1 running"), "{screen}");
    stage.keys("]");
    assert_eq!(stage.asked(), []);
}

#[test]
fn an_empty_screen_teaches() {
    let mut stage = Stage::of(vec![], 80, 24);
    let screen = stage.draw();
    assert!(screen.contains("Nothing runs yet") && screen.contains("n starts a graph"), "{screen}");
    assert!(screen.contains("Select a worker to see its output."));
    stage.known.link = Link::Opening;
    assert!(stage.draw().contains("Nothing is known yet"));
}

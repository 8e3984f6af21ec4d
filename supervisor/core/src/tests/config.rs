//! Starts that read the configuration, and the effect of a new one.

use super::harness::{config, kind};
use crate::{ConnId, Core, Effect, Input, Now};
use gob_config::{Config as Settings, FileText, Reading};
use gob_protocol::answer::{ReloadData, ServerDirs};
use gob_protocol::request::Start;
use gob_protocol::{Data, ErrorCode, Id, Name, Owner, Request, Timestamp};
use std::boxed::Box;
use std::string::{String, ToString};
use std::vec::Vec;

const NOW: Now = Now { mono_ms: 0, wall: Timestamp(0) };
const CONN: ConnId = ConnId(1);

const FILE: &str = r#"
default_kind = "small"
[kind.small]
command = ["small", "{graph}"]
root_dir = "/small"
[kind.other]
command = ["other"]
[graph.work]
kind = "other"
root_dir = "/work"
autostart = true
env = { A = "1" }
"#;

fn read(text: &str) -> Box<Reading> {
    Box::new(Reading::of(&[FileText::read("c.toml", text)], None))
}

/// A core with one client.
fn core(text: &str) -> Core {
    let (settings, rejected) = read(text).settle(&Settings::default());
    let mut core = Core::new(crate::Config { settings, rejected, ..config(kind()) }, NOW);
    core.apply(Input::Connected { conn: CONN, pid: None }, NOW);
    core
}

fn ask(core: &mut Core, request: Request) -> Vec<Effect> {
    core.apply(Input::Request { conn: CONN, id: Some(Id::Number(1)), request }, NOW)
}

fn start(core: &mut Core, graph: &str, kind: Option<&str>) -> Vec<Effect> {
    let graph = Some(Name::graph(graph).unwrap());
    ask(core, Request::Start(Start { graph, kind: kind.map(str::to_string), ..Start::default() }))
}

/// The spawned commands, each with its root.
fn commands(effects: &[Effect]) -> Vec<String> {
    let plans = effects.iter().filter_map(|effect| match effect {
        Effect::Spawn(plan) => Some(plan.command.join(" ")),
        _other => None,
    });
    plans.collect()
}

/// The code of each answer, or the keys that changed.
fn answers(effects: &[Effect]) -> Vec<Result<Vec<String>, ErrorCode>> {
    let replies = effects.iter().filter_map(|effect| match effect {
        Effect::Reply { result: Err(error), .. } => Some(Err(error.code)),
        Effect::Reply { result: Ok(Data::Reload(ReloadData { changed, .. })), .. } => {
            Some(Ok(changed.clone()))
        }
        _other => None,
    });
    replies.collect()
}

fn reads(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::ReadConfig)).count()
}

#[test]
fn a_start_takes_kind_root_and_overrides_from_the_file() {
    let mut core = core(FILE);
    assert_eq!(commands(&start(&mut core, "x", None)), ["small x"]);
    let effects = start(&mut core, "work", None);
    let plan = effects.iter().find_map(|effect| match effect {
        Effect::Spawn(plan) => Some(plan),
        _other => None,
    });
    let plan = plan.unwrap();
    assert_eq!((plan.command.join(" ").as_str(), plan.env.get("A")), ("other", Some("1")));
    let roots = ["x", "work"]
        .map(|name| core.workers[&Name::graph(name).unwrap()].spec.graph().unwrap().root_dir.clone());
    assert_eq!(roots.each_ref().map(|root| &**root), ["/small", "/work"]);
    assert_eq!(answers(&start(&mut core, "y", Some("nope"))), [Err(ErrorCode::KindNotFound)]);
}

#[test]
fn autostarted_workers_have_no_owner() {
    let mut core = core(FILE);
    assert_eq!(commands(&core.apply(Input::Begin, NOW)), ["other"]);
    let work = &core.workers[&Name::graph("work").unwrap()];
    assert_eq!((work.owner(), core.workers.keys().count()), (&Owner::unknown(), 1));
}

#[test]
fn a_reload_answers_what_changed_and_the_next_run_has_it() {
    let mut core = core(FILE);
    start(&mut core, "x", None);
    assert_eq!(reads(&ask(&mut core, Request::Reload)), 1);
    let new = FILE.replace("\"small\", \"{graph}\"", "\"new\"");
    let effects = core.apply(Input::Configured(read(&new)), NOW);
    assert_eq!(answers(&effects), [Ok(std::vec!["kind.small.command".to_string()])]);
    let name = Name::graph("x").unwrap();
    let renew = |core: &mut Core| core.workers.get_mut(&name).unwrap().renew_kind(&mut core.cx);
    assert_eq!(core.workers[&name].spec.policy.command[0], "small", "it keeps its kind as long as it runs");
    renew(&mut core);
    assert_eq!(core.workers[&name].spec.policy.command[0], "new");
    // A kind that is gone from the configuration stays with the workers that have it.
    core.apply(Input::Configured(read("")), NOW);
    renew(&mut core);
    assert_eq!(core.workers[&name].spec.policy.command[0], "new");
    assert_eq!(answers(&start(&mut core, "y", Some("small"))), [Err(ErrorCode::KindNotFound)]);
}

#[test]
fn a_bad_file_changes_nothing_and_is_named_by_starts_that_need_it() {
    let mut core = core(FILE);
    ask(&mut core, Request::Reload);
    let effects = core.apply(Input::Configured(read("[kind.small]\nx = 1\n[kind.more]\n")), NOW);
    assert_eq!(answers(&effects), [Err(ErrorCode::ConfigInvalid)]);
    assert_eq!(commands(&start(&mut core, "x", None)), ["small x"], "as before");
    assert_eq!(answers(&start(&mut core, "y", Some("more"))), [Err(ErrorCode::ConfigInvalid)]);
}

#[test]
fn without_a_good_file_only_starts_that_need_none_of_it_begin() {
    let bad = "default_kind = \"small\"\n[kind.small]\nx = 1\n[graph.work]\n";
    let mut core = core(bad);
    for (graph, kind) in [("x", None), ("x", Some("small")), ("work", Some("graph")), ("x", Some("nope"))] {
        assert_eq!(answers(&start(&mut core, graph, kind)), [Err(ErrorCode::ConfigInvalid)], "{graph}");
    }
    assert_eq!(commands(&start(&mut core, "x", Some("graph"))).len(), 1);
    assert!(commands(&core.apply(Input::Begin, NOW)).is_empty());
    core.apply(Input::Configured(read(FILE)), NOW);
    assert_eq!(commands(&start(&mut core, "z", None)), ["small z"]);
}

#[test]
fn a_slip_in_one_file_is_reported_and_leaves_the_others_in_effect() {
    let files = |app: &str| {
        let app = FileText { is_main: false, ..FileText::read("config.d/app.toml", app) };
        Box::new(Reading::of(&[FileText::read("c.toml", FILE), app], None))
    };
    let mut core = core("");
    ask(&mut core, Request::Reload);
    let effects = core.apply(Input::Configured(files("[kind.app]\nx = 1\n[graph.g]\n")), NOW);
    let Some(Effect::Reply { result: Err(error), .. }) = effects.first() else { panic!("{effects:?}") };
    assert_eq!(error.code, ErrorCode::ConfigInvalid);
    assert!(error.message.contains("config.d/app.toml:1:1: kind.app: "), "{}", error.message);
    assert!(error.message.ends_with(" (and 1 more); the others are in effect"), "{}", error.message);
    let details = error.details.as_ref().unwrap();
    assert_eq!((&details["path"], &details["errors"][1]["line"]), (&"config.d/app.toml".into(), &2.into()));
    assert_eq!(details["errors"][0]["path"], "config.d/app.toml");
    assert!(details["changed"].as_array().unwrap().contains(&"default_kind".into()), "{details}");
    let status = core.status();
    assert_eq!(status.config.files, ["c.toml"]);
    assert_eq!(
        (status.config.invalid[0].path.as_str(), status.config.invalid[0].problems),
        ("config.d/app.toml", 2)
    );
    assert_eq!(commands(&start(&mut core, "x", None)), ["small x"]);
    assert_eq!(
        answers(&start(&mut core, "g", Some("small"))),
        [Err(ErrorCode::ConfigInvalid)],
        "it is about it"
    );
    core.apply(Input::Configured(files("[kind.app]\ncommand = [\"app\"]\n")), NOW);
    assert_eq!(commands(&start(&mut core, "y", Some("app"))), ["app"]);
    assert!(core.status().config.invalid.is_empty());
}

#[test]
fn an_unknown_kind_is_refused_with_the_supervisors_file() {
    let mut core = core("");
    let config = Some("/theirs/config.toml".to_string());
    core.cx.setup.server.dirs = Some(ServerDirs { config, ..ServerDirs::default() }.into());
    let effects = start(&mut core, "x", Some("nope"));
    let Some(Effect::Reply { result: Err(error), .. }) = effects.first() else { panic!("{effects:?}") };
    assert!(error.hint.as_ref().unwrap().contains("add one to /theirs/config.toml"), "{error:?}");
}

#[test]
fn an_unreadable_file_refuses_every_start() {
    let mut core = core("");
    core.apply(Input::Configured(Box::new(Reading::unread("other.toml", "it is not there"))), NOW);
    for kind in [None, Some("graph"), Some("nope")] {
        assert_eq!(answers(&start(&mut core, "x", kind)), [Err(ErrorCode::ConfigInvalid)]);
    }
}

#[test]
fn other_bounds_of_the_history_and_the_queue_hold_from_the_reload_on() {
    let mut core = core("");
    let mut bounds = |text: &str| -> Vec<(u32, u64, u64)> {
        let effects = core.apply(Input::Configured(read(text)), NOW);
        let all = effects.iter().filter_map(|effect| match effect {
            Effect::BoundHistory { bounds, keep_finished_ms } => {
                Some((bounds.keep_runs, bounds.keep_ms, *keep_finished_ms))
            }
            _other => None,
        });
        all.collect()
    };
    let (day, other) = (86_400_000, "[queue]\nkeep_finished = \"1d\"\n[history]\nkeep_runs = 7\n");
    assert_eq!(bounds("[queue]\nmax_attempts = 5\n"), [], "these are as they were");
    assert_eq!(bounds(other), [(7, 90 * day, day)]);
    assert_eq!(bounds(other), []);
    assert_eq!(bounds("[queue]\nkeep_finished = 1\n"), [], "a refused file changes nothing");
    assert_eq!(bounds("[history]\nkeep = \"2d\"\n"), [(1_000, 2 * day, 7 * day)]);
}

#[test]
fn a_request_during_a_reading_is_answered_by_the_next() {
    let mut core = core("");
    assert_eq!(reads(&ask(&mut core, Request::Reload)), 1);
    assert_eq!(reads(&ask(&mut core, Request::Reload)), 0);
    assert_eq!(reads(&core.apply(Input::Reread, NOW)), 0);
    let effects = core.apply(Input::Configured(read("")), NOW);
    assert_eq!((answers(&effects).len(), reads(&effects)), (1, 1));
    let effects = core.apply(Input::Configured(read("")), NOW);
    assert_eq!((answers(&effects).len(), reads(&effects)), (1, 0));
    assert_eq!(reads(&core.apply(Input::Reread, NOW)), 1);
    // A connection that is gone gets no answer.
    ask(&mut core, Request::Reload);
    core.apply(Input::Disconnected { conn: CONN }, NOW);
    core.apply(Input::Configured(read("")), NOW);
    assert!(answers(&core.apply(Input::Configured(read("")), NOW)).is_empty());
}

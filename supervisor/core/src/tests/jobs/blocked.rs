//! Jobs that a project file keeps from running.

use super::*;
use crate::{Ban, Begins};

fn ban(command: &[&str], cwd: &str, reason: Option<&str>) -> Ban {
    let command: Vec<String> = command.iter().map(ToString::to_string).collect();
    Ban { job: Begins { command: command.into(), cwd: cwd.into() }, reason: reason.map(Into::into) }
}

fn start(name: &str) -> Request {
    Request::Start(Start { name: Some(Name::any(name).unwrap()), ..Start::default() })
}

fn restart(name: &str) -> Request {
    let name = Name::any(name).unwrap();
    Request::Restart(Restart { name, env: None, grace_ms: None, wait: None, timeout_ms: None })
}

#[test]
fn a_blocked_job_is_refused_to_every_request_that_begins_it() {
    let mut small = Small::new();
    small.runs(add(&["make", "deploy"]));
    small.ends("j1", 0);
    let tell = |small: &mut Small| {
        let ban = ban(&["make", "deploy"], "/site", Some("ask first"));
        small.feed(Input::ProjectFile { conn: AGENT, ban });
    };
    let again = || Box::new(add(&["make", "deploy"]));
    for request in [Request::Add(again()), Request::Create(again()), start("j1"), restart("j1")] {
        tell(&mut small);
        let refusal = small.ask(AGENT, request).unwrap_err();
        assert_eq!(
            (refusal.code, &*refusal.message),
            (ErrorCode::Blocked, "make deploy is blocked: ask first")
        );
        let details = refusal.details.clone().unwrap_or_default();
        assert_eq!((&details["worker"], &details["description"]), (&"j1".into(), &"ask first".into()));
        assert_eq!(details["path"], "/site/.config/gobfile.toml");
    }
    assert_eq!(small.view("j1").blocked.as_deref(), Some("ask first"));
    // The file has changed.
    small.feed(Input::ProjectFile { conn: AGENT, ban: ban(&["make", "deploy"], "/site", None) });
    small.ask(CLI, Request::Ping).unwrap();
    small.send(AGENT, start("j1"));
    small.spawned("j1");
    assert_eq!(small.view("j1").blocked, None);
}

#[test]
fn a_new_job_that_is_blocked_is_not_made() {
    let mut small = Small::new();
    small.feed(Input::ProjectFile { conn: CLI, ban: ban(&["rm"], "/site", Some("no")) });
    let refusal = small.ask(CLI, Request::Create(Box::new(add(&["rm"])))).unwrap_err();
    assert_eq!(
        (refusal.code, &refusal.details.clone().unwrap()["worker"]),
        (ErrorCode::Blocked, &None::<()>.into())
    );
    assert_eq!(small.core.views().len(), 0);
}

#[test]
fn a_ban_holds_for_one_request_of_its_client_and_for_its_very_job() {
    let mut small = Small::new();
    let tell = |small: &mut Small, ban: Ban| small.feed(Input::ProjectFile { conn: CLI, ban });
    tell(&mut small, ban(&["a"], "/site", Some("no")));
    assert!(small.ask(AGENT, Request::Create(Box::new(add(&["a"])))).is_ok(), "another client's");
    assert_eq!(code(small.ask(CLI, Request::Create(Box::new(add(&["a"]))))), ErrorCode::Blocked);
    assert!(small.ask(CLI, Request::Create(Box::new(add(&["a"])))).is_ok(), "it was read for one request");
    for other in [ban(&["b", "x"], "/site", Some("no")), ban(&["b"], "/elsewhere", Some("no"))] {
        tell(&mut small, other);
        assert!(small.ask(CLI, Request::Create(Box::new(add(&["b"])))).is_ok(), "another job's");
    }
}

#[test]
fn a_blocked_job_that_runs_goes_on() {
    let mut small = Small::new();
    small.runs(add(&["a"]));
    small.feed(Input::ProjectFile { conn: CLI, ban: ban(&["a"], "/site", Some("no")) });
    assert_eq!(code(small.ask(CLI, restart("j1"))), ErrorCode::Blocked);
    let view = small.view("j1");
    assert_eq!((view.state, view.blocked.as_deref()), (State::Ready, Some("no")));
}

#[test]
fn only_a_request_that_may_begin_a_job_is_looked_up() {
    let mut small = Small::new();
    small.runs(add(&["a"]));
    let begins = |request| small.core.begins(CLI, &request).map(|(job, _)| job);
    let job = begins(start("j1")).unwrap();
    assert_eq!((&*job.command, &*job.cwd), (&["a".to_string()][..], "/site"));
    assert_eq!(begins(restart("j1")), Some(job));
    assert_eq!(begins(start("nope")), None);
    assert_eq!(begins(Request::Ping), None);
}

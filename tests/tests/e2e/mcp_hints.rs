//! Words for agents about names, directories and variables that they get wrong, and of workers that become theirs.

use crate::mcp::session::Session;
use gob_tests::Gob;
use serde_json::json;
use std::fs;

#[test]
fn a_worker_at_rest_becomes_that_of_the_agent_that_starts_it_and_it_is_told() {
    let gob = Gob::new();
    for name in ["build", "tests"] {
        gob.ctl(["run", "--name", name, "true", name]).cwd(gob.dir()).ok();
    }
    let mut agent = Session::open(&gob, &[]);
    let told = agent.ok("start", json!({"name": "build", "wait": "spawned"}));
    assert!(told.text.ends_with("\nyou own it now; its owner was cli"), "{}", told.text);
    let run = json!({"command": ["true", "tests"]});
    let told = agent.ok("run", run.clone());
    assert!(told.text.starts_with("you own it now; its owner was cli\ntests exited 0"), "{}", told.text);
    assert!(!agent.ok("run", run).text.contains("you own it now"));
    let text = agent.ok("ports", json!({"name": "tests"})).text;
    assert!(text.starts_with("tests exited 0 after "), "{text}");
    assert!(text.contains(", and listens on no port; call logs"), "{text}");
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn a_name_a_directory_or_a_variable_that_is_wrong_is_told_as_what_it_is() {
    let gob = Gob::new();
    gob.ctl(["add", "--name", "web", "sleep", "1000"]).cwd(gob.dir()).ok();
    gob.ctl(["start", "demo"]).ok();
    let mut agent = Session::open(&gob, &[]);
    for (tool, arguments, code, hint) in [
        ("start", json!({"name": "wbe"}), "server-not-found", "did you mean web? call list"),
        (
            "start",
            json!({"graph": "g", "root_dir": "nowhere"}),
            "invalid-request: root_dir ",
            "call the tool again with a root_dir that exists, such as ",
        ),
        (
            "run",
            json!({"command": ["sleep", "1000"], "name": "x"}),
            "graph-conflict",
            "leave out name to use web: call the tool again without it",
        ),
        (
            "add",
            json!({"command": ["true"], "name": "demo"}),
            "graph-conflict",
            "choose another name, or leave it out",
        ),
        (
            "run",
            json!({"command": ["true"], "env": {"A=B": "x"}}),
            "invalid-request: env ",
            "call the tool again",
        ),
        (
            "add",
            json!({"command": ["true"], "env": {"A": "x\0"}}),
            "invalid-request: env ",
            "call the tool again",
        ),
        ("restart", json!({"name": "web", "env": {"": "x"}}), "invalid-request: env ", "call the tool again"),
    ] {
        let text = agent.refused(tool, arguments.clone());
        assert!(text.starts_with(code), "{tool} {arguments}: {text}");
        let told = text.split("\nhint: ").nth(1).unwrap();
        assert!(told.starts_with(hint) && !told.contains("--"), "{tool} {arguments}: {text}");
    }
    let text = agent.ok("list", json!({})).text;
    assert_eq!(text.lines().count(), 2, "nothing was made: {text}");
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn a_server_whose_directory_was_removed_names_it_to_nobody() {
    let gob = Gob::new();
    let gone = gob.dir().join("gone");
    fs::create_dir(&gone).unwrap();
    let mut agent = Session::open_in(&gob, &gone);
    fs::remove_dir(&gone).unwrap();
    let text = agent.refused("run", json!({"command": ["true"]}));
    let hint = text.split("\nhint: ").nth(1).unwrap();
    assert!(hint.contains("the directory of this server is gone") && !hint.contains("such as"), "{text}");
    assert!(agent.ok("run", json!({"command": ["true"], "cwd": "/"})).text.contains(" exited 0 "));
    assert_eq!(agent.end().0, Some(0));
}

//! `gobctl add` and `create`, against a scripted supervisor: the requests that they make, and the lines that they print.

#[cfg(test)]
mod support;

use serde_json::{Value, json};
use std::os::unix::ffi::OsStrExt;
use support::{Ran, World, job, ok};

/// Answers `add` and `create` with a job of that command.
fn serve(world: &World, outcome: &'static str, changes: Value) {
    world.serve(move |kind, payload| {
        let words: Vec<&str> = payload["command"]
            .as_array()
            .map(|all| all.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let worker = job("j1", &words, changes.clone());
        match kind {
            "add" => vec![ok(json!({"worker": worker, "outcome": outcome}))],
            "create" => vec![ok(json!({"worker": worker, "created": worker.get("run") == Some(&json!(0))}))],
            _ => vec![],
        }
    });
}

#[test]
fn the_deed_is_told_in_a_line_with_the_command() {
    let world = World::new();
    serve(&world, "started", json!({}));
    let line = "started j1 (pid 4242, owner cli): npm run dev\n";
    world.run(&["add", "npm", "run", "dev"]).is(0, line, "");
    world.run(&["add", "npm run dev"]).is(0, line, "");
    world.run(&["add", "-q", "npm run dev"]).is(0, "j1\n", "");
    world.run(&["add", "echo", "a b"]).is(0, "started j1 (pid 4242, owner cli): echo 'a b'\n", "");
    let data = world.run(&["add", "--json", "true"]);
    let data: Value = serde_json::from_str(&data.stdout).unwrap();
    assert_eq!((&data["outcome"], &data["worker"]["name"]), (&json!("started"), &json!("j1")));
}

#[test]
fn a_job_that_runs_already_is_told_with_its_owner() {
    let world = World::new();
    serve(&world, "reused", json!({"owner": "agent", "owned": false}));
    let told = "j1 is already running (pid 4242, owner agent; you don't own it): make\n";
    world.run(&["add", "make"]).is(0, told, "");
    world.run(&["create", "make"]).is(0, told, "");
}

#[test]
fn create_tells_a_new_job_from_one_that_has_run() {
    let idle = |run: u64| json!({"state": "idle", "pid": null, "run": run, "exit": null});
    let world = World::new();
    serve(&world, "started", idle(0));
    world.run(&["create", "make", "test"]).is(0, "created j1: make test\n", "");
    let world = World::new();
    serve(&world, "started", idle(2));
    world.run(&["create", "make", "test"]).is(0, "j1 is there already (owner cli; idle): make test\n", "");
}

#[test]
fn the_request_has_command_directory_and_environment() {
    let world = World::new();
    let dir = world.dir.canonicalize().unwrap();
    std::os::unix::fs::symlink(&dir, dir.join("link")).unwrap();
    let want = dir.to_str().unwrap().to_owned();
    world.serve(move |kind, payload| {
        if kind != "add" {
            return vec![];
        }
        assert_eq!(payload["cwd"], want.as_str(), "the real path");
        assert_eq!(payload["env"]["FOO"], "a\nb");
        assert!(
            payload["env"].get("GOB_OWNER").is_none() && payload["env"].get("BAD").is_none(),
            "{payload}"
        );
        assert_eq!((&payload["name"], &payload["description"]), (&json!("web"), &json!("the site")));
        assert_eq!((&payload["restart"], &payload["wait"]), (&json!("on-failure"), &json!("spawned")));
        assert_eq!(payload["command"], json!(["/bin/zsh", "-c", "a | b"]));
        let worker = job("web", &["x"], json!({}));
        vec![ok(json!({"worker": worker, "outcome": "started"}))]
    });
    let line = [
        "add",
        "--name",
        "web",
        "-d",
        "the site",
        "--restart",
        "on-failure",
        "--cwd",
        "link",
        "--shell",
        "a | b",
    ];
    let mut command = world.command(&line);
    command.current_dir(&dir).env("FOO", "a\nb").env("GOB_OWNER", "cli").env("SHELL", "/bin/zsh");
    command.env("BAD", std::ffi::OsStr::from_bytes(b"\xff"));
    let warning = "warning: the value of BAD is not UTF-8; it is not handed on\n";
    Ran::of(command.output().unwrap()).is(0, "started web (pid 4242, owner cli): x\n", warning);
}

#[test]
fn nothing_is_sent_of_a_command_line_that_can_not_be_followed() {
    let world = World::new();
    let no_request = |kind: &str, _: &Value| -> Vec<String> {
        assert_eq!(kind, "hello", "a request was sent");
        vec![]
    };
    world.serve(no_request);
    let open = "error: nothing closes the ' at character 6 of the command\n  it is the first of: 'x\n\
                hint: one quoted command is split as a shell would; several words are taken as they are\n";
    world.run(&["add", "echo 'x"]).is(2, "", open);
    for words in [&["add", ""][..], &["add", " "], &["create", "--shell", " "]] {
        let ran = world.run(words);
        assert!(ran.stderr.starts_with("error: the command is empty\n"), "{ran:?}");
        assert_eq!(ran.code, Some(2));
    }
    let ran = world.run(&["add", "--cwd", "/nowhere/at/all", "true"]);
    assert!(ran.stderr.starts_with("error: --cwd /nowhere/at/all cannot be used\n"), "{ran:?}");
    assert_eq!(ran.code, Some(2));
    let mut command = world.command(&["add"]);
    let ran = Ran::of(command.arg(std::ffi::OsStr::from_bytes(b"a\xff")).output().unwrap());
    assert!(ran.stderr.starts_with("error: the argument a\u{fffd} is not UTF-8\n"), "{ran:?}");
    let bad = world.dir.join(std::ffi::OsStr::from_bytes(b"d\xff"));
    std::fs::create_dir(&bad).unwrap();
    let ran = Ran::of(world.command(&["add", "true"]).current_dir(&bad).output().unwrap());
    assert!(ran.stderr.starts_with("error: the working directory is not UTF-8: "), "{ran:?}");
}

#[test]
fn an_older_supervisor_gets_no_request_of_a_job() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "hello" => vec![support::hello(env!("CARGO_PKG_VERSION")).replace("[\"jobs\"]", "[]")],
        _ => panic!("a request was sent"),
    });
    let want = concat!(
        "error: the supervisor (gobd ",
        env!("CARGO_PKG_VERSION"),
        ", pid 4200) is older than jobs\n",
        "hint: gobctl daemon restart starts the installed one; it stops the workers first\n"
    );
    world.run(&["add", "true"]).is(7, "", want);
    world.run(&["create", "true"]).is(7, "", want);
    world.run(&["ports"]).is(7, "", want);
}

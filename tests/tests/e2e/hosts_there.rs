//! `--host` with verbs that run over there: their directory, environment, words, input, signals and terminal.

use gob_tests::Worker;
use gob_tests::process::Handle;
use gob_tests::terminal::Terminal;
use gob_tests::there::{There, USER};
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

/// A word in which shells see everything that they change.
const HARD: &str = "it's \\ ! % $HOME `id` \"q\" *?[a] {b,c} ~ #x ^ & | ; < > ( )\n\té";

fn words_arrive_through(shell: &str) {
    if !Path::new(shell).exists() {
        return;
    }
    let Some(there) = There::with(shell, Worker::Fixture) else { return };
    let ran = there.ctl(["run", "--stream", "--", "printf", "<%s>", HARD, "", "-x", "--host"]).ok();
    assert_eq!(ran, format!("<{HARD}><><-x><--host>"), "{shell}");
    assert_eq!(there.ctl(["ping", "--json"]).json()["pong"], true, "{shell}");
}

#[test]
fn words_arrive_through_sh() {
    words_arrive_through("/bin/sh");
}

#[test]
fn words_arrive_through_bash() {
    words_arrive_through("/bin/bash");
}

#[test]
fn words_arrive_through_fish() {
    words_arrive_through("/usr/bin/fish");
}

#[test]
fn words_arrive_through_csh() {
    words_arrive_through("/bin/csh");
}

#[test]
fn words_arrive_through_zsh() {
    words_arrive_through("/usr/bin/zsh");
}

#[test]
fn a_job_has_the_directory_and_the_environment_of_a_login_over_there() {
    let Some(there) = There::new() else { return };
    let mut run =
        there.ctl(["run", "--stream", "--", "sh", "-c", "id -u; pwd; echo ${SECRET-none} ${GOB_HOST-none}"]);
    let ran = run.env("SECRET", "x").ok();
    let home = there.gob.dir().join("home").canonicalize().unwrap();
    assert_eq!(ran, format!("{USER}\n{}\nnone none\n", home.display()));
    // A relative directory begins at that one.
    std::fs::create_dir(home.join("sub")).unwrap();
    let ran = there.ctl(["run", "--stream", "--cwd", "sub", "--", "pwd"]).ok();
    assert_eq!(ran, format!("{}\n", home.join("sub").display()));
    there.ctl(["add", "--name", "web", "--", "sleep", "60"]).ok();
    assert_eq!(there.ctl(["get", "web", "--json"]).json()["worker"]["cwd"], json!(home));
    there.ctl(["queue", "add", "ci", "true"]).ok();
    there.ctl(["stop", "web"]).ok();
}

#[test]
fn exit_codes_and_streams_are_those_over_there() {
    let Some(there) = There::new() else { return };
    let failed = there.ctl(["run", "--", "sh", "-c", "echo out; echo err >&2; exit 42"]).fails(42);
    assert!(failed.stdout.contains("out") || failed.stderr.contains("out"), "{failed}");
    let logs = there.ctl(["logs", "j1", "--raw"]).run();
    assert!(logs.stdout.contains("out") && (logs.stdout + &logs.stderr).contains("err"));
    let missing = there.ctl(["logs", "nosuch"]).fails(4);
    assert!(missing.stderr.contains("nosuch"), "{missing}");
    let killed = there.ctl(["run", "--", "sh", "-c", "kill -9 $$"]).run();
    assert_eq!(killed.code, 137, "{killed}");
    let ambiguous = there.ctl(["run", "--name", "odd", "--", "sh", "-c", "exit 255"]).fails(7);
    assert!(ambiguous.stderr.contains("or a command over there has ended with 255"), "{ambiguous}");
    // Output that can't be written is an error here.
    let mut full = there.ctl(["logs", "j1"]);
    full.command().stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
    let full = full.command().spawn().unwrap().wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&full.stderr);
    assert!(full.status.code() == Some(1) && said.contains("cannot write to standard output"), "{full:?}");
    for words in [&["runs", "j1", "--json"][..], &["config", "path"], &["stats", "j1"], &["wait", "j2"]] {
        let ran = there.ctl(words.iter().copied()).run();
        assert!(ran.code == 0 || ran.code == 137, "{ran}");
    }
    assert!(there.ctl(["config", "path"]).ok().contains(there.gob.dir().to_str().unwrap()));
}

#[test]
fn input_goes_over_whole_and_no_other_verb_takes_any() {
    let Some(there) = There::with("/bin/sh", Worker::Real) else { return };
    there.ctl(["start", "g"]).ok();
    let nodes: Vec<_> = (0..20_000).map(|n| json!({"node": {"id": format!("n{n}")}}).to_string()).collect();
    let mut import = there.ctl(["invoke", "g", "import", "-", "--json"]);
    let told = import.stdin(&(nodes.join("\n") + "\n")).json();
    assert_eq!(told["nodes"], 20_000, "{told}");
    let exported = there.ctl(["invoke", "g", "export"]).ok();
    assert_eq!(exported.lines().count(), 20_000);
    // A loop of a shell keeps its lines.
    let script = "printf 'a\\nb\\nc\\n' | while read line; do gobctl runs g >/dev/null; echo $line; done";
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .env_clear()
        .envs(there.here.env())
        .env("GOB_HOST", "ssh://there")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a\nb\nc\n", "{output:?}");
}

#[test]
fn signals_reach_a_verb_over_there() {
    let Some(there) = There::new() else { return };
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let name = format!("by{}", signal as i32);
        // The same command would be the same job.
        let time = format!("60{}", signal as i32);
        let mut run = there.ctl(["run", "--name", &name, "--", "sleep", &time]);
        let mut run = run.command().stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let state = || there.ctl(["get", &name, "--json"]).run().stdout;
        assert!(wait::until(DEADLINE, || state().contains("\"state\":\"ready\"")), "{}", state());
        Handle::open(run.id() as i32).unwrap().signal(signal);
        assert_eq!(run.wait().unwrap().code(), Some(143), "{signal}: the job's own end");
        assert!(state().contains("\"state\":\"idle\""), "it stopped: {}", state());
    }
    // A caller that is killed leaves the job, as the end of a terminal does, and a follower ends.
    let mut run = there.ctl(["run", "--name", "left", "--", "sleep", "600"]).spawn();
    let state = || there.ctl(["get", "left", "--json"]).run().stdout;
    assert!(wait::until(DEADLINE, || state().contains("\"state\":\"ready\"")));
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(
        wait::until(DEADLINE, || there.gob.running("gobctl").is_empty()),
        "the verb over there has ended"
    );
    assert!(state().contains("\"state\":\"ready\""), "{}", state());
    let mut logs = there.ctl(["logs", "-f", "left"]).spawn();
    assert!(wait::until(DEADLINE, || !there.gob.running("gobctl").is_empty()));
    logs.kill().unwrap();
    logs.wait().unwrap();
    assert!(wait::until(DEADLINE, || there.gob.running("gobctl").is_empty()));
    there.ctl(["stop", "left"]).ok();
}

#[test]
fn a_terminal_here_is_a_terminal_over_there() {
    let Some(there) = There::new() else { return };
    there.ctl(["start", "g"]).ok();
    let screen = Terminal::session(there.ctl(["tui"]), 100);
    screen.wait_for(|shown| shown.contains('g') && shown.contains("ready"));
    let mut screen = screen;
    screen.type_in("q");
    let (code, shown) = screen.end();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("Connection to"), "{shown}");
    // Ctrl-C is a key there.
    let mut run = Terminal::session(there.ctl(["run", "--name", "k", "--", "sleep", "60"]), 100);
    let state = || there.ctl(["get", "k", "--json"]).run().stdout;
    assert!(wait::until(DEADLINE, || state().contains("\"state\":\"ready\"")));
    run.type_in("\u{3}");
    let (code, shown) = run.end();
    assert_eq!(code, 143, "{shown}");
    assert!(wait::until(DEADLINE, || state().contains("\"state\":\"idle\"")), "{}", state());
}

#[test]
fn an_agent_speaks_to_the_server_over_there() {
    let Some(there) = There::new() else { return };
    there.ctl(["start", "g"]).ok();
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list", "arguments": {}}});
    let mut mcp = there.ctl(["mcp"]);
    let output = mcp.stdin(&format!("{hello}\n{ready}\n{list}\n")).run();
    assert_eq!(output.code, 0, "{output}");
    let answer = output.stdout.lines().find(|line| line.contains("\"id\":2")).unwrap_or_default().to_owned();
    assert!(answer.contains("g") && answer.contains("cli"), "{output}");
}

#[test]
fn an_old_gobctl_over_there_is_told_of() {
    let Some(there) = There::new() else { return };
    let link = there.gob.dir().join("home/.local/bin/gobctl");
    std::fs::remove_file(&link).unwrap();
    gob_tests::program::write(&link, "#!/bin/sh\necho 'error: there is no proxy' >&2\nexit 2\n", 0o755);
    let old = there.ctl(["list"]).fails(7);
    assert!(old.stderr.contains("there is no proxy"), "{old}");
    assert!(old.stderr.contains("gobctl on there ended with 2 and answered nothing"), "{old}");
    assert!(old.stderr.contains("too old"), "{old}");
    let mut read = String::new();
    std::fs::File::open(&link).unwrap().read_to_string(&mut read).unwrap();
    gob_tests::program::write(&link, "#!/bin/sh\nexec cat\n", 0o755);
    let other = there.ctl(["ping"]).fails(7);
    assert!(other.stderr.contains("another program answers"), "{other}");
}

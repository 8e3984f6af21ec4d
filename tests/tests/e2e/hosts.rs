//! `--host` and GOB_HOST: the supervisor of another user behind a real sshd, over a connection.

use gob_tests::Gob;
use gob_tests::terminal::Terminal;
use gob_tests::there::{HOST, There, USER};
use gob_tests::wait::{self, DEADLINE};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

#[test]
fn a_verb_talks_to_the_supervisor_over_there_and_starts_it() {
    let Some(there) = There::new() else { return };
    let told = there.here.ctl(["--host", &format!("ssh://{HOST}"), "ping", "--json"]).json();
    assert_eq!(told["pong"], true, "{told}");
    assert!(there.calls().contains(&format!("-- {HOST} exec sh -c")), "{}", there.calls());
    assert!(there.calls().contains("exec gobctl \"$@\"' gob proxy"), "{}", there.calls());
    assert!(!there.here.runtime_dir().exists(), "nothing was started here");
    let started = there.ctl(["start", "g", "--json"]).json();
    let pid = started["worker"]["pid"].as_i64().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains(&format!("Uid:\t{USER}\t")), "{status}");
    let listed = there.ctl(["list", "--json"]).json();
    assert_eq!(listed["workers"][0]["pid"], pid);
    assert!(there.ctl(["stop", "g"]).ok().starts_with(&format!("stopped g (pid {pid})")));
    // The flag beats the variable, and an empty one is this machine.
    let mut here = there.ctl(["--host", "", "list", "--json"]);
    assert_eq!(here.json()["workers"], json!([]));
    assert!(there.here.runtime_dir().exists());
}

#[test]
fn the_owner_goes_along() {
    let Some(there) = There::new() else { return };
    there.ctl(["--owner", "agent", "start", "g"]).ok();
    let refused = there.ctl(["stop", "g"]).fails(5);
    assert!(refused.stderr.contains("g is owned by agent, you are cli"), "{refused}");
    let mut mine = there.ctl(["stop", "g"]);
    mine.env("GOB_OWNER", "agent");
    mine.ok();
    // The owner that list filters by is no requester.
    there.ctl(["start", "h"]).ok();
    assert_eq!(
        there.ctl(["list", "--owner", "agent", "--json"]).json()["workers"].as_array().unwrap().len(),
        1
    );
    assert_eq!(there.ctl(["list", "--here", "--owner", "desktop", "--json"]).json()["workers"], json!([]));
}

#[test]
fn addresses_that_ssh_must_not_be_given_are_refused() {
    let gob = Gob::new();
    for (address, why) in [
        ("there", "did you mean ssh://there?"),
        ("ssh://-oProxyCommand=touch", "no such host name"),
        ("ssh://-l@there", "no such user name"),
        ("ssh://me:secret@there", "a password does not belong there"),
        ("ssh://there:0", "a port is a number"),
        ("ssh://there/path", "nothing stands behind the host"),
        ("ssh://a;b", "no such host name"),
        ("tcp://there:1", "it is ssh://"),
    ] {
        let by_flag = gob.ctl(["--host", address, "list"]).fails(2);
        assert!(by_flag.stderr.contains(why) && !by_flag.stderr.contains("secret"), "{by_flag}");
        let mut by_variable = gob.ctl(["list"]);
        let by_variable = by_variable.env("GOB_HOST", address).fails(2);
        assert!(by_variable.stderr.contains("unset GOB_HOST"), "{by_variable}");
    }
    let error = gob.ctl(["--json", "--host", "there", "list"]).fails(2);
    let told: Value = serde_json::from_str(&error.stderr).unwrap();
    assert_eq!((told["error"]["code"].as_str(), error.stdout.as_str()), (Some("usage"), ""), "{error}");
}

#[test]
fn errors_of_ssh_are_shown_as_they_are() {
    let Some(there) = There::new() else { return };
    let unknown = there.here.ctl(["--host", "ssh://no-such-host.invalid", "list"]).fails(7);
    assert!(unknown.stderr.starts_with("ssh: Could not resolve hostname no-such-host.invalid"), "{unknown}");
    assert!(unknown.stderr.contains("error: ssh to ssh://no-such-host.invalid failed"), "{unknown}");
    let port = there.port();
    let stranger =
        there.here.ctl(["--host", &format!("ssh://stranger@127.0.0.1:{port}"), "logs", "g"]).fails(7);
    assert!(stranger.stderr.contains("stranger@127.0.0.1: Permission denied"), "{stranger}");
    assert!(stranger.stderr.contains(&format!("ssh -p {port} -l stranger -- 127.0.0.1 true")), "{stranger}");
    // A program that reads JSON gets them there.
    let json =
        there.here.ctl(["--json", "--host", &format!("ssh://stranger@127.0.0.1:{port}"), "list"]).fails(7);
    let told: Value = serde_json::from_str(&json.stderr).unwrap();
    let cause = told["error"]["details"]["cause"].as_str().unwrap_or_default();
    assert!(cause.contains("Permission denied"), "{json}");
    // An IPv6 address, and a port without a listener.
    let nobody = there.here.ctl(["--host", "ssh://[::1]:1", "ping"]).fails(7);
    assert!(nobody.stderr.contains("::1"), "{nobody}");
    let mut without = there.ctl(["ping"]);
    std::fs::remove_file(there.here.bin("ssh")).unwrap();
    let bin = there.here.dir().join("bin").display().to_string();
    let without = without.env("PATH", &bin).fails(7);
    assert!(
        without.stderr.contains("cannot run ssh") && without.stderr.contains("OpenSSH client"),
        "{without}"
    );
}

#[test]
fn a_host_without_gob_is_told_so() {
    let Some(there) = There::new() else { return };
    std::fs::remove_file(there.gob.dir().join("home/.local/bin/gobctl")).unwrap();
    for verb in [&["list"][..], &["logs", "g"], &["run", "true"]] {
        let missing = there.ctl(verb.iter().copied()).fails(7);
        let want = format!("error: gobctl not found on {HOST}: install gob there\nhint: it is searched on");
        assert!(missing.stderr.starts_with(&want), "{missing}");
        assert_eq!(missing.stdout, "");
    }
    let error = there.ctl(["logs", "g", "--json"]).fails(7);
    let told: Value = serde_json::from_str(&error.stderr).unwrap();
    assert_eq!(told["error"]["code"], "supervisor-unreachable");
}

#[test]
fn without_autostart_the_error_is_that_of_the_supervisor_over_there() {
    let Some(there) = There::new() else { return };
    let nobody = there.ctl(["--no-autostart", "stop", "g"]).fails(7);
    assert!(nobody.stderr.starts_with("error: on there: no supervisor is running\n"), "{nobody}");
    assert!(nobody.stderr.contains("hint: gobctl daemon start starts it"), "{nobody}");
    assert!(nobody.stderr.contains(there.gob.socket().to_str().unwrap()), "{nobody}");
    // The last known state is read over there.
    there.ctl(["start", "g"]).ok();
    there.ctl(["daemon", "stop"]).ok();
    let last = there.ctl(["--no-autostart", "list"]).run();
    assert!(last.stdout.contains('g') && last.stderr.contains("last known"), "{last}");
}

#[test]
fn events_go_on_over_a_restart_of_the_supervisor_over_there() {
    let Some(there) = There::new() else { return };
    there.ctl(["ping"]).ok();
    let mut events = there.ctl(["events", "--json"]);
    let mut events = events.command().stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(events.stderr.take().unwrap()).lines();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    let mut event = |kind: &str| {
        let found =
            lines.by_ref().map_while(Result::ok).find(|line| line.contains(&format!("\"event\":\"{kind}\"")));
        assert!(found.is_some(), "no {kind}");
    };
    let before = there.calls().lines().count();
    // Its own connection is one of them.
    assert!(
        wait::until(DEADLINE, || there.ctl(["status", "--json"]).json()["connections"].as_u64() >= Some(2))
    );
    there.ctl(["start", "g"]).ok();
    event("worker_ready");
    there.ctl(["daemon", "stop"]).ok();
    assert!(said.next().unwrap().unwrap().contains("waiting for another one"));
    // One ssh waits over there, and starts nothing.
    let waits = || there.calls().lines().skip(before).filter(|call| call.contains("proxy --wait")).count();
    assert!(wait::until(DEADLINE, || waits() == 1), "{}", there.calls());
    there.ctl(["start", "h"]).ok();
    assert!(said.next().unwrap().unwrap().contains("another supervisor is there"));
    there.ctl(["stop", "h"]).ok();
    event("worker_stopped");
    assert_eq!(waits(), 1, "{}", there.calls());
    events.kill().unwrap();
    events.wait().unwrap();
}

#[test]
fn a_lock_over_there_is_held_by_a_command_here() {
    let Some(there) = There::new() else { return };
    let file = there.here.dir().join("ran");
    let script = format!("echo $GOB_LOCK_TOKEN >{}; id -u; exec sleep 60", file.display());
    let mut run = there.ctl(["lock", "run", "deploy", "--", "sh", "-c", &script]).spawn();
    assert!(wait::until(DEADLINE, || file.exists()));
    let status = there.ctl(["lock", "status", "deploy", "--json"]).json();
    assert_eq!(status["locks"][0]["holders"].as_array().unwrap().len(), 1, "{status}");
    there.ctl(["lock", "run", "deploy", "--timeout", "0", "--", "true"]).fails(124);
    // It is lost with a break by a person over there, and the command is ended.
    there.ctl(["lock", "break", "deploy"]).ok();
    let mut said = String::new();
    run.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(125), "{said}");
    assert!(said.contains("broke the lock deploy"), "{said}");
    // A lock file is one over there.
    let path = there.gob.dir().join("home/l");
    let ran = there.ctl(["lock", "run", "--file", path.to_str().unwrap(), "--", "id", "-u"]).ok();
    assert_eq!(ran, format!("{USER}\n"));
}

#[test]
fn verbs_about_this_machine_say_so() {
    let gob = Gob::new();
    for verb in [&["completion", "bash"][..], &["man", "/nowhere"], &["skill"]] {
        let refused = gob.ctl(["--host", "ssh://there"].iter().chain(verb).copied()).fails(2);
        assert!(refused.stderr.contains("works on this machine alone"), "{refused}");
    }
    // The variable of a shell is no such mistake, whatever it holds.
    for variable in ["ssh://there", "there", "ssh://-x"] {
        for verb in [&["completion", "bash"][..], &["skill", "--print"]] {
            let mut here = gob.ctl(verb.iter().copied());
            assert!(here.env("GOB_HOST", variable).ok().contains("gobctl"), "{verb:?}");
        }
    }
}

#[test]
fn the_relay_leads_to_another_machine_by_its_flag_alone() {
    let Some(there) = There::new() else { return };
    let request = "{\"id\":1,\"type\":\"status\"}\n";
    let pid = |told: &str| serde_json::from_str::<Value>(told).unwrap()["data"]["pid"].clone();
    let mut proxy = there.here.ctl(["--host", &format!("ssh://{HOST}"), "proxy"]);
    assert_eq!(pid(&proxy.stdin(request).ok()), there.ctl(["status", "--json"]).json()["pid"]);
    // Over there the variable may be set as well.
    let mut proxy = there.here.ctl(["proxy"]);
    assert_eq!(
        pid(&proxy.env("GOB_HOST", &format!("ssh://{HOST}")).stdin(request).ok()),
        there.here.gobd_pid()
    );
    // The words of ssh are in the line that a program reads.
    let mut proxy = there.here.ctl(["--host", &format!("ssh://nobody@{HOST}"), "proxy"]);
    let refused = proxy.stdin(request).fails(7);
    let told: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!((&told["id"], &told["error"]["code"]), (&Value::Null, &json!("supervisor-unreachable")));
    let cause = told["error"]["details"]["cause"].as_str().unwrap();
    assert!(cause.contains("Permission denied") || cause.contains("closed"), "{told}");
}

#[test]
fn the_relay_is_the_socket_on_standard_streams() {
    let gob = Gob::new();
    let mut proxy = gob.ctl(["proxy"]);
    let told = proxy.stdin("{\"id\":1,\"type\":\"ping\"}\n{\"id\":2,\"type\":\"list\"}\n").ok();
    let answers: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((answers.len(), &answers[0]["id"], &answers[1]["id"]), (2, &json!(1), &json!(2)), "{told}");
    gob.ctl(["daemon", "stop"]).ok();
    let mut proxy = gob.ctl(["proxy", "--no-autostart"]);
    let error = proxy.stdin("{\"id\":1,\"type\":\"ping\"}\n").fails(7);
    let told: Value = serde_json::from_str(&error.stdout).unwrap();
    assert_eq!(
        (&told["id"], &told["error"]["code"]),
        (&Value::Null, &json!("supervisor-unreachable")),
        "{told}"
    );
    for words in [&["proxy", "x"][..], &["verb-from-afar"], &["verb-from-afar", "run", "%"]] {
        gob.ctl(words.iter().copied()).fails(2);
    }
}

#[test]
fn a_passphrase_is_asked_for_on_the_terminal() {
    let Some(there) = There::new() else { return };
    let locked = std::process::Command::new("ssh-keygen")
        .args(["-q", "-p", "-N", "open sesame", "-f"])
        .arg(there.here.dir().join("id"))
        .status();
    assert!(locked.is_ok_and(|locked| locked.success()), "ssh-keygen");
    for verb in [&["list"][..], &["run", "--", "echo", "ran"], &["logs", "j1"]] {
        let mut terminal = Terminal::session(there.ctl(verb.iter().copied()), 80);
        terminal.wait_for(|shown| shown.contains("Enter passphrase for key"));
        terminal.type_in("open sesame\n");
        let (code, shown) = terminal.end();
        assert_eq!((code, shown.matches("passphrase").count()), (0, 1), "{verb:?}: {shown}");
        assert!(!shown.contains("sesame"), "{shown}");
    }
}

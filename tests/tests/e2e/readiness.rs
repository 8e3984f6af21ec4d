//! Every readiness check of a kind, on a worker that plays the server (CLI, Configuration).

use crate::orphans::kill_both;
use gob_tests::Gob;
use gob_tests::script::{Http, Step, Write};
use gob_tests::wait::{self, DEADLINE};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

/// Makes a world whose default kind is the fixture with a port, and with these lines of configuration.
pub(crate) fn gob(given: bool, lines: &str) -> Gob {
    let gob = Gob::new();
    let port = if given { ", \"--port\", \"{port}\"" } else { "" };
    let text = format!(
        "default_kind = \"server\"\n[kind.server]\ncommand = [\"gob-graph-worker\", \"--root-dir\", \
         \"{{root_dir}}\", \"--graph\", \"{{graph}}\", \"--socket\", \"{{socket}}\"{port}]\n{lines}\n"
    );
    let path = gob.dir().join("config.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    gob
}

fn start(gob: &Gob, steps: &[Step]) -> Value {
    gob.script("g", steps);
    gob.connect_as("cli").ok("start", json!({"graph": "g"}))["worker"].clone()
}

fn given_port(gob: &Gob, run: u64) -> u16 {
    gob.facts("g", run).args.last().unwrap().parse().unwrap()
}

#[test]
fn http_on_the_given_port_after_503() {
    let gob = gob(true, "readiness = { type = \"http\", path = \"/healthz\" }");
    let worker = start(&gob, &[Step::Http(Http { unready: 3, ..Http::default() })]);
    let port = given_port(&gob, 1);
    assert_eq!(worker["state"], "ready");
    assert_eq!(worker["endpoint"], format!("http://127.0.0.1:{port}"));
    assert_eq!(worker["command"].as_array().unwrap().last().unwrap(), &json!(port.to_string()));
}

#[test]
fn the_next_supervisor_gives_a_worker_the_port_that_it_had() {
    let mut gob = gob(true, "readiness = { type = \"http\", path = \"/\" }");
    gob.without_leftover_check();
    start(&gob, &[Step::Http(Http::default())]);
    let port = given_port(&gob, 1);
    let last = gob.state_dir().join("last.json");
    let written = || fs::read_to_string(&last).is_ok_and(|text| text.contains("\"last_ports\":{\"g\":"));
    assert!(wait::until(DEADLINE, written));
    let ends: [&dyn Fn(); 2] = [&|| drop(gob.ctl(["shutdown"]).ok()), &|| kill_both(&gob)];
    for (run, end) in (2..).zip(ends) {
        end();
        // A life in which workers are only listed forgets nothing.
        gob.ctl(["list"]).ok();
        gob.ctl(["shutdown"]).ok();
        gob.ctl(["start", "g"]).ok();
        assert_eq!(given_port(&gob, run), port);
    }
    gob.ctl(["stop", "g"]).ok();
    gob.ctl(["shutdown"]).ok();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    gob.ctl(["start", "g"]).ok();
    assert_ne!(given_port(&gob, 4), port, "another one, where somebody else has it");
    drop(taken);
    gob.ctl(["nuke"]).ok();
}

#[test]
fn http_on_a_discovered_port() {
    let gob = gob(false, "readiness = { type = \"http\", path = \"/\", port = \"discover\" }");
    let worker = start(&gob, &[Step::Http(Http::default())]);
    let port = worker["ports"][0]["port"].as_u64().unwrap();
    assert_eq!(worker["endpoint"], format!("http://127.0.0.1:{port}"));
    assert_eq!(worker["ports"][0]["pid"], worker["pid"]);
}

/// A foreign server, which answers 200 to every request, and notes it.
struct Stranger {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stranger {
    fn on(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                noted.lock().unwrap().extend(lines.next());
                lines.take_while(|line| !line.is_empty()).for_each(drop);
                // The client may be gone.
                (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap_or_default();
            }
        });
        Self { port, asked }
    }

    /// Returns whether it got a request that begins with these words.
    fn was_asked(&self, words: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|line| line.starts_with(words))
    }
}

#[test]
fn a_foreign_server_on_the_port_is_not_the_worker_and_not_asked_to_end() {
    let stranger = Stranger::on(0);
    let gob = gob(
        false,
        &format!(
            "readiness = {{ type = \"http\", path = \"/healthz\", port = {}, timeout = \"1s\" }}\n\
             stop = {{ http = \"POST /v1/shutdown\" }}",
            stranger.port
        ),
    );
    gob.script("g", &[Step::Hang]);
    let error = gob.connect_as("cli").err("start", json!({"graph": "g"}), "server-start-timeout");
    let words = format!("another process answers on port {}", stranger.port);
    assert!(error["message"].as_str().unwrap().contains(&words), "{error}");
    assert!(stranger.was_asked("GET /healthz"));
    assert!(!stranger.was_asked("POST"), "a bystander was asked to end");
}

#[test]
fn the_failure_of_a_taken_port_names_the_process_that_answers() {
    let stranger = Stranger::on(0);
    let lines = format!("readiness = {{ type = \"http\", path = \"/\", port = {} }}", stranger.port);
    let gob = gob(false, &lines);
    gob.fifo("g", "go");
    gob.script("g", &[Step::WaitFor("go".to_owned()), Step::Exit(1)]);
    let mut conn = gob.connect_as("cli");
    let id = conn.post("start", json!({"graph": "g"}));
    let words = format!("another process answers on port {}", stranger.port);
    let reason = || gob.connect_as("cli").ok("get", json!({"name": "g"}))["worker"]["reason"].clone();
    let told = || reason().as_str().is_some_and(|reason| reason.contains(&words));
    assert!(gob_tests::wait::until(gob_tests::wait::DEADLINE, told), "{}", reason());
    gob.release("g", "go");
    let error = conn.response(id)["error"].clone();
    assert_eq!(error["code"], "server-start-failed");
    assert!(error["message"].as_str().unwrap().contains(&words), "{error}");
    gob.connect_as("cli").ok("stop", json!({"name": "g"}));
}

#[test]
fn a_taken_port_is_tried_around() {
    let gob = gob(true, "readiness = { type = \"http\", path = \"/\" }");
    gob.fifo("g", "go");
    gob.script("g", &[Step::Http(Http::default())]);
    gob.script_of_run("g", 1, &[Step::WaitFor("go".to_owned()), Step::Http(Http::default())]);
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g", "wait": "spawned"}));
    let id = conn.post("start", json!({"graph": "g"}));
    assert!(gob_tests::wait::until(gob_tests::wait::DEADLINE, || gob
        .graph_dir("g")
        .join("facts.1.json")
        .exists()));
    let lost = given_port(&gob, 1);
    let thief = Stranger::on(lost);
    // It answers as the worker would, and is not taken for it.
    assert!(gob_tests::wait::until(gob_tests::wait::DEADLINE, || thief.was_asked("GET /")));
    gob.release("g", "go");
    let answer = conn.response(id);
    let worker = &answer["data"]["worker"];
    assert_eq!(
        (&worker["state"], &worker["run"], &worker["restarts"]),
        (&json!("ready"), &json!(2), &json!(0)),
        "{answer}"
    );
    assert_ne!(given_port(&gob, 2), lost);
}

#[test]
fn connect_log_delay_and_notify() {
    let http = || Step::Http(Http::default());
    let cases = [
        ("{ type = \"connect\", address = \"127.0.0.1:{port}\" }", vec![http()]),
        ("{ type = \"log\", pattern = 'listening on (?P<json>.*)' }", vec![http()]),
        ("{ type = \"delay\", for = \"50ms\" }", vec![http()]),
        ("\"notify\"", vec![http(), Step::Notify("READY=1\nSTATUS=up\n".to_owned())]),
    ];
    for (check, steps) in cases {
        let gob = gob(true, &format!("readiness = {check}"));
        let worker = start(&gob, &steps);
        assert_eq!(worker["state"], "ready", "{check}");
        // The port is in the arguments, which the fixture may not have noted yet when only time decides.
        let port = worker["command"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
        assert_eq!(worker["endpoint"], format!("http://127.0.0.1:{port}"), "{check}");
    }
}

#[test]
fn only_a_process_of_the_run_can_notify_readiness() {
    let gob = gob(false, "readiness = \"notify\"");
    gob.fifo("g", "go");
    let told = |text: &str| Step::Notify(text.to_owned());
    gob.script("g", &[told("STATUS=loading"), Step::WaitFor("go".to_owned()), told("READY=1")]);
    let mut conn = gob.connect_as("cli");
    let id = conn.post("start", json!({"graph": "g"}));
    let state = || gob.connect_as("cli").ok("get", json!({"name": "g"}))["worker"].clone();
    assert!(gob_tests::wait::until(gob_tests::wait::DEADLINE, || state()["reason"] == "loading"));
    let stranger = std::os::unix::net::UnixDatagram::unbound().unwrap();
    stranger.send_to(b"READY=1", gob.runtime_dir().join("notify.sock")).unwrap();
    assert_eq!(state()["state"], "starting");
    gob.release("g", "go");
    assert_eq!(conn.response(id)["data"]["worker"]["state"], "ready");
}

#[test]
fn a_worker_that_is_never_ready_fails_with_the_last_probe() {
    let gob = gob(true, "readiness = { type = \"http\", path = \"/x\", timeout = \"2s\" }");
    let words = Write { text: "cannot load\n".to_owned(), stderr: true, chunk: 0 };
    gob.script("g", &[Step::Write(words), Step::Http(Http { unready: 1000, ..Http::default() })]);
    let error = gob.connect_as("cli").err("start", json!({"graph": "g"}), "server-start-timeout");
    let text = error.to_string();
    assert!(text.contains("answered 503, not 200") && text.contains("cannot load"), "{text}");
}

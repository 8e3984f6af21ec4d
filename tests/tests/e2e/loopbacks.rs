//! Servers on either address of the loopback interface, and ports that stay: programs disagree on the meaning
//! of `localhost`.

use crate::readiness::gob;
use gob_tests::Gob;
use gob_tests::process;
use gob_tests::script::{Http, Step};
use gob_tests::wait::{self, DEADLINE};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

/// Hosts other than 127.0.0.1, as in an endpoint: Node takes `localhost` for the first, and a server may be
/// given any of the loopback interface.
const OTHERS: [&str; 2] = ["[::1]", "127.0.0.2"];

/// Returns a server at one of them.
fn at(host: &str) -> Http {
    Http { host: Some(host.trim_matches(['[', ']']).to_owned()), ..Http::default() }
}

fn start(gob: &Gob, http: Http) -> Value {
    gob.script("g", &[Step::Http(http)]);
    gob.connect_as("cli").ok("start", json!({"graph": "g"}))["worker"].clone()
}

/// Returns the port in a worker's endpoint.
fn port_of(worker: &Value) -> u16 {
    let endpoint = worker["endpoint"].as_str().unwrap_or_else(|| panic!("no endpoint: {worker}"));
    endpoint.rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn a_server_on_another_loopback_address_is_ready_well_and_asked_to_end() {
    let lines = "readiness = { type = \"http\", path = \"/healthz\" }\n\
                 liveness = { type = \"http\", path = \"/healthz\", interval = \"50ms\", failures = 1 }\n\
                 stop = { http = \"POST /v1/shutdown\", grace = \"20s\" }";
    OTHERS.into_iter().for_each(|host| is_ready_well_and_asked_to_end(host, lines));
}

fn is_ready_well_and_asked_to_end(host: &str, lines: &str) {
    let gob = gob(true, lines);
    let worker = start(&gob, Http { takes_shutdown: true, ..at(host) });
    let expected = format!("http://{host}:{}", port_of(&worker));
    assert_eq!((&worker["state"], worker["endpoint"].as_str()), (&json!("ready"), Some(expected.as_str())));
    let mut events = gob.events();
    // Several probes later it is still healthy.
    wait::while_time_passes(std::time::Duration::from_millis(400));
    assert_eq!(gob.connect().ok("get", json!({"name": "g"}))["worker"]["state"], "ready");
    let data = gob.connect_as("cli").ok("stop", json!({"name": "g"}));
    assert_eq!(data["worker"]["exit"], json!({"code": 0}), "{data}");
    let stopped = events.event("worker_stopped", "g");
    assert_eq!(stopped["worker"]["exit"], json!({"code": 0}));
}

#[test]
fn every_check_that_knows_a_port_alone_finds_the_address() {
    for check in [
        "{ type = \"connect\", address = \"localhost:{port}\" }",
        "{ type = \"log\", pattern = 'listening on .*:(?<port>[0-9]+)' }",
    ] {
        for host in OTHERS {
            let gob = gob(true, &format!("readiness = {check}"));
            let worker = start(&gob, at(host));
            assert_eq!(worker["endpoint"], format!("http://{host}:{}", port_of(&worker)), "{check}");
        }
    }
}

#[test]
fn a_line_in_colour_or_without_its_end_is_seen() {
    let vite =
        "  \u{1b}[1mLocal\u{1b}[22m:   \u{1b}[36mhttp://localhost:\u{1b}[1m{PORT}\u{1b}[22m/\u{1b}[39m\n";
    let prompt = "started\nlistening at localhost:{PORT} > ";
    for line in [vite, prompt] {
        let gob = gob(false, "readiness = { type = \"log\", pattern = 'localhost:(?<port>[0-9]+)' }");
        let worker = start(&gob, Http { line: Some(line.to_owned()), ..Http::default() });
        assert_eq!(worker["endpoint"], format!("http://127.0.0.1:{}", port_of(&worker)), "{line:?}");
    }
}

#[test]
fn a_failed_probe_names_the_addresses_of_the_worker() {
    let lines = "readiness = { type = \"http\", path = \"/\", port = \"{port}\", timeout = \"3s\" }";
    let gob = gob(true, lines);
    // The worker ignores the port that it is given.
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    gob.script("g", &[Step::Http(Http { port: Some(other), ..Http::default() })]);
    let error = gob.connect_as("cli").err("start", json!({"graph": "g"}), "server-start-timeout");
    let words = format!("it listens on 127.0.0.1:{other}");
    assert!(error["message"].as_str().unwrap().contains(&words), "{error}");
}

#[test]
fn a_port_stays_over_stops_and_restarts_while_it_is_free() {
    let gob = gob(true, "readiness = { type = \"http\", path = \"/\" }");
    let port = port_of(&start(&gob, Http::default()));
    let mut conn = gob.connect_as("cli");
    assert_eq!(port_of(&conn.ok("restart", json!({"name": "g"}))["worker"]), port);
    conn.ok("stop", json!({"name": "g"}));
    assert_eq!(port_of(&conn.ok("start", json!({"graph": "g"}))["worker"]), port);
    conn.ok("stop", json!({"name": "g"}));
    let thief = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let other = port_of(&conn.ok("start", json!({"graph": "g"}))["worker"]);
    assert_ne!(other, port);
    drop(thief);
    // The present port is the one that it keeps.
    assert_eq!(port_of(&conn.ok("restart", json!({"name": "g"}))["worker"]), other);
}

#[test]
fn a_port_set_by_the_kind_is_that_one_or_none() {
    let taken = TcpListener::bind((Ipv6Addr::LOCALHOST, 0))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .unwrap();
    let port = taken.local_addr().unwrap().port();
    let gob = gob(true, &format!("readiness = {{ type = \"http\", path = \"/\" }}\nport = {port}"));
    gob.script("g", &[Step::Http(Http::default())]);
    let mut conn = gob.connect_as("cli");
    let error = conn.err("start", json!({"graph": "g"}), "server-start-failed");
    let (message, hint) = (error["message"].as_str().unwrap(), error["hint"].as_str().unwrap());
    assert!(message.contains(&format!("take port {port}")), "{error}");
    assert!(hint.contains(&format!("sport = :{port}")), "{error}");
    assert_eq!(error["details"]["errno"], "EADDRINUSE");
    let address = taken.local_addr().unwrap();
    drop(taken);
    // A child that another test of this process starts has the listener, too, until its program runs.
    assert!(wait::until(DEADLINE, || TcpListener::bind(address).is_ok()));
    assert_eq!(port_of(&conn.ok("start", json!({"graph": "g"}))["worker"]), port);
}

#[test]
fn a_server_that_cannot_be_marked_is_found_by_its_leader() {
    // A hard limit on file locks below every mark; lowering one needs no right.
    for lines in [
        "readiness = { type = \"http\", path = \"/\", timeout = \"10s\" }\nstop = { http = \"POST /end\", grace = \"20s\" }",
        "readiness = { type = \"http\", path = \"/\", port = \"discover\", timeout = \"10s\" }",
    ] {
        let gob = gob(true, lines);
        let gobd = gob.gobd_pid();
        assert!(process::limit_locks(gobd, (1_000, 1_000)).is_some(), "the limit of a process of ours");
        let worker = start(&gob, Http { takes_shutdown: true, ..Http::default() });
        assert_eq!(worker["state"], "ready", "{worker}");
        assert_eq!(gob.status()["unmarked_runs"], 1);
        let data = gob.connect_as("cli").ok("stop", json!({"name": "g"}));
        assert_eq!(data["receipt"]["survivors"], json!([]), "{data}");
    }
}

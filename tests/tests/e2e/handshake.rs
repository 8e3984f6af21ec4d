//! The worker's handshake in every way in which it may and may not come (E1, PROTOCOL 11).

use gob_tests::script::{Flood, Step, Write};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Gob, process};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

fn text(text: &str) -> Step {
    Step::Write(Write { text: text.to_owned(), ..Default::default() })
}

fn start(gob: &Gob, steps: &[Step]) -> Value {
    gob.script("g", steps);
    gob.connect_as("cli").ask("start", json!({"graph": "g"}))
}

fn stdout(gob: &Gob) -> Vec<u8> {
    fs::read(gob.log("g", 1, "stdout")).unwrap_or_default()
}

#[test]
fn a_byte_at_a_time() {
    let gob = Gob::new();
    let by_bytes = Write { text: "{HANDSHAKE}\n".to_owned(), chunk: 1, ..Default::default() };
    let answer = start(&gob, &[Step::Listen, Step::Write(by_bytes)]);
    assert_eq!(answer["data"]["worker"]["state"], "ready", "{answer}");
    assert_eq!(answer["data"]["worker"]["version"], "fixture");
    assert_eq!(answer["data"]["worker"]["meta"], json!({"run": "1"}));
}

#[test]
fn after_noise_and_in_one_write_with_what_follows() {
    let gob = Gob::new();
    let noise = "booting é\n{\"ready\":1}\n[true]\n{\"level\":\"info\"}\n\n{\"ready\":true\n";
    let answer = start(&gob, &[Step::Listen, text(&format!("{noise}{{HANDSHAKE}}\nfirst\nsecond"))]);
    assert_eq!(answer["data"]["worker"]["state"], "ready", "{answer}");
    let shown = || String::from_utf8(stdout(&gob)).unwrap();
    assert!(wait::until(DEADLINE, || shown().ends_with("}\nfirst\nsecond")), "{}", shown());
    assert!(shown().starts_with(noise), "{}", shown());
    assert_eq!(shown().matches("\"ready\":true,").count(), 1);
}

#[test]
fn after_bytes_that_are_no_text() {
    let gob = Gob::new();
    let noise = vec![0xff, 0xfe, 0, b'\n', 0xc3, b'\n', 0, 0, b'\n'];
    let answer = start(&gob, &[Step::Listen, Step::Bytes(noise.clone()), Step::Handshake]);
    assert_eq!(answer["data"]["worker"]["state"], "ready", "{answer}");
    assert!(wait::until(DEADLINE, || stdout(&gob).starts_with(&noise)));
}

#[test]
fn late() {
    let gob = Gob::new();
    gob.fifo("g", "go");
    let half = "{\"ready\":true,\"endpoint\":\"unix:/tmp/x\",";
    gob.script("g", &[text(half), Step::WaitFor("go".to_owned()), text("\"version\":\"é\"}\n")]);
    let mut conn = gob.connect_as("cli");
    let id = conn.post("start", json!({"graph": "g"}));
    assert!(
        wait::until(DEADLINE, || stdout(&gob) == half.as_bytes()),
        "output is logged before the handshake"
    );
    assert_eq!(conn.ok("get", json!({"name": "g"}))["worker"]["state"], "starting");
    gob.release("g", "go");
    let answer = conn.response(id);
    assert_eq!(
        (&answer["data"]["worker"]["version"], &answer["data"]["worker"]["state"]),
        (&json!("é"), &json!("ready"))
    );
}

#[test]
fn the_endpoint_in_its_spellings() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let cases = [
        (r#"{"ready":true,"endpoint":"http://localhost:1/x"}"#, "http://localhost:1/x"),
        (r#"{"ready":true,"socketPath":"/s"}"#, "unix:/s"),
        (r#"{"ready":true,"socket_path":"/s","port":null}"#, "unix:/s"),
        (r#"{"ready":true,"port":5173}"#, "http://127.0.0.1:5173"),
        (r#"{"ready":true,"port":5173,"host":"::1"}"#, "http://[::1]:5173"),
    ];
    for (n, (line, endpoint)) in cases.into_iter().enumerate() {
        let graph = format!("g{n}");
        gob.script(&graph, &[text(&format!("{line}\n"))]);
        let data = conn.ok("start", json!({"graph": graph}));
        assert_eq!(data["worker"]["endpoint"], endpoint);
    }
    gob.script("meta", &[text("{\"ready\":true,\"meta\":{\"a\":[1]},\"other\":5}\n")]);
    let data = conn.ok("start", json!({"graph": "meta"}));
    assert_eq!((&data["worker"]["meta"], &data["worker"]["endpoint"]), (&json!({"a": [1]}), &Value::Null));
}

#[test]
fn not_ready_fails_with_the_workers_words_and_ends_its_tree() {
    let gob = Gob::new();
    let child = gob_tests::script::Child { ignore_term: true, ..Default::default() };
    let refusal = text("{\"ready\":false,\"error\":\"the disk is full\"}\n");
    let answer = start(&gob, &[Step::Child(child), refusal]);
    assert_eq!(answer["error"]["code"], "server-start-failed", "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("the disk is full"), "{answer}");
    let pids = [gob.children("g", 1), vec![gob.facts("g", 1).pid]].concat();
    assert_eq!(process::survivors(&pids, Duration::from_secs(15)), Vec::<i32>::new());
}

#[test]
fn a_line_without_end() {
    for bytes in [64 * 1024 + 1, 100 << 20] {
        let gob = Gob::new();
        let answer =
            start(&gob, &[Step::Flood(Flood { bytes, ..Default::default() }), text("\n{HANDSHAKE}\n")]);
        assert_eq!(answer["error"]["code"], "handshake-invalid", "{answer}");
        let status = gob.status();
        assert!(status["rss_bytes"].as_u64().unwrap() < 64 << 20, "{status}");
        assert_eq!(process::survivors(&[gob.facts("g", 1).pid], DEADLINE), Vec::<i32>::new());
        gob.connect_as("cli").ok("stop", json!({"name": "g", "force": true}));
    }
}

#[test]
fn lines_up_to_the_limit_are_only_noise() {
    let gob = Gob::new();
    let most = Flood { bytes: 64 * 1024, ..Default::default() };
    let lines = Flood { bytes: 10 << 20, line: 1000, ..Default::default() };
    let answer = start(&gob, &[Step::Flood(most), text("\n"), Step::Flood(lines), text("\n{HANDSHAKE}\n")]);
    assert_eq!(answer["data"]["worker"]["state"], "ready", "{answer}");
}

#[test]
fn fields_of_the_wrong_type() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    for (n, fields) in
        ["\"port\":0", "\"port\":\"80\"", "\"endpoint\":5", "\"version\":{}"].iter().enumerate()
    {
        let graph = format!("g{n}");
        gob.script(&graph, &[text(&format!("{{\"ready\":true,{fields}}}\n"))]);
        conn.err("start", json!({"graph": graph}), "handshake-invalid");
        conn.ok("stop", json!({"name": graph, "force": true}));
    }
}

#[test]
fn ended_before_it_was_ready() {
    let gob = Gob::new();
    let last = Write { text: "opening the file\ncannot open the file\n".to_owned(), stderr: true, chunk: 0 };
    let answer = start(&gob, &[Step::Write(last), Step::Exit(3)]);
    let error = &answer["error"];
    assert_eq!(error["code"], "server-start-failed", "{answer}");
    assert_eq!(error["details"]["exit"], json!({"code": 3}));
    let lines = error["details"]["last_lines"].as_array().unwrap();
    assert_eq!(lines.last().unwrap(), "cannot open the file", "{answer}");
    gob.connect_as("cli").ok("stop", json!({"name": "g"}));
    let output = gob.ctl(["start", "g"]).fails(8);
    assert!(output.stderr.contains("cannot open the file"), "{output}");
}

#[test]
fn the_last_line_without_its_newline_is_none() {
    let gob = Gob::new();
    let answer = start(&gob, &[text("{HANDSHAKE}"), Step::Exit(0)]);
    assert_eq!(answer["error"]["code"], "server-start-failed", "{answer}");
    assert_eq!(answer["error"]["details"]["exit"], json!({"code": 0}));
}

#[test]
fn never() {
    let gob = Gob::new();
    let child = gob_tests::script::Child::default();
    gob.script("g", &[Step::Child(child), Step::CloseStdout, Step::Hang]);
    let mut conn = gob.connect_as("cli");
    let id = conn.post("start", json!({"graph": "g"}));
    let answer = conn.find("the answer", Duration::from_secs(60), |frame| frame["id"] == id);
    assert_eq!(answer["error"]["code"], "server-start-timeout", "{answer}");
    let worker = conn.ok("get", json!({"name": "g"}))["worker"].clone();
    assert_eq!(worker["state"], "failed", "{worker}");
    assert!(worker["reason"].is_string());
    let pids = [gob.children("g", 1), vec![gob.facts("g", 1).pid]].concat();
    assert!(pids.iter().all(|pid| !process::is_alive(*pid)));
}

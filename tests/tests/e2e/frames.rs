//! Bytes on the socket: bad ones in every chunking, long ones, cut ones, many at once (E2, PROTOCOL 2 and 3).

use gob_tests::Gob;
use gob_tests::conn::Conn;
use gob_tests::script::{Step, Write};
use gob_tests::wait::{self, DEADLINE};
use serde_json::{Value, json};
use std::time::Duration;

const REFUSED: &str = include_str!("../../../protocol/golden/refused.jsonl");

/// Sends bytes in pieces whose sizes repeat.
fn send_in(conn: &mut Conn, bytes: &[u8], sizes: &[usize]) {
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        let (now, later) = rest.split_at((*size).min(rest.len()));
        conn.send(now);
        rest = later;
        if rest.is_empty() {
            return;
        }
    }
}

/// Returns every refusal as a line, with the expected answer.
fn refusals() -> Vec<(Vec<u8>, Value)> {
    let golden = REFUSED.lines().map(|row| {
        let row: Value = serde_json::from_str(row).unwrap();
        (row["line"].as_str().unwrap().as_bytes().to_vec(), row)
    });
    let deep = |open: &str, close: &str, depth: usize| {
        format!(
            "{{\"id\":1,\"type\":\"start\",\"payload\":{{\"env\":{}1{}}}}}",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    let invalid = json!({"code": "invalid-request"});
    let more = [
        b"{\"id\":1,\"type\":\"p\xc3ing\"}".to_vec(),
        b"{\"id\":1,\"type\":\"ping\"}\0".to_vec(),
        b"\xef\xbb\xbf{\"id\":1,\"type\":\"ping\"}".to_vec(),
        b"\xed\xa0\x80".to_vec(),
        deep("[", "]", 100_000).into_bytes(),
        deep("{\"a\":", "}", 200).into_bytes(),
        "{\"id\":1,\"type\":\"stop\",\"payload\":{\"name\":\"é\",\"é\":1}}".as_bytes().to_vec(),
    ];
    golden.chain(more.into_iter().map(|line| (line, invalid.clone()))).collect()
}

#[test]
fn bad_lines_in_five_chunkings() {
    let gob = Gob::new();
    // All at once; by bytes, so also inside every character; odd sizes; as a pipe would; one line and a bit.
    let chunkings: [&[usize]; 5] = [&[usize::MAX], &[1], &[3, 1, 7], &[65_536], &[40, 2]];
    for sizes in chunkings {
        let mut conn = gob.connect_as("cli");
        let refusals = refusals().into_iter().filter(|(line, _)| sizes != [1] || line.len() < 10_000);
        for (line, expected) in refusals {
            let mut bytes = line.clone();
            bytes.extend_from_slice("\n\r\n{\"id\":\"é😀\",\"type\":\"ping\"}\r\n".as_bytes());
            send_in(&mut conn, &bytes, sizes);
            let refusal = conn.frame();
            let shown = String::from_utf8_lossy(&line).chars().take(200).collect::<String>();
            assert_eq!(refusal["success"], false, "{shown}: {refusal}");
            assert_eq!(refusal["error"]["code"], expected["code"], "{shown}: {refusal}");
            assert!(refusal["error"]["details"]["position"].is_u64(), "{shown}: {refusal}");
            if let Some(field) = expected["field"].as_str() {
                assert_eq!(refusal["error"]["details"]["field"], field, "{shown}: {refusal}");
                assert_eq!(refusal["id"], expected["id"], "{shown}: {refusal}");
            }
            let pong = conn.frame();
            assert_eq!((&pong["id"], &pong["data"]["pong"]), (&json!("é😀"), &json!(true)), "{shown}");
        }
    }
    assert_eq!(gob.connect().ok("list", json!({}))["workers"], json!([]), "nothing of it was executed");
}

#[test]
fn a_line_of_100_mb_is_refused_once_in_constant_memory() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let before = conn.ok("status", json!({}))["rss_bytes"].as_u64().unwrap();
    conn.send(b"{\"id\":1,\"type\":\"ping\",\"x\":\"");
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        conn.send(&chunk);
    }
    conn.send(b"\"}\n{\"id\":2,\"type\":\"ping\"}\n");
    let refusal = conn.frame();
    assert_eq!((&refusal["error"]["code"], &refusal["id"]), (&json!("frame-too-long"), &Value::Null));
    assert_eq!(conn.frame()["id"], 2, "answered once, and the connection lives");
    let after = conn.ok("status", json!({}))["rss_bytes"].as_u64().unwrap();
    assert!(after < before + (16 << 20), "{before} {after}");
}

#[test]
fn a_frame_of_exactly_the_limit_is_served() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    for (len, fits) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        let mut line = b"{\"id\":7,\"type\":\"ping\"".to_vec();
        line.resize(len - 1, b' ');
        line.push(b'}');
        conn.send(&line);
        conn.send(b"\n");
        let answer = conn.frame();
        assert_eq!(answer["success"], fits, "{answer}");
        assert_eq!(answer["error"]["code"] == "frame-too-long", !fits);
    }
}

#[test]
fn a_request_that_was_cut_off_is_never_executed() {
    let gob = Gob::new();
    let mut watcher = gob.connect_as("cli");
    let line = b"{\"id\":1,\"type\":\"start\",\"payload\":{\"graph\":\"g\"}}\n";
    for cut in 0..line.len() {
        let mut conn = gob.connect_as("cli");
        conn.send(&line[..cut]);
        conn.finish_writing();
        conn.wait_closed();
    }
    assert_eq!(watcher.ok("list", json!({}))["workers"], json!([]));
}

#[test]
fn ids_come_back_as_they_were() {
    let gob = Gob::new();
    let mut conn = gob.connect();
    let ids =
        ["0", "-1", "9223372036854775807", "18446744073709551615", "\"\"", "\"7\"", "\"é😀\\u0000\"", "null"];
    for id in ids {
        conn.send(format!("{{\"id\":{id},\"type\":\"ping\"}}\n").as_bytes());
        let expected: Value = serde_json::from_str(id).unwrap();
        assert_eq!(conn.frame()["id"], expected);
    }
    conn.send(b"{\"type\":\"ping\"}\n");
    let answer = conn.frame();
    assert_eq!((&answer["id"], &answer["success"]), (&Value::Null, &json!(true)));
    let too_long = format!("{{\"id\":\"{}\",\"type\":\"ping\"}}\n", "x".repeat(257));
    conn.send(too_long.as_bytes());
    assert_eq!(conn.frame()["error"]["code"], "invalid-request");
}

#[test]
fn a_thousand_requests_at_once_get_a_thousand_answers() {
    let gob = Gob::new();
    let mut conn = gob.connect();
    let mut writer = conn.stream().try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        use std::io::Write;
        let lines: Vec<String> = (0..1000)
            .map(|id| format!("{{\"id\":{id},\"type\":\"{}\"}}\n", ["ping", "list", "status"][id % 3]))
            .collect();
        // In one piece, so that requests end anywhere in the supervisor's reads.
        writer.write_all(lines.concat().as_bytes()).unwrap();
    });
    let mut seen = vec![0; 1000];
    for _ in 0..1000 {
        let answer = conn.frame();
        let id = answer["id"].as_u64().unwrap() as usize;
        let field = ["pong", "workers", "uptime_ms"][id % 3];
        assert!(!answer["data"][field].is_null(), "{answer}");
        seen[id] += 1;
    }
    sender.join().unwrap();
    assert!(seen.iter().all(|count| *count == 1));
}

#[test]
fn a_client_that_reads_nothing_is_not_read_for_ever_and_no_other_waits() {
    let gob = Gob::new();
    let mut deaf = gob.connect();
    deaf.stream().set_nonblocking(true).unwrap();
    let line = b"{\"id\":1,\"type\":\"status\"}\n".repeat(1000);
    let mut sent = 0;
    // The supervisor stops reading once answers pile up, so the socket must fill.
    while deaf.try_send(&line).is_ok() {
        sent += line.len();
        assert!(sent < 256 << 20, "the supervisor reads without end");
    }
    let mut other = gob.connect();
    assert_eq!(other.ok("ping", json!({}))["pong"], true);
    let status = other.ok("status", json!({}));
    assert!(status["rss_bytes"].as_u64().unwrap() < 64 << 20, "{status}");
}

/// Returns the supervisor's resident memory.
fn rss(gob: &Gob) -> u64 {
    gob.status()["rss_bytes"].as_u64().unwrap()
}

#[test]
fn half_requests_of_hundreds_of_clients_are_bounded_together() {
    let gob = Gob::new();
    let half = [b"{\"id\":1,\"type\":\"ping\",\"x\":\"".as_slice(), &vec![b'x'; 900 * 1024]].concat();
    let mut conns: Vec<_> = (0..120).map(|_| gob.connect()).collect();
    // A client that is refused meanwhile is not read on.
    for conn in &mut conns {
        conn.try_send(&half).unwrap_or_default();
    }
    let held = rss(&gob);
    assert!(held < 140 << 20, "{held}");
    let refused =
        conns.iter_mut().filter_map(|conn| conn.frame_within(Duration::from_millis(1))).collect::<Vec<_>>();
    assert!((40..120).contains(&refused.len()), "{}", refused.len());
    for refusal in refused {
        assert_eq!(refusal["error"]["code"], "busy", "{refusal}");
        assert_eq!(refusal["error"]["details"], json!({"limit": "unfinished requests"}));
    }
    assert_eq!(gob.connect().ok("ping", json!({}))["pong"], true, "small requests are served");
    drop(conns);
    // Their memory is given back within moments.
    assert!(wait::until(DEADLINE, || rss(&gob) < 40 << 20), "{} after {held}", rss(&gob));
}

#[test]
fn a_client_that_asks_for_large_answers_and_does_not_read_costs_little() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let ready = json!({"ready": true, "meta": {"note": "x".repeat(60_000)}});
    for graph in (0..20).map(|n| format!("g{n}")) {
        gob.script(&graph, &[Step::Write(Write { text: format!("{ready}\n"), ..Default::default() })]);
        conn.ok("start", json!({"graph": graph}));
    }
    let before = rss(&gob);
    // Each answer has 1.2 MB.
    let lists = b"{\"id\":1,\"type\":\"list\"}\n".repeat(40);
    let deaf: Vec<_> = (0..4)
        .map(|_| {
            let mut conn = gob.connect();
            conn.stream().set_nonblocking(true).unwrap();
            conn.try_send(&lists).unwrap();
            conn
        })
        .collect();
    assert_eq!(gob.connect().ok("list", json!({}))["workers"].as_array().unwrap().len(), 20);
    let held = rss(&gob) - before;
    assert!(held < 64 << 20, "{held}");
    // A client that reads at last has all of it.
    for mut conn in deaf {
        conn.stream().set_nonblocking(false).unwrap();
        for _ in 0..40 {
            assert_eq!(conn.frame()["success"], true);
        }
    }
    gob.ctl(["nuke", "--force"]).ok();
}

#[test]
fn the_memory_of_deaf_clients_is_given_back_when_they_are_gone() {
    let gob = Gob::new();
    let line = b"{\"id\":1,\"type\":\"status\"}\n".repeat(1000);
    let deaf: Vec<_> = (0..50)
        .map(|_| {
            let mut conn = gob.connect();
            conn.stream().set_nonblocking(true).unwrap();
            while conn.try_send(&line).is_ok() {}
            conn
        })
        .collect();
    let held = rss(&gob);
    drop(deaf);
    assert!(wait::until(DEADLINE, || rss(&gob) < 40 << 20), "{} after {held}", rss(&gob));
}

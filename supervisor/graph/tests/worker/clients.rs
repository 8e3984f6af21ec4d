//! Many clients, slow clients, and bytes that are no requests.

use crate::harness::{Client, Place};
use serde_json::{Value, json};

#[test]
fn ten_clients_at_once() {
    let place = Place::new();
    let worker = place.start();
    std::thread::scope(|scope| {
        for client in 0..10 {
            let worker = &worker;
            scope.spawn(move || {
                let mut connection = worker.client();
                for turn in 0..50 {
                    let id = format!("{client}.{turn}");
                    let hub = json!({"id": "hub", "label": "Hub"});
                    let edge = json!({"from": "hub", "to": id, "type": "HAS"});
                    let payload = json!({"nodes": [hub, {"id": id}], "edges": [edge]});
                    connection.data("put", &payload);
                    assert_eq!(connection.data("get", &json!({"id": id}))["node"]["id"], id);
                    let around = connection.data("neighbors", &json!({"id": id, "direction": "in"}));
                    assert_eq!(around["nodes"][0]["id"], "hub");
                }
            });
        }
    });
    assert_eq!(worker.client().counts(), (501, 500));
}

#[test]
fn a_client_beyond_the_limit_is_answered_busy() {
    let place = Place::new();
    let worker = place.start();
    let mut clients: Vec<Client> = (0..256).map(|_| worker.client()).collect();
    for client in &mut clients {
        client.data("ping", &json!({}));
    }
    let mut extra = worker.client();
    let frame = extra.read();
    assert_eq!((&frame["id"], &frame["error"]["code"]), (&Value::Null, &json!("busy")), "{frame}");
    assert!(extra.read().is_null());
    clients[0].data("ping", &json!({}));
}

#[test]
fn the_split_of_the_bytes_does_not_matter() {
    let place = Place::new();
    let worker = place.start();
    let put = json!({"id": "ä", "type": "put", "payload": {"nodes": [{"id": "é\u{1F600}"}]}});
    let bytes = format!("{put}\r\n\n{{\"id\":2,\"type\":\"get\",\"payload\":{{\"id\":\"é\u{1F600}\"}}}}\n");
    for cut in 0..=bytes.len() {
        let mut client = worker.client();
        client.write(&bytes.as_bytes()[..cut]);
        // A round trip on another connection lets the first part arrive by itself.
        worker.client().data("ping", &json!({}));
        client.write(&bytes.as_bytes()[cut..]);
        assert_eq!(client.read(), json!({"id": "ä", "success": true, "data": {"nodes": 1, "edges": 0}}));
        assert_eq!(client.read()["data"]["node"]["id"], "é\u{1F600}");
    }
    let mut client = worker.client();
    for byte in bytes.as_bytes() {
        client.write(&[*byte]);
    }
    assert_eq!(client.read()["id"], "ä");
    assert_eq!(client.read()["id"], 2);
}

#[test]
fn a_line_that_is_too_long_is_discarded_and_the_connection_lives_on() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let mut writing = client.stream().try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        use std::io::Write as _;
        for _ in 0..160 {
            writing.write_all(&[b'x'; 64 * 1024]).unwrap();
        }
        writing.write_all(b"\n{\"id\":9,\"type\":\"ping\"}\n").unwrap();
    });
    let frame = client.read();
    assert_eq!((&frame["id"], &frame["error"]["code"]), (&Value::Null, &json!("frame-too-long")));
    assert_eq!(client.read()["id"], 9);
    writer.join().unwrap();
}

#[test]
fn a_last_line_without_its_end_is_never_executed() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    client.write(b"{\"id\":1,\"type\":\"put\",\"payload\":{\"nodes\":[{\"id\":\"a\"}]}}");
    client.stream().shutdown(std::net::Shutdown::Write).unwrap();
    assert!(client.read().is_null());
    assert_eq!(worker.client().counts(), (0, 0));
}

#[test]
fn a_client_that_ended_its_sending_still_gets_its_answers() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let sql =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 1000000) SELECT max(i) FROM n";
    client.send("query", &json!({"sql": sql, "timeout_ms": 60000}));
    client.stream().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.read()["data"]["rows"], json!([[1_000_000]]));
}

#[test]
fn malformed_requests_are_refused() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let mut said = |line: &[u8]| {
        client.write(line);
        client.write(b"\n");
        let frame = client.read();
        assert_eq!(frame["success"], false, "{frame}");
        let error = &frame["error"];
        let field = error["details"]["field"].as_str().unwrap_or_default().to_owned();
        (frame["id"].clone(), error["code"].as_str().unwrap().to_owned(), field)
    };
    let expected = |id: Value, code: &str, field: &str| (id, code.to_owned(), field.to_owned());
    let bad = "invalid-request";
    assert_eq!(said(b"nonsense"), expected(Value::Null, bad, ""));
    assert_eq!(said(b"{\"id\":1,\"type\":\"ping\xff\"}"), expected(Value::Null, bad, ""));
    assert_eq!(said(br#"{"id":1,"type":"dance"}"#), expected(json!(1), "unknown-request", "type"));
    assert_eq!(said(br#"{"id":1,"type":"ping","payload":{"x":1}}"#), expected(json!(1), bad, "payload.x"));
    assert_eq!(
        said(br#"{"id":1,"type":"get","payload":{"id":"a","id":"b"}}"#),
        expected(json!(1), bad, "payload.id")
    );
    assert_eq!(said(br#"{"id":1,"type":"get","payload":{}}"#), expected(json!(1), bad, "payload"));
    assert_eq!(
        said(br#"{"id":1,"type":"get","payload":{"ids":["a",3]}}"#),
        expected(json!(1), bad, "payload.ids[1]")
    );
    let put = br#"{"id":1,"type":"put","payload":{"nodes":[{"id":"a"},{"id":"b","properties":[]}]}}"#;
    assert_eq!(said(put), expected(json!(1), bad, "payload.nodes[1].properties"));
    let put = br#"{"id":1,"type":"put","payload":{"edges":[{"from":"a","to":"b"}]}}"#;
    assert_eq!(said(put), expected(json!(1), bad, "payload.edges[0].type"));
    let deep = format!(
        r#"{{"id":1,"type":"put","payload":{{"nodes":[{{"id":"a","properties":{{"x":{}{}}}}}]}}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    assert_eq!(said(deep.as_bytes()), expected(json!(1), bad, "payload.nodes[0].properties"));
    assert_eq!(said(br#"{"id":1,"type":"neighbors","payload":{"id":"a","limit":0}}"#).2, "payload.limit");
    assert_eq!(worker.client().counts(), (0, 0));
}

#[test]
fn a_client_that_reads_nothing_costs_only_itself() {
    let place = Place::new();
    let worker = place.start();
    let text = "x".repeat(100_000);
    let nodes: Vec<_> = (0..9).map(|n| json!({"id": format!("n{n}"), "properties": {"t": text}})).collect();
    worker.client().data("put", &json!({"nodes": nodes}));
    let ids: Vec<_> = (0..9).map(|n| format!("n{n}")).collect();
    let mut deaf: Vec<Client> = (0..12).map(|_| worker.client()).collect();
    for client in &mut deaf {
        for _ in 0..4 {
            client.send("get", &json!({"ids": ids}));
            client.send("export", &json!({}));
        }
    }
    let mut client = worker.client();
    for turn in 0..50 {
        client.data("put", &json!({"nodes": [{"id": format!("other{turn}")}]}));
        client.data("get", &json!({"id": "n0"}));
        client.data("search", &json!({"text": "other1"}));
    }
}

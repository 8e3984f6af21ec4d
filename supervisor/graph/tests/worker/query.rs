//! A client's own SQL: typed results, bounds, and no way to write.

use crate::harness::Place;
use serde_json::{Value, json};
use std::time::Instant;

#[test]
fn results_are_typed() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    client.data(
        "put",
        &json!({"nodes": [{"id": "a", "properties": {"n": 1}}, {"id": "b"}],
        "edges": [{"from": "a", "to": "b", "type": "T"}]}),
    );
    let got = client.data(
        "query",
        &json!({"sql": "SELECT 1 AS i, 1.0 AS r, 'é' AS t, x'00ff' AS b, NULL AS n, 9e999 AS inf"}),
    );
    assert_eq!(
        got,
        json!({"columns": ["i", "r", "t", "b", "n", "inf"],
        "rows": [[1, 1.0, "é", {"hex": "00ff"}, null, null]], "truncated": false})
    );
    assert!(got["rows"][0][1].is_f64());
    let got = client.data("query", &json!({"sql": "SELECT source, target, type FROM edges"}));
    assert_eq!(got["rows"], json!([["a", "b", "T"]]));
    let got = client
        .data("query", &json!({"sql": "SELECT id FROM nodes WHERE properties ->> 'n' = ?1", "params": [1]}));
    assert_eq!(got["rows"], json!([["a"]]));
    let payload =
        json!({"sql": "SELECT :x, value FROM json_each(:list)", "params": {"x": "v", "list": [1, true]}});
    assert_eq!(client.data("query", &payload)["rows"], json!([["v", 1], ["v", 1]]));
    let got = client.data("query", &json!({"sql": "SELECT id FROM nodes ORDER BY id", "limit": 1}));
    assert_eq!((&got["rows"], &got["truncated"]), (&json!([["a"]]), &json!(true)));
}

#[test]
fn nothing_can_be_written() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    client.data("put", &json!({"nodes": [{"id": "a"}]}));
    let outside = place.path().join("outside.db");
    let attach = format!("ATTACH '{}' AS o", outside.display());
    let vacuum = format!("VACUUM INTO '{}'", outside.display());
    for sql in [
        "INSERT INTO node(id, properties) VALUES ('b', '{}')",
        "DELETE FROM node",
        "UPDATE node SET label = 'x' RETURNING id",
        "DROP TABLE node",
        "CREATE TABLE t(x)",
        "CREATE TEMP TABLE t(x)",
        "PRAGMA query_only = OFF",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "WITH x AS (SELECT 1) DELETE FROM node",
        "INSERT INTO node_text(node_text) VALUES ('delete-all')",
        "SELECT 1; DROP TABLE node",
        "SELECT load_extension('/x')",
        &attach,
        &vacuum,
    ] {
        let error = client.error("query", &json!({"sql": sql}));
        assert_eq!(error["code"], "invalid-request", "{sql}: {error}");
        assert_eq!(error["details"]["field"], "payload.sql", "{sql}: {error}");
    }
    assert!(!outside.exists());
    assert_eq!(client.counts(), (1, 0));
    let got = client.data("query", &json!({"sql": "SELECT id FROM nodes"}));
    assert_eq!(got["rows"], json!([["a"]]));
}

#[test]
fn sql_errors_are_shown_with_their_place() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let error = client.error("query", &json!({"sql": "SELECT nope FROM nodes"}));
    assert!(error["message"].as_str().unwrap().contains("nope"), "{error}");
    assert_eq!(error["details"], json!({"field": "payload.sql", "position": 7}));
    for (payload, field) in [
        (json!({"sql": "SELECT ?1"}), "payload.params"),
        (json!({"sql": "SELECT :a", "params": {"b": 1}}), "payload.params"),
        (json!({"sql": "SELECT 1", "params": "x"}), "payload.params"),
        (json!({"sql": "SELECT 1\0"}), "payload.sql"),
        (json!({"sql": ""}), "payload.sql"),
        (json!({"sql": "SELECT 1", "limit": 100_001}), "payload.limit"),
        (json!({"sql": "SELECT 1", "timeout_ms": 0}), "payload.timeout_ms"),
        (json!({"sql": "SELECT abs(-9223372036854775808)"}), "payload.sql"),
        (json!({"sql": "SELECT zeroblob(1000000000)"}), "payload.sql"),
    ] {
        let error = client.error("query", &payload);
        assert_eq!(
            (&error["code"], &error["details"]["field"]),
            (&json!("invalid-request"), &json!(field)),
            "{payload}: {error}"
        );
    }
}

#[test]
fn an_endless_query_ends_at_its_deadline_and_blocks_no_other() {
    let place = Place::new();
    let worker = place.start();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n";
    let began = Instant::now();
    let mut slow: Vec<_> = (0..6).map(|_| worker.client()).collect();
    for client in &mut slow {
        client.send("query", &json!({"sql": endless, "timeout_ms": 300}));
    }
    let mut client = worker.client();
    client.data("put", &json!({"nodes": [{"id": "a"}]}));
    assert_eq!(client.data("get", &json!({"id": "a"}))["node"]["id"], "a");
    for client in &mut slow {
        let frame = client.read();
        assert_eq!(frame["error"]["code"], "busy", "{frame}");
        assert_eq!(frame["error"]["details"], json!({"limit": "timeout_ms", "timeout_ms": 300}));
    }
    assert!(began.elapsed().as_secs() < 30);
    assert_eq!(slow[0].data("query", &json!({"sql": "SELECT 1"}))["rows"], json!([[1]]));
}

#[test]
fn a_result_is_bounded_in_bytes_and_the_client_that_went_frees_its_reader() {
    let place = Place::new();
    let worker = place.start();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n";
    for _ in 0..8 {
        worker.client().send("query", &json!({"sql": endless, "timeout_ms": 60_000}));
    }
    let mut client = worker.client();
    let sql =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT hex(zeroblob(500000)) FROM n";
    let got = client.data("query", &json!({"sql": sql, "limit": 100_000, "timeout_ms": 60_000}));
    assert_eq!(got["truncated"], true);
    let bytes: usize =
        got["rows"].as_array().unwrap().iter().map(|row: &Value| row[0].as_str().unwrap().len()).sum();
    assert!(bytes < 40 << 20, "{bytes}");
}

//! SIGKILL at any moment loses nothing that was acknowledged, and leaves no half batch.

use crate::harness::Place;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::mpsc;

const BATCH: usize = 20;

#[test]
fn acknowledged_writes_survive_sigkill() {
    let place = Place::new();
    let mut acknowledged: Vec<(usize, usize)> = Vec::new();
    for round in 0..8_usize {
        let worker = place.start();
        let stream = worker.client();
        let mut writing = stream.stream().try_clone().unwrap();
        let reading = BufReader::new(stream.stream().try_clone().unwrap());
        let (acks, acked) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in reading.lines() {
                let Ok(line) = line else { return };
                let frame: serde_json::Value = serde_json::from_str(&line).unwrap();
                assert_eq!(frame["success"], true, "{frame}");
                acks.send(usize::try_from(frame["id"].as_u64().unwrap()).unwrap()).unwrap();
            }
        });
        // Writes without waiting, while the worker is killed after a number of answers.
        let writer = std::thread::spawn(move || {
            for batch in 0.. {
                let nodes: Vec<_> =
                    (0..BATCH).map(|n| json!({"id": format!("{round}.{batch}.{n}")})).collect();
                let edges: Vec<_> = (1..BATCH)
                    .map(|n| json!({"from": format!("{round}.{batch}.0"), "to": format!("{round}.{batch}.{n}"), "type": "T"}))
                    .collect();
                let line = json!({"id": batch, "type": "put", "payload": {"nodes": nodes, "edges": edges}});
                if writing.write_all(format!("{line}\n").as_bytes()).is_err() {
                    return;
                }
            }
        });
        let mut answers = acked.iter();
        for batch in answers.by_ref().take(5 + 7 * round) {
            acknowledged.push((round, batch));
        }
        worker.kill();
        acknowledged.extend(answers.map(|batch| (round, batch)));
        reader.join().unwrap();
        writer.join().unwrap();
    }
    let worker = place.start();
    let mut client = worker.client();
    let sql = "SELECT count(*), sum(c = 20), sum(c) FROM (SELECT count(*) AS c FROM nodes
               GROUP BY rtrim(id, '0123456789'))";
    let whole = client.data("query", &json!({"sql": sql}));
    let [batches, complete, nodes] = [0, 1, 2].map(|at| whole["rows"][0][at].as_u64().unwrap());
    assert_eq!(batches, complete, "a batch is whole or absent");
    let edges = client.counts().1;
    assert_eq!(edges.unsigned_abs(), batches * (BATCH as u64 - 1));
    assert_eq!(nodes, batches * BATCH as u64);
    assert!(batches >= acknowledged.len() as u64);
    for (round, batch) in acknowledged {
        let ids: Vec<_> = (0..BATCH).map(|n| format!("{round}.{batch}.{n}")).collect();
        let got = client.data("get", &json!({"ids": ids}));
        assert_eq!(got["missing"], json!([]), "batch {batch} of round {round} was acknowledged");
    }
}

#[test]
fn the_search_is_in_step_after_a_kill() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    client.data("put", &json!({"nodes": [{"id": "a", "properties": {"t": "first words"}}]}));
    client.data("put", &json!({"nodes": [{"id": "a", "properties": {"t": "second words"}}]}));
    worker.kill();
    let worker = place.start();
    let mut client = worker.client();
    assert_eq!(client.data("search", &json!({"text": "first"}))["hits"], json!([]));
    assert_eq!(client.data("search", &json!({"text": "second"}))["hits"][0]["node"]["id"], "a");
}

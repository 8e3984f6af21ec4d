//! The ordinary requests.

use crate::harness::{Client, Place};
use serde_json::{Value, json};

fn ids(data: &Value) -> Vec<&str> {
    data["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap()).collect()
}

/// Puts a → b → c → d, a → d by another type, e alone.
fn small(client: &mut Client) {
    let nodes: Vec<_> = ["a", "b", "c", "d", "e"].iter().map(|id| json!({"id": id})).collect();
    let edge = |from: &str, to: &str, kind: &str| json!({"from": from, "to": to, "type": kind, "properties": {"w": 1}});
    let edges = [edge("a", "b", "T"), edge("b", "c", "T"), edge("c", "d", "T"), edge("a", "d", "U")];
    client.data("put", &json!({"nodes": nodes, "edges": edges}));
}

#[test]
fn put_is_all_or_nothing_and_replaces() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    client.data("put", &json!({"nodes": [{"id": "a", "label": "L", "properties": {"x": 1.50, "y": [1]}}]}));
    let bad = json!({"nodes": [{"id": "a"}, {"id": "b"}], "edges": [
        {"from": "a", "to": "b", "type": "T"}, {"from": "b", "to": "nowhere", "type": "T"}]});
    let error = client.error("put", &bad);
    assert_eq!(error["details"], json!({"field": "payload.edges[1].to", "node": "nowhere"}));
    assert!(error["message"].as_str().unwrap().contains("nowhere"));
    assert_eq!(client.counts(), (1, 0));
    let node = client.data("get", &json!({"id": "a"}));
    assert_eq!(node["node"], json!({"id": "a", "label": "L", "properties": {"x": 1.5, "y": [1]}}));
    client.data("put", &json!({"nodes": [{"id": "a"}]}));
    let node = client.data("get", &json!({"id": "a"}));
    assert_eq!(node["node"], json!({"id": "a", "label": null, "properties": {}}));
    assert_eq!(client.data("get", &json!({"id": "b"})), json!({"node": null}));
}

#[test]
fn numbers_keep_their_digits() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let object = r#"{"x":1.50,"big":123456789012345678901234567890,"e":1e3}"#;
    client.write(format!("{{\"id\":1,\"type\":\"put\",\"payload\":{{\"nodes\":[{{\"id\":\"a\",\"properties\":{object}}}]}}}}\n").as_bytes());
    assert_eq!(client.read()["success"], true);
    let text = client.data("query", &json!({"sql": "SELECT properties FROM nodes"}));
    assert_eq!(text["rows"][0][0], object);
}

#[test]
fn delete_takes_the_edges_along() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    small(&mut client);
    client.data("put", &json!({"edges": [{"from": "a", "to": "a", "type": "SELF"}]}));
    let deleted = client.data(
        "delete",
        &json!({"nodes": ["a", "nobody"], "edges": [
        {"from": "b", "to": "c", "type": "T"}, {"from": "b", "to": "c", "type": "NONE"}]}),
    );
    assert_eq!(deleted, json!({"nodes": 1, "edges": 4}));
    assert_eq!(client.counts(), (4, 1));
    assert_eq!(client.data("search", &json!({"text": "a"}))["hits"], json!([]));
}

#[test]
fn stats_count_and_measure() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    small(&mut client);
    let labels: Vec<_> = (0..150).map(|n| json!({"id": format!("l{n}"), "label": format!("L{n}")})).collect();
    client.data("put", &json!({"nodes": labels}));
    let stats = client.data("stats", &json!({}));
    assert_eq!((&stats["nodes"], &stats["edges"]), (&json!(155), &json!(4)));
    assert_eq!(stats["types"], json!([{"name": "T", "count": 3}, {"name": "U", "count": 1}]));
    assert_eq!(stats["labels"][0], json!({"name": null, "count": 5}));
    assert_eq!((stats["labels"].as_array().unwrap().len(), &stats["truncated"]), (100, &json!(true)));
    assert!(stats["file_bytes"].as_u64().unwrap() > 0 && stats["wal_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn neighbors_by_direction_type_depth_and_limit() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    small(&mut client);
    let mut around = |payload: Value| client.data("neighbors", &payload);
    let found = around(json!({"id": "a"}));
    assert_eq!(ids(&found), ["b", "d"]);
    assert_eq!(found["edges"].as_array().unwrap().len(), 2);
    assert_eq!(found["nodes"][0]["depth"], 1);
    assert_eq!(found["edges"][0], json!({"from": "a", "to": "b", "type": "T", "properties": {"w": 1}}));
    assert_eq!(ids(&around(json!({"id": "a", "type": "T", "depth": 9}))), ["b", "c", "d"]);
    assert_eq!(ids(&around(json!({"id": "d", "direction": "in"}))), ["c", "a"]);
    assert_eq!(ids(&around(json!({"id": "b", "direction": "both"}))), ["c", "a"]);
    let cut = around(json!({"id": "a", "depth": 3, "limit": 1}));
    assert_eq!((ids(&cut), &cut["truncated"]), (vec!["b"], &json!(true)));
    let all = around(json!({"id": "a", "depth": 3, "limit": 3, "direction": "both"}));
    assert_eq!((ids(&all).len(), &all["truncated"]), (3, &json!(false)));
    assert_eq!(all["edges"].as_array().unwrap().len(), 4, "each edge once");
    assert_eq!(ids(&around(json!({"id": "e"}))), Vec::<&str>::new());
    let error = client.error("neighbors", &json!({"id": "nobody"}));
    assert_eq!(error["details"]["node"], "nobody");
}

#[test]
fn shortest_paths() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    small(&mut client);
    let mut path = |payload: Value| client.data("path", &payload);
    let found = path(json!({"from": "a", "to": "d"}));
    assert_eq!((ids(&found["path"]), &found["path"]["length"]), (vec!["a", "d"], &json!(1)));
    let found = path(json!({"from": "a", "to": "d", "type": "T"}));
    assert_eq!(ids(&found["path"]), ["a", "b", "c", "d"]);
    assert_eq!(
        found["path"]["edges"][2],
        json!({"from": "c", "to": "d", "type": "T", "properties": {"w": 1}})
    );
    assert_eq!(path(json!({"from": "a", "to": "d", "type": "T", "max_depth": 2}))["path"], Value::Null);
    assert_eq!(path(json!({"from": "d", "to": "a"}))["path"], Value::Null);
    let found = path(json!({"from": "d", "to": "b", "direction": "in", "type": "T"}));
    assert_eq!(ids(&found["path"]), ["d", "c", "b"]);
    let found = path(json!({"from": "c", "to": "a", "direction": "both"}));
    assert_eq!(found["path"]["length"], 2);
    assert_eq!(path(json!({"from": "e", "to": "e"}))["path"]["length"], 0);
    assert_eq!(path(json!({"from": "a", "to": "e"})), json!({"path": null, "truncated": false}));
}

#[test]
fn paths_agree_with_a_plain_search() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let size = 60_usize;
    let nodes: Vec<_> = (0..size).map(|n| json!({"id": n.to_string()})).collect();
    let mut seed = 7_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % size
    };
    let pairs: Vec<(usize, usize)> = (0..90).map(|_| (random(), random())).collect();
    let edges: Vec<_> = pairs
        .iter()
        .map(|(from, to)| json!({"from": from.to_string(), "to": to.to_string(), "type": "T"}))
        .collect();
    client.data("put", &json!({"nodes": nodes, "edges": edges}));
    for from in 0..size / 4 {
        let mut distance = vec![None; size];
        distance[from] = Some(0);
        for round in 0..size {
            for (a, b) in &pairs {
                if distance[*a] == Some(round) && distance[*b].is_none() {
                    distance[*b] = Some(round + 1);
                }
            }
        }
        for (to, expected) in distance.iter().enumerate() {
            let found = client
                .data("path", &json!({"from": from.to_string(), "to": to.to_string(), "max_depth": 100}));
            let length = found["path"]["length"].as_u64().map(|length| usize::try_from(length).unwrap());
            assert_eq!(length, *expected, "{from} to {to}: {found}");
            if let Some(length) = length {
                let path = ids(&found["path"]);
                assert_eq!(
                    (path.len(), path[0], path[length]),
                    (length + 1, &*from.to_string(), &*to.to_string())
                );
            }
        }
    }
}

#[test]
fn search_finds_words_of_id_label_and_properties() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    client.data("put", &json!({"nodes": [
        {"id": "page/One", "label": "Page", "properties": {"title": "Über Graphen", "tags": ["x", {"deep": "Tiefe"}], "year": 2026}},
        {"id": "page/Two", "label": "Page", "properties": {"title": "Other"}}]}));
    let mut found = |text: &str| {
        let data = client.data("search", &json!({"text": text}));
        let hits = data["hits"].as_array().unwrap().iter();
        hits.map(|hit| hit["node"]["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for text in [
        "one",
        "uber",
        "GRAPHEN über",
        "tiefe",
        "2026",
        "page/one",
        "title-less \"Graphen\"".trim_start_matches("title-less "),
    ] {
        assert_eq!(found(text), ["page/One"], "{text}");
    }
    assert_eq!(found("page").len(), 2);
    for text in ["title", "", "\"", "AND", "nothing*", "a:b ^ ( NEAR"] {
        assert_eq!(found(text), Vec::<String>::new(), "{text}");
    }
    let cut = client.data("search", &json!({"text": "page", "limit": 1}));
    assert_eq!((cut["hits"].as_array().unwrap().len(), &cut["truncated"]), (1, &json!(true)));
    client.data(
        "put",
        &json!({"nodes": [{"id": "page/Two", "label": "Page", "properties": {"title": "Neu"}}]}),
    );
    assert_eq!(client.data("search", &json!({"text": "other"}))["hits"], json!([]));
    assert_eq!(client.data("search", &json!({"text": "neu"}))["hits"][0]["node"]["id"], "page/Two");
}

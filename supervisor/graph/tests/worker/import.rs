//! Imports: all or nothing, whatever happens on the way. Exports: the same graph again.

use crate::harness::{Client, Place};
use serde_json::{Value, json};

fn node(id: usize) -> String {
    json!({"node": {"id": format!("n{id}"), "label": "N", "properties": {"text": format!("word{id}")}}})
        .to_string()
}

fn edge(from: usize, to: usize) -> String {
    json!({"edge": {"from": format!("n{from}"), "to": format!("n{to}"), "type": "T", "properties": {"w": to}}}).to_string()
}

fn import(client: &mut Client, lines: &[Value]) -> Value {
    client.data("import_begin", &json!({}));
    let mut sent = 0;
    for chunk in lines.chunks(1000) {
        sent += chunk.len();
        assert_eq!(client.data("import_lines", &json!({"lines": chunk})), json!({"lines": sent}));
    }
    client.data("import_end", &json!({}))
}

fn staged(place: &Place) -> usize {
    let files = std::fs::read_dir(place.graph_file().parent().unwrap()).unwrap();
    files.filter(|file| file.as_ref().unwrap().file_name().to_str().unwrap().starts_with("import-")).count()
}

#[test]
fn lines_in_any_order_as_objects_or_strings() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    client.data("put", &json!({"nodes": [{"id": "n0", "properties": {"text": "old"}}, {"id": "old"}]}));
    let lines = [
        json!(edge(0, 1)),
        json!(""),
        serde_json::from_str(&node(0)).unwrap(),
        json!(format!("  {}\r", node(1))),
        serde_json::from_str(&edge(1, 0)).unwrap(),
        json!({"edge": {"from": "old", "to": "n1", "type": "T", "properties": {"first": 1}}}),
        json!({"edge": {"from": "old", "to": "n1", "type": "T", "properties": {"last": 1}}}),
    ];
    assert_eq!(import(&mut client, &lines), json!({"nodes": 2, "edges": 4}));
    assert_eq!(client.counts(), (3, 3));
    assert_eq!(client.data("search", &json!({"text": "old"}))["hits"].as_array().unwrap().len(), 1);
    assert_eq!(client.data("search", &json!({"text": "word0"}))["hits"][0]["node"]["id"], "n0");
    let around = client.data("neighbors", &json!({"id": "old"}));
    assert_eq!(around["edges"][0]["properties"], json!({"last": 1}));
    assert_eq!(staged(&place), 0);
}

#[test]
fn a_bad_line_is_named_and_nothing_stays() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    for (bad, field) in [
        ("{\"node\":{\"id\":\"\"}}", "line.node.id"),
        ("{\"node\":{\"id\":\"x\",\"nope\":1}}", "line.node.nope"),
        ("{\"node\":{\"id\":\"x\"},\"edge\":{}}", "line"),
        ("{\"edge\":{\"from\":\"n0\",\"type\":\"T\"}}", "line.edge.to"),
        ("{\"nod\":{}}", "line"),
        ("not json", "line"),
        ("{\"node\":{\"id\":\"x\"}", "line"),
    ] {
        client.data("import_begin", &json!({}));
        client.data("import_lines", &json!({"lines": [node(0), node(1)]}));
        let error = client.error("import_lines", &json!({"lines": [edge(0, 1), bad, node(2)]}));
        assert_eq!(
            (&error["code"], &error["details"]["line"]),
            (&json!("invalid-request"), &json!(4)),
            "{error}"
        );
        assert!(error["message"].as_str().unwrap().starts_with("line 4: "), "{error}");
        assert!(error["details"]["field"].as_str().unwrap().starts_with(field), "{bad}: {error}");
        let over = client.error("import_end", &json!({}));
        assert!(over["message"].as_str().unwrap().contains("no import is open"), "{over}");
        assert_eq!(client.counts(), (0, 0));
        assert_eq!(staged(&place), 0);
    }
    client.data("import_begin", &json!({}));
    client.data("import_lines", &json!({"lines": [node(0), edge(0, 0), edge(0, 7), edge(9, 0)]}));
    let error = client.error("import_end", &json!({}));
    assert_eq!(error["details"], json!({"field": "line.edge.to", "node": "n7", "line": 3}), "{error}");
    assert_eq!(client.counts(), (0, 0));
    assert_eq!(staged(&place), 0);
    client.data("put", &json!({"nodes": [{"id": "still works"}]}));
}

#[test]
fn a_client_that_dies_midway_leaves_nothing_and_blocks_no_other() {
    let place = Place::new();
    let worker = place.start();
    let mut other = worker.client();
    let mut importing: Vec<Client> = (0..4).map(|_| worker.client()).collect();
    for client in &mut importing {
        client.data("import_begin", &json!({}));
        client.data("import_lines", &json!({"lines": [node(0), node(1), edge(0, 1)]}));
    }
    assert_eq!(other.error("import_begin", &json!({}))["details"]["limit"], "imports");
    other.data("put", &json!({"nodes": [{"id": "meanwhile"}]}));
    assert_eq!(other.counts(), (1, 0));
    importing[0].write(b"{\"id\":9,\"type\":\"import_e");
    drop(importing);
    // A place is free once the worker has noticed the end; until then it answers `busy`.
    loop {
        let frame = other.call("import_begin", &json!({}));
        if frame["success"] == true {
            break;
        }
        assert_eq!(frame["error"]["code"], "busy", "{frame}");
    }
    other.data("import_abort", &json!({}));
    assert_eq!(other.counts(), (1, 0));
}

#[test]
fn a_killed_worker_leaves_no_half_import() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    client.data("import_begin", &json!({}));
    for chunk in 0..20 {
        let lines: Vec<_> = (chunk * 500..(chunk + 1) * 500).flat_map(|n| [node(n), edge(n, n)]).collect();
        client.data("import_lines", &json!({"lines": lines}));
    }
    client.send("import_end", &json!({}));
    // The first report of progress shows that the import runs.
    assert_eq!(client.read()["event"], "import_progress");
    worker.kill();
    let worker = place.start();
    let counts = worker.client().counts();
    assert!(counts == (0, 0) || counts == (10_000, 10_000), "{counts:?}");
    assert_eq!(staged(&place), 0);
}

#[test]
fn imports_at_once_and_reads_meanwhile() {
    let place = Place::new();
    let worker = place.start();
    std::thread::scope(|scope| {
        for part in 0..3_usize {
            let worker = &worker;
            scope.spawn(move || {
                let base = part * 10_000;
                let lines: Vec<_> =
                    (base..base + 4000).flat_map(|n| [json!(node(n)), json!(edge(n, base))]).collect();
                assert_eq!(import(&mut worker.client(), &lines), json!({"nodes": 4000, "edges": 4000}));
            });
        }
        let mut client = worker.client();
        for _ in 0..50 {
            let (nodes, edges) = client.counts();
            assert!(nodes % 4000 == 0 && nodes == edges, "{nodes} {edges}: half an import was seen");
        }
    });
    assert_eq!(worker.client().counts(), (12_000, 12_000));
}

#[test]
fn an_export_imports_to_the_same_graph() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let mut lines: Vec<Value> = (0..3000).map(|n| json!(node(n))).collect();
    lines.extend((0..20_000_usize).map(|n| json!(edge(n % 3000, (n * 7919) % 2999))));
    lines.push(json!({"node": {"id": "é \"quoted\" \u{1F600}", "label": null, "properties": {"a": [1, {"b": null}], "c": "line\nbreak"}}}));
    lines.push(
        json!({"edge": {"from": "n0", "to": "é \"quoted\" \u{1F600}", "type": "odd type", "properties": {}}}),
    );
    import(&mut client, &lines);
    let exported = client.export();
    let again = Place::new();
    let other = again.start();
    let mut copy = other.client();
    import(&mut copy, &exported);
    assert_eq!(copy.export(), exported);
    assert_eq!(copy.counts(), client.counts());
    let found = copy.data("search", &json!({"text": "word17"}));
    assert_eq!(found, client.data("search", &json!({"text": "word17"})));
    import(&mut client, &exported);
    assert_eq!(client.export(), exported, "importing what is there changes nothing");
    let check = copy.data("query", &json!({"sql": "SELECT count(*) FROM edge e INDEXED BY edge_target"}));
    assert_eq!(check["rows"][0][0], copy.counts().1);
}

#[test]
fn an_export_sees_one_moment() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let text = "x".repeat(2000);
    let nodes: Vec<_> =
        (0..400).map(|n| json!({"id": format!("n{n:03}"), "properties": {"t": text}})).collect();
    client.data("put", &json!({"nodes": nodes}));
    client.send("export", &json!({}));
    let first = client.read();
    assert_eq!(first["event"], "export_chunk");
    worker
        .client()
        .data("delete", &json!({"nodes": (0..400).map(|n| format!("n{n:03}")).collect::<Vec<_>>()}));
    let mut lines = first["lines"].as_array().unwrap().len();
    let last = loop {
        let frame = client.read();
        if frame["event"] != "export_chunk" {
            break frame;
        }
        lines += frame["lines"].as_array().unwrap().len();
    };
    assert_eq!((lines, &last["data"]["nodes"]), (400, &json!(400)));
    assert_eq!(client.counts(), (0, 0));
}

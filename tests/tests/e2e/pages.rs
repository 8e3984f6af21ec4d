//! Snapshots too large for a frame come in pages, and clients put them together (PROTOCOL 5, Looking).

use gob_client::blocking::Connector;
use gob_client::model::Model;
use gob_client::protocol::request::{List, Subscribe};
use gob_client::subscription::{Subscription, Update};
use gob_client::{Dirs, Owner};
use gob_tests::Gob;
use gob_tests::wait::DEADLINE;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::time::Instant;

/// Workers with views of this length each: more than 32 MiB together, and less than `config.toml` may have.
const WORKERS: usize = 36;
const LENGTH: usize = 1_000_000;

/// Starts a supervisor of that many workers, which could not be started: no kernel takes an argument of that
/// length.
fn wide() -> Gob {
    let gob = Gob::new();
    let argument = "x".repeat(LENGTH);
    let text = format!(
        "[kind.wide]\ncommand = [\"true\", \"{argument}\"]\nreadiness = \"none\"\nrestart = {{ policy = \"never\" }}\n"
    );
    std::fs::write(gob.dir().join("config.toml"), text).unwrap();
    let mut conn = gob.connect_as("cli");
    let start = |number| conn.post("start", json!({"graph": format!("w{number:02}"), "kind": "wide"}));
    let asked: Vec<u64> = (0..WORKERS).map(start).collect();
    for id in asked {
        let answer = conn.response(id);
        assert_eq!(answer["error"]["code"], "server-start-failed", "{answer}");
    }
    gob
}

pub(crate) fn connector(gob: &Gob) -> Connector {
    let path = |variable: &str| {
        gob.env().into_iter().find(|(name, _)| name == variable).map(|(_, value)| value.into()).unwrap()
    };
    let dirs = Dirs {
        runtime: path("GOB_RUNTIME_DIR"),
        state: path("GOB_STATE_DIR"),
        data: path("GOB_DATA_DIR"),
        config: path("GOB_CONFIG"),
        config_is_named: true,
    };
    Connector::new(dirs, Owner::cli()).autostart(false)
}

fn count(workers: &Value) -> usize {
    workers.as_array().map_or(0, Vec::len)
}

#[test]
fn a_snapshot_in_pages_equals_the_list() {
    let gob = wide();
    let raw = gob.connect_as("cli").ok("subscribe", json!({"snapshot": true}));
    assert!(raw["next"].is_string(), "the first page has {} workers", count(&raw["workers"]));

    let mut client = connector(&gob).connect().unwrap();
    let mut subscription = Subscription::new(connector(&gob), Subscribe::default());
    let mut model = Model::default();
    let update = subscription.next(Some(Instant::now() + DEADLINE)).unwrap();
    let Some(Update::Subscribed(data)) = update else { panic!("{update:?}") };
    model.subscribed(&data);
    let list = client.list(List::default()).unwrap();
    assert_eq!(list.len(), WORKERS);
    assert!(model.workers().eq(list.iter()), "the model has {} workers", model.workers().len());

    let mut watch = gob.ctl(["list", "--watch", "--json"]).spawn();
    let mut line = String::new();
    BufReader::new(watch.stdout.take().unwrap()).read_line(&mut line).unwrap();
    watch.kill().unwrap();
    watch.wait().unwrap();
    let shown: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(count(&shown["workers"]), WORKERS);
}

//! The rights of owners on the raw socket, and the answers to refused requests (A2 to A6).

use gob_tests::conn::Conn;
use gob_tests::{Gob, process};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

fn connection(gob: &Gob, owner: Option<&str>) -> Conn {
    match owner {
        Some(owner) => gob.connect_as(owner),
        None => gob.connect(),
    }
}

/// Returns the facts that a refused request must leave alone.
fn identity(conn: &mut Conn, name: &str) -> (Value, Value, Option<u64>) {
    let worker = &conn.ok("get", json!({"name": name}))["worker"];
    let pid = worker["pid"].as_i64().expect("it runs") as i32;
    (worker["run"].clone(), worker["state"].clone(), process::start_time(pid))
}

#[test]
fn the_matrix_of_owners_and_requesters() {
    let gob = Gob::new();
    let owners = [Some("cli"), Some("desktop"), Some("unknown"), None];
    let verbs = [
        ("stop", json!({"name": "g"})),
        ("stop", json!({"name": "g", "force": true})),
        ("restart", json!({"name": "g"})),
        ("signal", json!({"name": "g", "signal": "KILL"})),
    ];
    let (mut allowed, mut refused) = (0, 0);
    for owner in owners {
        for requester in owners {
            for (verb, payload) in &verbs {
                let mut theirs = connection(&gob, owner);
                theirs.ok("start", json!({"graph": "g"}));
                let mut mine = connection(&gob, requester);
                let known = |label: Option<&str>| label.filter(|l| *l != "unknown").map(str::to_owned);
                let may = match (known(owner), known(requester)) {
                    (Some(owner), Some(requester)) => owner == requester,
                    (None, Some(requester)) => requester == "cli",
                    (_, None) => false,
                };
                let worker = mine.ok("get", json!({"name": "g"}))["worker"].clone();
                assert_eq!(worker["owned"], may, "{owner:?} {requester:?}");
                let before = identity(&mut mine, "g");
                if may {
                    mine.ok(verb, payload.clone());
                    allowed += 1;
                } else {
                    let error = mine.err(verb, payload.clone(), "server-owned-by-other");
                    let named = |label: Option<&str>| label.unwrap_or("unknown").to_owned();
                    let details =
                        json!({"worker": "g", "owner": named(owner), "requester": named(requester)});
                    for (key, value) in details.as_object().unwrap() {
                        assert_eq!(error["details"][key], *value, "{error}");
                    }
                    assert!(error["message"].is_string() && error["hint"].is_string(), "{error}");
                    assert_eq!(
                        identity(&mut mine, "g"),
                        before,
                        "{verb} of {requester:?} touched {owner:?}'s"
                    );
                    refused += 1;
                }
                // The command line owns the worker or takes it over from `unknown`; otherwise its owner ends
                // it.
                let mut ender = connection(&gob, if owner == Some("desktop") { owner } else { Some("cli") });
                ender.ok("stop", json!({"name": "g", "force": true}));
            }
        }
    }
    assert_eq!((allowed, refused), (16, 48));
}

#[test]
fn an_owner_is_bound_once_and_well_formed() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let mut conn = gob.connect();
    for bad in ["", "Cli", "7a", "-a", "a_b", "a b", "é", "cli\n", &"x".repeat(33)] {
        conn.err("hello", json!({"protocol": 1, "owner": bad}), "invalid-owner");
    }
    conn.err("hello", json!({"protocol": 1, "owner": 5}), "invalid-request");
    conn.err("stop", json!({"name": "g"}), "server-owned-by-other");
    let mut desktop = gob.connect_as("desktop");
    let again = desktop.ask("hello", json!({"protocol": 1, "owner": "cli"}));
    assert!(again["success"] == false || again["data"]["owner"] == "desktop", "{again}");
    let error = desktop.err("stop", json!({"name": "g"}), "server-owned-by-other");
    assert_eq!(error["details"]["requester"], "desktop");
    assert_eq!(desktop.ok("get", json!({"name": "g"}))["worker"]["state"], "ready");
}

#[test]
fn another_protocol_is_refused_and_binds_nothing() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let mut conn = gob.connect();
    let error = conn.err("hello", json!({"protocol": 2, "owner": "cli"}), "version-mismatch");
    assert_eq!((&error["details"]["client"], &error["details"]["server"]), (&json!(2), &json!(1)));
    // A client that can't even say hello gets the one command that works without.
    let way_out = format!("kill -TERM {};", gob.gobd_pid());
    assert!(error["hint"].as_str().unwrap().contains(&way_out), "{error}");
    let error = conn.err("stop", json!({"name": "g"}), "server-owned-by-other");
    assert_eq!(error["details"]["requester"], "unknown");
}

#[test]
fn the_command_line_takes_over_unowned_workers() {
    let gob = Gob::new();
    let mut events = gob.events();
    let first = gob.connect().ok("start", json!({"graph": "g"}));
    assert_eq!((&first["worker"]["owner"], &first["worker"]["owned"]), (&json!("unknown"), &json!(false)));
    let desktop = gob.connect_as("desktop").ok("start", json!({"graph": "g"}));
    assert_eq!(
        (&desktop["outcome"], &desktop["worker"]["owner"]),
        (&json!("reused"), &json!("unknown")),
        "a reuse by somebody else changes nothing"
    );
    let taken = gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    assert_eq!((&taken["outcome"], &taken["worker"]["owner"]), (&json!("taken-over"), &json!("cli")));
    assert_eq!(taken["worker"]["pid"], first["worker"]["pid"]);
    let event = events.event("worker_owner_changed", "g");
    assert_eq!((&event["worker"]["owner"], &event["actor"]["owner"]), (&json!("cli"), &json!("cli")));
    let again = gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    assert_eq!(again["outcome"], "reused");
}

/// Waits until the grace after the last lease of its owner is over.
fn lost(gob: &Gob, events: &mut Conn, name: &str) {
    let changed = events.event("worker_owner_changed", name);
    assert_eq!((&changed["worker"]["owner"], &changed["actor"]), (&json!("unknown"), &json!("supervisor")));
    let view = gob.connect_as("electron").ok("get", json!({"name": name}))["worker"].clone();
    assert_eq!((&view["owned"], &view["leases"]), (&json!(false), &json!(0)));
}

#[test]
fn a_desktop_that_crashed_has_its_worker_again() {
    let gob = Gob::new();
    let mut events = gob.events();
    let ways = ["start", "lease", "stop"];
    let started = ways.map(|name| {
        let mut desktop = gob.connect_as("desktop");
        let worker = desktop.ok("start", json!({"graph": name, "lease": true}))["worker"].clone();
        assert_eq!(worker["lease_holders"][0]["owner"], "desktop");
        worker
    });
    ways.iter().for_each(|name| lost(&gob, &mut events, name));
    for (back, first) in ways.into_iter().zip(started) {
        gob.connect_as("electron").err("stop", json!({"name": back}), "server-owned-by-other");
        let mut again = gob.connect_as("desktop");
        assert_eq!(again.ok("get", json!({"name": back}))["worker"]["owned"], true);
        let field = if back == "start" { "graph" } else { "name" };
        let data = again.ok(back, json!({field: back}));
        if back == "stop" {
            assert_eq!(data["receipt"]["signalled"][0]["pid"], first["pid"]);
            continue;
        }
        assert_eq!((&data["worker"]["owner"], &data["worker"]["pid"]), (&json!("desktop"), &first["pid"]));
        assert!(back != "start" || data["outcome"] == "taken-over", "{data}");
        let changed = events.event("worker_owner_changed", back);
        assert_eq!(
            (&changed["worker"]["owner"], &changed["actor"]["owner"]),
            (&json!("desktop"), &json!("desktop"))
        );
        again.ok("restart", json!({"name": back}));
    }
}

#[test]
fn an_agent_stops_the_worker_that_its_with_started() {
    let gob = Gob::new();
    let mut events = gob.events();
    gob.ctl(["with", "g", "--", "true"]).env("GOB_OWNER", "agent").ok();
    lost(&gob, &mut events, "g");
    let refused = gob.ctl(["stop", "g"]).env("GOB_OWNER", "robot").fails(5);
    let told = "nobody owns it now; agent, which had it last, may take it back, or cli may take it over";
    assert!(refused.stderr.contains(told), "{refused:?}");
    gob.ctl(["stop", "g"]).env("GOB_OWNER", "agent").ok();
}

#[test]
fn force_is_for_the_owners_in_the_setting() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    for verb in ["nuke", "shutdown"] {
        for owner in [None, Some("agent")] {
            let error = connection(&gob, owner).err(verb, json!({"force": true}), "server-owned-by-other");
            assert_eq!(error["details"]["workers"], json!([{"worker": "g", "owner": "cli"}]));
            assert!(error["hint"].as_str().unwrap().contains("force_owners"), "{error}");
        }
    }
    assert!(gob.ctl(["config", "show"]).ok().contains("force_owners"));
    let config = gob.dir().join("config.toml");
    std::fs::write(&config, "force_owners = [\"agent\"]\n").unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
    gob.connect().ok("reload", json!({}));
    gob.connect_as("desktop").err("nuke", json!({"force": true}), "server-owned-by-other");
    gob.connect_as("agent").ok("nuke", json!({"force": true}));
}

#[test]
fn a_restart_by_the_command_line_takes_over_too() {
    let gob = Gob::new();
    gob.connect().ok("start", json!({"graph": "g"}));
    let data = gob.connect_as("cli").ok("restart", json!({"name": "g"}));
    assert_eq!((&data["worker"]["owner"], &data["worker"]["run"]), (&json!("cli"), &json!(2)));
}

#[test]
fn a_stopped_worker_belongs_to_its_next_starter() {
    let gob = Gob::new();
    let mut cli = gob.connect_as("cli");
    cli.ok("start", json!({"graph": "g"}));
    cli.ok("stop", json!({"name": "g"}));
    let data = gob.connect_as("desktop").ok("start", json!({"graph": "g"}));
    assert_eq!((&data["outcome"], &data["worker"]["owner"]), (&json!("started"), &json!("desktop")));
    cli.err("stop", json!({"name": "g"}), "server-owned-by-other");
}

#[test]
fn lists_show_the_owner_and_mark_own_workers() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "mine"}));
    gob.connect_as("desktop").ok("start", json!({"graph": "theirs"}));
    let workers = gob.connect_as("cli").ok("list", json!({}))["workers"].clone();
    let seen: Vec<_> =
        workers.as_array().unwrap().iter().map(|w| (&w["name"], &w["owner"], &w["owned"])).collect();
    assert_eq!(
        seen,
        [(&json!("mine"), &json!("cli"), &json!(true)), (&json!("theirs"), &json!("desktop"), &json!(false))]
    );
    let json = gob.ctl(["list", "--json", "--owner", "desktop"]).json();
    let filtered = json["workers"].as_array().unwrap();
    assert_eq!((filtered.len(), &filtered[0]["name"]), (1, &json!("theirs")), "{json}");
    let text = gob.ctl(["list"]).ok();
    let header: Vec<&str> = text.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["NAME", "KIND", "OWNER", "STATE", "PID", "UP", "RESTARTS", "ENDPOINT"]);
    let row = text.lines().find(|line| line.starts_with("theirs")).unwrap();
    assert_eq!(row.split_whitespace().nth(2), Some("desktop"));
}

#[test]
fn views_and_status_name_the_holders_of_leases() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let mut desktop = gob.connect_as("desktop");
    let worker = desktop.ok("lease", json!({"name": "g"}))["worker"].clone();
    let pid = std::process::id();
    assert_eq!((&worker["leases"], &worker["lease_holders"][0]["owner"]), (&json!(1), &json!("desktop")));
    assert_eq!(worker["lease_holders"][0]["pid"], json!(pid));
    let text = gob.ctl(["status", "g"]).ok();
    assert!(text.lines().any(|line| line.contains("lease") && line.contains("desktop (")), "{text}");
    desktop.ok("release", json!({"name": "g"}));
    let worker = gob.connect_as("cli").ok("get", json!({"name": "g"}))["worker"].clone();
    assert_eq!(worker["lease_holders"], json!([]));
}

#[test]
fn reading_and_using_is_open_to_every_owner() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    for owner in [None, Some("desktop"), Some("agent")] {
        let mut conn = connection(&gob, owner);
        conn.ok("get", json!({"name": "g"}));
        conn.ok("list", json!({}));
        conn.ok("status", json!({}));
        conn.ok("subscribe", json!({}));
        assert_eq!(conn.ok("start", json!({"graph": "g"}))["outcome"], "reused");
    }
    assert_eq!(gob.worker("g").ok("ping", json!({}))["pong"], true);
}

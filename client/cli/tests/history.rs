//! `gobctl runs`, `stats` and `blame`, against a scripted supervisor: their pages, and what they print of odd answers.

#[cfg(test)]
mod support;

use serde_json::{Value, json};
use support::{World, ok};

#[cfg(test)]
fn run(number: u64) -> Value {
    json!({"run": number, "pid": 42, "started_at": "2026-11-20T10:00:00.000Z", "ready_at": null,
        "stopped_at": null, "duration_ms": 1000, "exit": {"code": 0}, "outcome": "success", "cut": false,
        "owner": "cli", "actor": "supervisor"})
}

/// Answers `runs` as a supervisor with so many of them.
#[cfg(test)]
fn serve_runs(world: &World, all: u64) {
    world.serve(move |kind, payload| {
        if kind != "runs" {
            return vec![];
        }
        let (limit, before) = (payload["limit"].as_u64().unwrap(), payload["before"].as_u64());
        assert!((1..=1000).contains(&limit), "{payload}");
        let first = before.map_or(all, |before| before - 1);
        let runs: Vec<Value> = (1..=first).rev().take(limit as usize).map(run).collect();
        vec![ok(json!({"runs": runs, "more": first > limit}))]
    });
}

#[cfg(test)]
fn numbers(text: &str) -> Vec<u64> {
    let data: Value = serde_json::from_str(text).unwrap();
    data["runs"].as_array().unwrap().iter().map(|run| run["run"].as_u64().unwrap()).collect()
}

#[test]
fn runs_are_collected_from_pages_up_to_the_limit() {
    let world = World::new();
    serve_runs(&world, 2500);
    let down_to = |last: u64| (last..=2500).rev().collect::<Vec<_>>();
    for (limit, last) in [("all", 1), ("9999", 1), ("2500", 1), ("1001", 1500), ("1000", 1501), ("1", 2500)] {
        let ran = world.run(&["runs", "t", "-n", limit, "--json"]);
        assert_eq!((ran.code, numbers(&ran.stdout)), (Some(0), down_to(last)), "{limit}: {}", ran.stderr);
    }
    let ran = world.run(&["runs", "t"]);
    assert_eq!(
        (ran.stdout.lines().count(), ran.stderr.as_str()),
        (21, "there are older runs; -n all shows them\n")
    );
    assert_eq!(world.run(&["runs", "t", "-n", "all"]).stderr, "");
    assert_eq!(world.run(&["runs", "t", "-n", "0"]).code, Some(2));
}

#[test]
fn a_page_that_does_not_advance_ends_the_list() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "runs" => vec![ok(json!({"runs": [run(7)], "more": true}))],
        _ => vec![],
    });
    assert_eq!(numbers(&world.run(&["runs", "t", "-n", "all", "--json"]).stdout), [7]);
}

/// Answers `blame` as a supervisor with so many changes, which counts them from the latest.
#[cfg(test)]
fn serve_changes(world: &World, all: u64) {
    world.serve(move |kind, payload| {
        if kind != "blame" {
            return vec![];
        }
        let limit = payload["limit"].as_u64().unwrap();
        assert!((1..=1000).contains(&limit), "{payload}");
        let before = payload["before"].as_str().map(|at| at.strip_prefix("i:").unwrap().parse().unwrap());
        let first: u64 = before.unwrap_or(all + 1);
        let change = |seq: u64| {
            json!({"time": "2026-11-20T10:00:00.000Z", "event": "worker_started", "actor": "supervisor",
                "run": seq, "reason": null})
        };
        let entries: Vec<Value> = (1..first).rev().take(limit as usize).map(change).collect();
        let last = entries.last().map_or(0, |entry| entry["run"].as_u64().unwrap());
        let mut data = json!({"entries": entries});
        if last > 1 {
            data["next"] = json!(format!("i:{last}"));
        }
        vec![ok(data)]
    });
}

#[test]
fn changes_are_collected_from_pages_up_to_the_limit() {
    let world = World::new();
    serve_changes(&world, 3000);
    for (limit, last) in [("all", 1), ("9999", 1), ("3000", 1), ("1001", 2000), ("1000", 2001), ("1", 3000)] {
        let ran = world.run(&["blame", "t", "-n", limit, "--json"]);
        let data: Value = serde_json::from_str(&ran.stdout).unwrap();
        let runs = data["entries"].as_array().unwrap().iter().map(|entry| entry["run"].as_u64().unwrap());
        let want: Vec<u64> = (last..=3000).rev().collect();
        assert_eq!((ran.code, runs.collect::<Vec<_>>()), (Some(0), want), "{limit}: {}", ran.stderr);
        let next = (last > 1).then(|| json!(format!("i:{last}")));
        assert_eq!(data.get("next"), next.as_ref(), "{limit}");
    }
    let ran = world.run(&["blame", "t"]);
    assert_eq!(
        (ran.stdout.lines().count(), ran.stderr.as_str()),
        (21, "there are older changes; -n all shows them\n")
    );
    assert_eq!(world.run(&["blame", "t", "-n", "all"]).stderr, "");
}

#[test]
fn a_page_of_changes_that_does_not_advance_ends_the_list() {
    let world = World::new();
    world.serve(|kind, _| match kind {
        "blame" => vec![ok(json!({"entries": [], "next": "i:7"}))],
        _ => vec![],
    });
    world.run(&["blame", "t", "-n", "all"]).is(0, "", "no change of t is in the history\n");
}

#[test]
fn data_is_printed_as_it_came() {
    let world = World::new();
    let told = json!({"runs": 1, "success_rate": 1.0, "expected_ms": null, "of_tomorrow": [1],
        "by_outcome": {"success": {"count": 1, "mean_ms": 5, "median_ms": 5},
            "failure": {"count": 0, "mean_ms": null, "median_ms": null},
            "killed": {"count": 0, "mean_ms": null, "median_ms": null}}});
    let entries = json!({"entries": [], "of_tomorrow": 1});
    let (stats, blame) = (told.clone(), entries.clone());
    world.serve(move |kind, _| match kind {
        "stats" => vec![ok(stats.clone())],
        "blame" => vec![ok(blame.clone())],
        _ => vec![],
    });
    for (verb, want) in [("stats", told), ("blame", entries)] {
        let ran = world.run(&[verb, "t", "--json"]);
        assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), want, "{}", ran.stderr);
    }
    assert!(
        world.run(&["stats", "t"]).stdout.starts_with("t: 1 run, 100.0% of those that ended succeeded\n")
    );
    world.run(&["blame", "t"]).is(0, "", "no change of t is in the history\n");
}

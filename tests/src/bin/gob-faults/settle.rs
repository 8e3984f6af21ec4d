//! Conditions at rest: one live run per worker, nothing left of ended ones, and `gobctl list`, the model made
//! of events, and the process table agree.

use crate::fleet::{Fleet, NEVER};
use crate::lane::Lane;
use crate::link::{Link, Lost};
use crate::output;
use crate::recorder::Recorder;
use crate::shared::{Shared, lock};
use crate::truth::{self, Proc, Truth};
use crate::vitals::Vitals;
use gob_protocol::answer::{ListData, SubscribeData};
use gob_protocol::{State, View};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time limit for everything to come to rest.
const REST: Duration = Duration::from_secs(40);
const ANSWER: Duration = Duration::from_secs(10);

/// One worker as three parties see it.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    state: State,
    pid: Option<i32>,
    run: u64,
    owner: String,
    restarts: u32,
    leases: u32,
}

/// Waits until nothing moves and all parties agree; returns the supervisor's resources then, or the parties
/// that did not come to rest.
pub fn settle(
    shared: &Shared,
    fleet: &Mutex<Fleet>,
    recorder: &Recorder,
    vitals: &mut Vitals,
) -> Result<String, String> {
    shared.close_gate(REST)?;
    let deadline = Instant::now() + REST;
    let mut link = None;
    let mut last = "nobody answers".to_owned();
    let (truth, status) = loop {
        if Instant::now() > deadline || shared.has_violations() {
            return Err(format!("not at rest after {REST:?}: {last}"));
        }
        lock(fleet).release(&shared.gob);
        let mut current = match link.take().map_or_else(|| reach(shared), Ok) {
            Ok(current) => current,
            Err(why) => {
                last = why;
                shared.breathe();
                continue;
            }
        };
        match agree(shared, fleet, recorder, &mut current) {
            Ok(Ok(rest)) => break rest,
            Ok(Err(why)) => {
                last = why;
                link = Some(current);
                shared.breathe();
            }
            Err(Lost::Ended) => last = "the connection ended".to_owned(),
            Err(Lost::Lie(lie)) => return Err(lie),
        }
    };
    check_bystanders(fleet)?;
    lock(fleet).holders.check(&truth)?;
    check_log(shared)?;
    output::check(shared, fleet)?;
    let instance = status["instance"].as_str().unwrap_or_default();
    shared.judge.compare(instance)?;
    shared.spoil_if_cut();
    shared.history.check(shared, instance)?;
    shared.lane.check(shared)?;
    vitals.check(&status, recorder.begun(instance), truth.leaders().count() as u64)
}

/// Connects; a supervisor that is gone for good is started as any command would.
fn reach(shared: &Shared) -> Result<Link, String> {
    let connect = || Link::connect_as(&shared.gob.socket(), "cli", ANSWER);
    connect().or_else(|lost| {
        if let Lost::Lie(lie) = lost {
            return Err(lie);
        }
        let output = shared.gob.ctl(["ping"]).run();
        if output.code != 0 {
            return Err(output.to_string());
        }
        connect().map_err(|lost| format!("{lost:?} after a ping"))
    })
}

/// Compares everything between two reads of seq; only a comparison without an event in between counts.
fn agree(
    shared: &Shared,
    fleet: &Mutex<Fleet>,
    recorder: &Recorder,
    link: &mut Link,
) -> Result<Result<(Truth, Value), String>, Lost> {
    if let Some(unrest) = Lane::unrest(link)? {
        return Ok(Err(unrest));
    }
    // A connection has one subscription, and this one requests a snapshot again and again.
    link.ok("unsubscribe", json!({}), ANSWER)?;
    let data = link.ok("subscribe", json!({"snapshot": true}), ANSWER)?;
    let snapshot = SubscribeData::deserialize(&data).map_err(|e| Lost::Lie(e.to_string()))?;
    link.follow(snapshot.seq);
    let views = snapshot.workers.unwrap_or_default();
    if let Some(view) = views.iter().find(|view| is_moving(view.state)) {
        return Ok(Err(format!("{} is {}", view.name, view.state)));
    }
    let output = shared.gob.ctl(["list", "--json"]).run();
    let Ok(listed) = serde_json::from_str::<ListData>(&output.stdout) else {
        return Ok(Err(format!("gobctl list: {output}")));
    };
    let truth = truth::scan(&shared.gob);
    let model = recorder.model();
    let status = link.ok("status", json!({}), ANSWER)?;
    if status["events_seq"] != snapshot.seq || status["instance"] != *snapshot.instance {
        return Ok(Err("events go on".to_owned()));
    }
    if (model.seq(), model.instance()) != (snapshot.seq, &*snapshot.instance) {
        return Ok(Err(format!(
            "the recorder is at {} of {}, not {}",
            model.seq(),
            model.instance(),
            snapshot.seq
        )));
    }
    let views = rows(&views);
    for (who, other) in [("gobctl list", rows(&listed.workers)), ("the events", rows(model.workers()))] {
        if let Some(difference) = difference(&views, &other) {
            return Ok(Err(format!("{who} and the snapshot differ: {difference}")));
        }
    }
    let holders = lock(fleet).holders.pids();
    Ok(match against_truth(&views, &truth, &holders, &status) {
        Some(difference) => Err(difference),
        None => Ok((truth, status)),
    })
}

fn is_moving(state: State) -> bool {
    match state {
        State::Starting | State::Stopping | State::Backoff => true,
        State::Idle | State::Ready | State::Unhealthy | State::Failed | State::Ceded | State::External => {
            false
        }
    }
}

fn rows<'a>(views: impl IntoIterator<Item = &'a View>) -> BTreeMap<String, Row> {
    let row = |view: &View| Row {
        state: view.state,
        pid: view.pid,
        run: view.run,
        owner: view.owner.to_string(),
        restarts: view.restarts,
        leases: view.leases,
    };
    views.into_iter().map(|view| (view.name.to_string(), row(view))).collect()
}

fn difference(one: &BTreeMap<String, Row>, other: &BTreeMap<String, Row>) -> Option<String> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let different = names.into_iter().find(|name| one.get(*name) != other.get(*name))?;
    Some(format!("{different}: {:?} and {:?}", one.get(different), other.get(different)))
}

/// Compares the supervisor's word with the kernel's.
fn against_truth(
    said: &BTreeMap<String, Row>,
    truth: &Truth,
    holders: &BTreeMap<String, i32>,
    status: &Value,
) -> Option<String> {
    if let Some(name) = said.keys().find(|name| name.starts_with(NEVER)) {
        return Some(format!("{name} is there: a request that was cut off was carried out"));
    }
    let pid = status["pid"].as_i64().unwrap_or_default() as i32;
    let keeper = status["keeper_pid"].as_i64().unwrap_or_default() as i32;
    if truth.supervisors != [pid] || truth.keepers != [keeper] {
        let (supervisors, keepers) = (&truth.supervisors, &truth.keepers);
        return Some(format!(
            "supervisors {supervisors:?}, keepers {keepers:?}, not {pid} and {keeper} alone"
        ));
    }
    let (external, own): (Vec<_>, Vec<_>) = said.iter().partition(|(_, row)| row.state == State::External);
    if let Some((name, row)) = external.iter().find(|(name, row)| row.pid != holders.get(*name).copied()) {
        return Some(format!(
            "{name} is said to be held by {:?}, and is by {:?}",
            row.pid,
            holders.get(*name)
        ));
    }
    let live: BTreeSet<(&str, Option<i32>)> = own
        .iter()
        .filter(|(_, row)| row.state.is_live() || row.pid.is_some())
        .map(|(name, row)| (name.as_str(), row.pid))
        .collect();
    let leaders: Vec<(&str, Option<i32>)> =
        truth.leaders().map(|(name, proc)| (name, Some(proc.pid))).collect();
    if live != leaders.iter().copied().collect() || live.len() != leaders.len() {
        return Some(format!("said to be alive are {live:?}, and there are {leaders:?}"));
    }
    let tags: BTreeSet<u64> = truth.leaders().map(|(_, proc)| proc.tag).collect();
    // A process that lost its environment may belong to a run that could not be marked.
    let any_unmarked = tags.iter().any(|tag| truth::is_unmarked(*tag));
    let is_known = |proc: &&Proc| tags.contains(&proc.tag) || (proc.tag == truth::UNMARKED && any_unmarked);
    let stray = truth.workers.iter().find(|proc| !is_known(proc))?;
    Some(format!("left of an ended run: {}", gob_tests::process::describe(stray.pid)))
}

fn check_bystanders(fleet: &Mutex<Fleet>) -> Result<(), String> {
    match lock(fleet).ended_bystanders() {
        ended if ended.is_empty() => Ok(()),
        ended => Err(ended.join("; ")),
    }
}

/// Checks that no part of the supervisor has panicked.
fn check_log(shared: &Shared) -> Result<(), String> {
    let text = fs::read(shared.gob.state_dir().join("gobd.log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    match text.lines().find(|line| line.contains("panicked")) {
        Some(line) => Err(format!("gobd.log: {line}")),
        None => Ok(()),
    }
}

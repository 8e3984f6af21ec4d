//! Clients that send all kinds of requests all the time, several at once, and count each answer.

use crate::dice::Dice;
use crate::fleet::{self, Fleet};
use crate::link::{Frame, Link, Lost};
use crate::shared::{Shared, lock};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Each with a connection of its own.
pub const OWNERS: [&str; 6] = ["cli", "desktop", "agent", "cli", "desktop", "agent"];

/// Time limit of an answer: longer than any start, stop or fault.
const ANSWER: Duration = Duration::from_secs(30);

/// A client: its owner, and the name by which events report it.
#[derive(Debug)]
pub struct Client {
    pub owner: &'static str,
    pub name: String,
}

/// Runs one client.
pub fn live(shared: &Shared, fleet: &Mutex<Fleet>, client: &Client, mut dice: Dice) {
    let mut link = None;
    while shared.enter() {
        if let Err(lie) = batch(shared, fleet, client, &mut dice, &mut link) {
            shared.violated(format!("{} of {}: {lie}", client.name, client.owner));
        }
        shared.leave();
    }
}

fn batch(
    shared: &Shared,
    fleet: &Mutex<Fleet>,
    client: &Client,
    dice: &mut Dice,
    slot: &mut Option<Link>,
) -> Result<(), String> {
    let connect = || Link::connect_named(&shared.gob.socket(), client.owner, &client.name, ANSWER);
    let mut link = match slot.take().map_or_else(connect, Ok) {
        Ok(link) => link,
        Err(Lost::Lie(lie)) => return Err(lie),
        Err(Lost::Ended) => {
            shared.breathe();
            return Ok(());
        }
    };
    match ask(shared, fleet, client, dice, &mut link) {
        // Now and then a client disconnects and connects anew.
        Ok(()) => *slot = Some(link).filter(|_| dice.below(50) > 0),
        Err(Lost::Ended) => {}
        Err(Lost::Lie(lie)) => return Err(lie),
    }
    Ok(())
}

fn ask(
    shared: &Shared,
    fleet: &Mutex<Fleet>,
    client: &Client,
    dice: &mut Dice,
    link: &mut Link,
) -> Result<(), Lost> {
    for _ in 0..dice.between(1, 6) {
        let (kind, payload) = match dice.below(12) {
            0..4 => about_job(shared, dice),
            4..6 => shared.lane.request(shared, dice),
            _graph => request(lock(fleet).name(dice), dice),
        };
        link.post(kind, payload)?;
    }
    let deadline = Instant::now() + ANSWER;
    while !link.unanswered().is_empty() {
        match link.frame(deadline.saturating_duration_since(Instant::now()))? {
            Some(Frame::Answer(asked, answer)) => {
                shared.answered(answer["error"]["code"].as_str().unwrap_or("ok"));
                let judged =
                    shared.judge.answer(&client.name, client.owner, link.instance(), &asked, &answer);
                judged.map_err(Lost::Lie)?;
                let data = &answer["data"];
                let judged = shared.history.answer(link.instance(), &asked.kind, &asked.payload, data);
                judged.map_err(Lost::Lie)?;
                shared.lane.answer(link.instance(), &asked.kind, data).map_err(Lost::Lie)?;
                if let ("subscribe", Some(seq)) = (&*asked.kind, answer["data"]["seq"].as_u64()) {
                    link.follow(seq);
                }
            }
            Some(Frame::Event(_)) => {}
            None => {
                return Err(Lost::Lie(format!("not answered within {ANSWER:?}: {:?}", link.unanswered())));
            }
        }
    }
    Ok(())
}

/// Returns a request about a job, known or new.
fn about_job(shared: &Shared, dice: &mut Dice) -> (&'static str, Value) {
    let at = dice.below(fleet::JOBS as u64) as usize;
    let (name, job) = (fleet::job_name(at), fleet::job(&shared.gob, at));
    let timeout = dice.between(1, 2_000);
    match dice.below(100) {
        0..25 => ("add", job),
        25..30 => ("create", job),
        30..35 => ("create", fleet::unnamed(&shared.gob, dice.below(12))),
        35..38 => ("remove", json!({"name": format!("j{}", dice.between(1, 60))})),
        38..50 => ("stop", json!({"name": name})),
        50..54 => ("stop", json!({"name": name, "force": true})),
        54..62 => ("restart", json!({"name": name, "timeout_ms": timeout})),
        62..66 => ("signal", json!({"name": name, "signal": dice.one(&["WINCH", "USR1", "KILL", "CONT"])})),
        66..68 => {
            shared.history.removes(&name);
            ("remove", json!({"name": name}))
        }
        68..76 => ("runs", json!({"name": name, "limit": dice.between(1, 50)})),
        76..82 => ("stats", json!({"name": name})),
        82..88 => ("blame", json!({"name": name})),
        88..91 => {
            shared.history.removes(&name);
            ("runs_delete", json!({"name": name, "run": dice.between(1, 40)}))
        }
        91..96 => ("lease", json!({"name": name})),
        _release => ("release", json!({"name": name})),
    }
}

fn request(name: &str, dice: &mut Dice) -> (&'static str, Value) {
    // A start may wait for a worker that is slow or never comes, but not beyond the limit for clients.
    let timeout = dice.between(1, 2_000);
    match dice.below(100) {
        0..12 => ("start", json!({"graph": name, "timeout_ms": timeout})),
        12..24 => ("start", json!({"graph": name, "wait": "spawned", "timeout_ms": timeout})),
        24..30 => ("start", json!({"graph": name, "lease": true, "timeout_ms": timeout})),
        30..38 => ("stop", json!({"name": name})),
        38..42 => ("stop", json!({"name": name, "force": true})),
        42..45 => ("stop", json!({"name": name, "grace_ms": dice.below(300)})),
        45..55 => ("restart", json!({"name": name, "timeout_ms": timeout})),
        55..63 => ("list", json!({})),
        63..71 => ("get", json!({"name": name})),
        71..78 => ("ping", json!({})),
        78..82 => ("lease", json!({"name": name})),
        82..86 => ("release", json!({"name": name})),
        86..89 => ("hand_over", json!({"name": name, "to": dice.one(&["cli", "desktop", "agent"])})),
        89..91 => ("signal", json!({"name": name, "signal": dice.one(&["WINCH", "USR1", "KILL", "CONT"])})),
        91..94 => ("remove", json!({"name": name})),
        94..96 => ("subscribe", json!({})),
        96..97 => ("unsubscribe", json!({})),
        97..98 => ("reload", json!({})),
        _status => ("status", json!({})),
    }
}

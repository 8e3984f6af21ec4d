//! Promises about the queue under all faults: a job that was acknowledged is there until it has ended, its attempts follow each
//! other with rising numbers, none begins after it has completed, and one that was cancelled stays so.

use crate::dice::Dice;
use crate::link::{Link, Lost};
use crate::shared::{Shared, lock};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

const ANSWER: Duration = Duration::from_secs(30);
/// The lane of the harness, in which the supervisor runs jobs.
const LANE: &str = "harness";
/// A lane whose width nobody changes: one job at a time.
const NARROW: &str = "narrow";
/// The stamp of an attempt: an flock that all of its processes hold, and a file that tells of an attempt that found another
/// one alive.
const STAMP: &str =
    "exec 9>>lane.$GOB_JOB_ID; flock -n 9 || echo $GOB_JOB_ID attempt $GOB_ATTEMPT >> lane.overlaps; ";
/// The stamp of a job in the narrow lane, in front of the other one: all of the lane's jobs share it.
const NARROW_STAMP: &str = "exec 8>>lane.narrow; flock -n 8 || echo $GOB_JOB_ID beside another one in a lane of one >> lane.overlaps; ";
/// Jobs that are looked at in each rest: the latest ones.
const LOOKED_AT: usize = 200;

#[derive(Default)]
pub struct Lane(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// Jobs that were acknowledged, by number.
    jobs: BTreeMap<u64, Job>,
    /// The file of the queue may have lost some of them since the last rest.
    is_spoilt: bool,
    /// Some were lost at any time: a number that is not known may have been known before.
    has_lost: bool,
}

/// The knowledge about a job.
#[derive(Debug, Default)]
struct Job {
    /// The number of the attempt that began last.
    attempt: u64,
    /// It has completed.
    is_completed: bool,
    /// A cancel was answered, and no retry was asked for.
    is_cancelled: bool,
    /// The life in which it was added or last told of.
    instance: String,
}

impl Lane {
    /// Notes a fault after which jobs may be missing, or be as they were before.
    pub fn spoil(&self) {
        lock(&self.0).is_spoilt = true;
    }

    /// Returns a request about the queue.
    pub fn request(&self, shared: &Shared, dice: &mut Dice) -> (&'static str, Value) {
        let mut book = lock(&self.0);
        let known: Vec<u64> = book.jobs.keys().rev().take(30).copied().collect();
        let number = known.get(dice.below(30) as usize).copied().unwrap_or(dice.between(1, 60));
        let id = format!("j{number}");
        match dice.below(100) {
            0..45 => {
                let script = *dice.one(&[
                    "exit 0",
                    "exit 0",
                    "exit 3",
                    "sleep 0.1",
                    "sleep 0.1; exit 1",
                    "kill -9 $$",
                ]);
                let (lane, stamp) = *dice.one(&[(LANE, ""), (LANE, ""), (NARROW, NARROW_STAMP)]);
                let mut job = json!({
                    "lane": lane, "command": ["/bin/sh", "-c", format!("{stamp}{STAMP}{script} # queued")], "cwd": shared.gob.dir(),
                    "env": {"PATH": "/usr/bin:/bin"}, "max_attempts": dice.between(1, 3),
                    "priority": dice.between(0, 20) as i64 - 10,
                });
                if dice.below(5) == 0 {
                    job["delay_ms"] = dice.below(300).into();
                }
                if dice.below(5) == 0 {
                    job["dedupe"] = format!("key {}", dice.below(4)).into();
                }
                if dice.below(6) == 0 && !known.is_empty() {
                    job["after"] = json!([id]);
                }
                ("queue_add", job)
            }
            45..60 => ("queue_cancel", json!({"job_id": id})),
            60..72 => {
                // Noted before it is sent: its answer may be lost.
                if let Some(job) = book.jobs.get_mut(&number) {
                    job.is_cancelled = false;
                }
                ("queue_retry", json!({"job_id": id, "env": {"PATH": "/usr/bin:/bin"}}))
            }
            72..84 => ("queue_get", json!({"job_id": id})),
            84..92 => ("queue_list", json!({"lane": LANE, "limit": dice.between(1, 50)})),
            92..95 => ("queue_width", json!({"lane": LANE, "width": dice.between(1, 6)})),
            _stop => ("stop", json!({"name": id})),
        }
    }

    /// Judges the answer to a request about the queue.
    pub fn answer(&self, instance: &str, kind: &str, data: &Value) -> Result<(), String> {
        let job = &data["job"];
        let Some(number) = number_of(job) else { return Ok(()) };
        let mut book = lock(&self.0);
        match kind {
            "queue_add" => {
                let is_new = data["outcome"] == "added";
                if is_new && book.jobs.contains_key(&number) && !book.has_lost {
                    // Its event may have come before.
                    let is_told = book.jobs.get(&number).is_some_and(|job| job.instance == instance);
                    if !is_told {
                        return Err(format!("j{number} was given twice"));
                    }
                }
                book.jobs.entry(number).or_default().instance = instance.to_owned();
            }
            "queue_cancel" => {
                if let Some(known) = book.jobs.get_mut(&number) {
                    known.is_cancelled = job["status"] == "cancelled";
                }
            }
            _else => {}
        }
        Ok(())
    }

    /// Judges an event of the queue.
    pub fn event(&self, instance: &str, event: &Value) -> Result<(), String> {
        let job = &event["job"];
        let (Some(number), Some(attempt)) = (number_of(job), job["attempt"].as_u64()) else { return Ok(()) };
        let mut book = lock(&self.0);
        let is_sure = !book.is_spoilt && !book.has_lost;
        let known = book.jobs.entry(number).or_default();
        known.instance = instance.to_owned();
        let kind = event["event"].as_str().unwrap_or_default();
        if kind == "queue_job_started" {
            if is_sure && known.is_completed {
                return Err(format!("j{number} was completed, and began attempt {attempt}"));
            }
            if is_sure && attempt <= known.attempt {
                return Err(format!("j{number} began attempt {attempt} after {}", known.attempt));
            }
            known.attempt = attempt;
        }
        known.is_completed |= kind == "queue_job_finished" && job["status"] == "completed";
        Ok(())
    }

    /// Returns what still waits or runs in the lane; `None` once nothing does.
    pub fn unrest(link: &mut Link) -> Result<Option<String>, Lost> {
        let answer = link.ask("queue_list", json!({"limit": 1}), ANSWER)?;
        if answer["success"] != true {
            return Ok(Some(format!("the queue does not answer: {answer}")));
        }
        let lanes = answer["data"]["lanes"].as_array().map_or(&[][..], Vec::as_slice);
        let busy = |lane: &&Value| lane["counts"]["pending"] != 0 || lane["counts"]["running"] != 0;
        let Some(counts) = lanes.iter().find(busy) else { return Ok(None) };
        let history = link.ok("status", json!({}), ANSWER)?["history"].take();
        Ok(Some(format!("the queue has {counts}; {history}; {}", answer["data"]["jobs"][0])))
    }

    /// Checks at rest that every job that was acknowledged is there, and as it was told.
    pub fn check(&self, shared: &Shared) -> Result<(), String> {
        if let Ok(overlaps) = std::fs::read_to_string(shared.gob.dir().join("lane.overlaps")) {
            return Err(format!("attempts began while others were alive: {}", overlaps.trim()));
        }
        let mut book = lock(&self.0);
        if std::mem::take(&mut book.is_spoilt) {
            (book.jobs, book.has_lost) = (BTreeMap::new(), true);
            return Ok(());
        }
        let mut link = match Link::connect_as(&shared.gob.socket(), "cli", ANSWER) {
            Ok(link) => link,
            Err(lost) => return Err(format!("no connection to look at the queue: {lost:?}")),
        };
        let mut seen = BTreeSet::new();
        for (number, known) in book.jobs.iter().rev().take(LOOKED_AT) {
            let answer = link.ask("queue_get", json!({"job_id": format!("j{number}")}), ANSWER);
            let answer = answer.map_err(|lost| format!("the queue does not answer: {lost:?}"))?;
            let job = &answer["data"]["job"];
            let status = job["status"].as_str().unwrap_or_default();
            if !["completed", "failed", "cancelled"].contains(&status) {
                return Err(format!("j{number} was acknowledged, and nothing waits or runs: {answer}"));
            }
            if known.is_completed != (status == "completed") && known.is_completed {
                return Err(format!("j{number} was told to be completed: {job}"));
            }
            if known.is_cancelled && status != "cancelled" {
                return Err(format!("j{number} was cancelled: {job}"));
            }
            if job["attempt"].as_u64() < Some(known.attempt) {
                return Err(format!("j{number} began attempt {}: {job}", known.attempt));
            }
            seen.insert(*number);
        }
        // Older ones were looked at before.
        book.jobs.retain(|number, _| seen.contains(number));
        Ok(())
    }
}

/// Returns whether a worker is that of a job in the queue.
pub fn is_queued(view: &Value) -> bool {
    view["command"][2].as_str().is_some_and(|script| script.ends_with("# queued"))
}

fn number_of(job: &Value) -> Option<u64> {
    job["id"].as_str()?.strip_prefix('j')?.parse().ok()
}

//! The independent check: the records of the claimants, the jobs at the end, and the ids that were acknowledged. Pure.

use super::records::{Attempt, Records};
use gob_protocol::queue::{QueueJob, QueueStatus};
use std::collections::{BTreeMap, BTreeSet};

/// Returns everything that must not be.
pub fn check(records: &Records, jobs: &[QueueJob], added: &BTreeSet<String>) -> Vec<String> {
    let mut wrong: Vec<String> = records.torn.iter().map(|line| format!("no record: {line}")).collect();
    let mut of_jobs: BTreeMap<&str, Vec<&Attempt>> = BTreeMap::new();
    for attempt in &records.attempts {
        of_jobs.entry(attempt.job.as_str()).or_default().push(attempt);
    }
    let there: BTreeMap<&str, &QueueJob> = jobs.iter().map(|job| (job.id.as_str(), job)).collect();
    if there.len() != jobs.len() {
        wrong.push("a job is listed twice".to_owned());
    }
    let lost = added.iter().filter(|id| !there.contains_key(id.as_str()));
    wrong.extend(lost.map(|id| format!("{id} was acknowledged and is lost")));
    for (id, attempts) in &mut of_jobs {
        attempts.sort_by_key(|attempt| attempt.begun);
        follow_each_other(attempts, &mut wrong);
        if !there.contains_key(id) {
            wrong.push(format!("{id} was claimed and is not listed"));
        }
    }
    for job in jobs {
        let attempts = of_jobs.get(job.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        has_ended_as_told(job, attempts, &mut wrong);
    }
    wrong
}

/// Attempts of one job, in the order of their beginnings: none overlaps, their numbers rise, none begins after an
/// acknowledged end.
fn follow_each_other(attempts: &[&Attempt], wrong: &mut Vec<String>) {
    for pair in attempts.windows(2) {
        let [first, second] = pair else { continue };
        if second.number <= first.number {
            wrong.push(format!("{} began attempt {} after {}", first.job, second.number, first.number));
        }
        if second.begun < first.over() {
            let by = first.over().saturating_sub(second.begun) / 1000;
            wrong.push(format!(
                "{}: attempts {} and {} overlap by {by} us",
                first.job, first.number, second.number
            ));
        }
    }
    let is_final = |attempt: &&&Attempt| {
        attempt.acknowledged.as_ref().is_some_and(|(_, status)| status == "completed" || status == "failed")
    };
    let Some(end) = attempts.iter().find(is_final) else { return };
    let at = end.acknowledged.as_ref().map_or(u64::MAX, |(at, _)| *at);
    for late in attempts.iter().filter(|attempt| attempt.begun > at || attempt.number > end.number) {
        wrong.push(format!(
            "{}: attempt {} began after the end of {} was acknowledged",
            late.job, late.number, end.number
        ));
    }
}

/// A job has ended, and as its last attempt has.
fn has_ended_as_told(job: &QueueJob, attempts: &[&Attempt], wrong: &mut Vec<String>) {
    let id = &job.id;
    let last = attempts.last();
    for attempt in attempts {
        if let Some((_, status)) = &attempt.acknowledged
            && status != "pending"
            && *status != job.status.as_str()
        {
            wrong.push(format!("{id} was acknowledged as {status} and is {}", job.status));
        }
    }
    if last.is_some_and(|last| last.number > u64::from(job.attempt)) {
        wrong.push(format!("{id} is said to have had {} attempts", job.attempt));
    }
    match job.status {
        QueueStatus::Completed => {
            let is_true = last.is_some_and(|last| {
                last.number == u64::from(job.attempt) && last.ended.is_some_and(|(_, is_good)| is_good)
            });
            if !is_true {
                wrong.push(format!("{id} is completed, and no attempt {} went well", job.attempt));
            }
        }
        QueueStatus::Failed => {
            if job.attempts < job.max_attempts || job.error.is_none() {
                wrong.push(format!("{id} failed after {} of {} attempts", job.attempts, job.max_attempts));
            }
            if attempts
                .iter()
                .filter(|attempt| attempt.ended.is_some_and(|(_, is_good)| is_good))
                .any(|attempt| attempt.acknowledged.is_some())
            {
                wrong.push(format!("{id} failed after an attempt that went well"));
            }
        }
        QueueStatus::Pending | QueueStatus::Running | QueueStatus::Cancelled => {
            wrong.push(format!("{id} is {} at the end", job.status));
        }
    }
}

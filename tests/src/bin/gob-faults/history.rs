//! Promises about jobs over all lives of the supervisor: a number is given once, one command in one directory is one job,
//! none runs again by itself, and the history tells each run that was over, once, for ever.

use crate::fleet;
use crate::lane;
use crate::link::{Link, Lost};
use crate::shared::{Shared, lock};
use gob_protocol::{State, View};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const ANSWER: Duration = Duration::from_secs(30);
/// Time in which the history is usable again, whatever was done to its file.
const USABLE: Duration = Duration::from_secs(20);
/// Runs of a job that are kept, less than by default.
const KEPT: usize = 900;

/// Runs of a job by their number, with the time of their begin.
type Runs = BTreeMap<u64, String>;

#[derive(Default)]
pub struct History(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// Names that gob gave.
    given: BTreeSet<String>,
    /// Runs that were told at an earlier rest.
    told: BTreeMap<String, Runs>,
    /// Runs that are over by an answer: instance, job, number.
    over: BTreeSet<(String, String, u64)>,
    /// Jobs whose history clients wanted to be removed since the last rest.
    removed: BTreeSet<String>,
    /// Records may have been lost since the last rest.
    is_spoilt: bool,
    /// The latest run of each job when some were lost: a later `stop` of a job at rest tells of it again.
    lost_up_to: BTreeMap<String, u64>,
    /// Jobs that a client has started, by instance.
    started: BTreeSet<(String, String)>,
}

impl History {
    /// Notes that what is known of a job may go.
    pub fn removes(&self, job: &str) {
        lock(&self.0).removed.insert(job.to_owned());
    }

    /// Notes a fault after which records may be missing.
    pub fn spoil(&self) {
        lock(&self.0).is_spoilt = true;
    }

    /// Judges the answer to a request about a job.
    pub fn answer(&self, instance: &str, kind: &str, payload: &Value, data: &Value) -> Result<(), String> {
        let worker = &data["worker"];
        let (Some(name), Some(run)) = (worker["name"].as_str(), worker["run"].as_u64()) else {
            return Ok(());
        };
        let mut book = lock(&self.0);
        if kind == "create" && payload["name"].is_null() && data["created"] == true {
            let is_new = book.given.insert(name.to_owned());
            return if is_new { Ok(()) } else { Err(format!("the name {name} was given twice")) };
        }
        // A run that was called off before it had a process is none of the history's.
        let has_run = run > 0 && worker["exit"].is_object();
        if kind == "stop" && worker["kind"] == "job" && worker["state"] == "idle" && has_run {
            book.over.insert((instance.to_owned(), name.to_owned(), run));
        }
        Ok(())
    }

    /// Notes the jobs that are up, or soon are, by a snapshot.
    pub fn snapshot<'a>(&self, instance: &str, views: impl IntoIterator<Item = &'a View>) {
        let up = views.into_iter().filter(|view| view.state.is_live() || view.state == State::Backoff);
        lock(&self.0).started.extend(up.map(|view| (instance.to_owned(), view.name.to_string())));
    }

    /// Judges the begin of a run: a job runs again by its policy only where a client of this supervisor has started it.
    pub fn begins(&self, instance: &str, view: &View, actor: &Value) -> Result<(), String> {
        if !fleet::is_job(view.name.as_str()) {
            return Ok(());
        }
        let key = (instance.to_owned(), view.name.to_string());
        let mut book = lock(&self.0);
        if actor["client"].is_string() {
            book.started.insert(key);
        } else if !book.started.contains(&key) {
            return Err(format!("{} runs again by itself under {instance}", view.name));
        }
        Ok(())
    }

    /// Checks at rest what the supervisor tells of all jobs.
    pub fn check(&self, shared: &Shared, instance: &str) -> Result<(), String> {
        let begun = Instant::now();
        let mut why = String::new();
        while begun.elapsed() < USABLE {
            match self.compare(shared, instance) {
                Ok(()) => return Ok(()),
                Err(Lost::Lie(lie)) => return Err(lie),
                Err(Lost::Ended) => why = "no answer".to_owned(),
            }
            shared.breathe();
        }
        Err(format!("the history can't be used for {USABLE:?}: {why}"))
    }

    fn compare(&self, shared: &Shared, instance: &str) -> Result<(), Lost> {
        let mut link = Link::connect_as(&shared.gob.socket(), "cli", ANSWER)?;
        let list = link.ok("list", json!({}), ANSWER)?;
        let jobs: Vec<&Value> = list["workers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|view| view["kind"] == "job" && !lane::is_queued(view))
            .collect();
        let places: BTreeSet<String> =
            jobs.iter().map(|view| format!("{} {}", view["command"], view["cwd"])).collect();
        if places.len() != jobs.len() {
            return Err(Lost::Lie(format!("a command in a directory is more than one job: {jobs:?}")));
        }
        let names = jobs.iter().filter_map(|view| view["name"].as_str());
        let mut now = BTreeMap::new();
        for name in names.filter(|name| fleet::is_job(name)) {
            now.insert(name.to_owned(), runs(&mut link, name)?);
        }
        let mut book = lock(&self.0);
        let removed = std::mem::take(&mut book.removed);
        let over = std::mem::take(&mut book.over);
        let told = std::mem::replace(&mut book.told, now.clone());
        if std::mem::take(&mut book.is_spoilt) {
            let latest = jobs.iter().filter_map(|view| Some((view["name"].as_str()?, view["run"].as_u64()?)));
            book.lost_up_to.extend(latest.map(|(name, run)| (name.to_owned(), run)));
            return Ok(());
        }
        let none = Runs::new();
        for (name, before) in told.iter().filter(|(name, _)| !removed.contains(*name)) {
            let after = now.get(name).unwrap_or(&none);
            let oldest =
                after.len().checked_sub(KEPT).and_then(|_| after.keys().next().copied()).unwrap_or(0);
            let lost = before.iter().find(|(run, at)| **run >= oldest && after.get(run) != Some(at));
            if let Some((run, at)) = lost {
                let then = after.get(run);
                return Err(Lost::Lie(format!(
                    "run {run} of {name}, of {at}, was told, and now there is {then:?}"
                )));
            }
        }
        let missing = over.iter().find(|(of, name, run)| {
            let may_be_lost = book.lost_up_to.get(name).is_some_and(|lost| run <= lost);
            let is_kept = of == instance && fleet::is_job(name) && !removed.contains(name) && !may_be_lost;
            is_kept && now.get(name).is_none_or(|runs| runs.len() < KEPT && !runs.contains_key(run))
        });
        match missing {
            Some((_, name, run)) => {
                Err(Lost::Lie(format!("run {run} of {name} is over, and no run of its history")))
            }
            None => Ok(()),
        }
    }
}

/// Reads all runs of a job. `Ended` stands for a history that can't be used for now.
fn runs(link: &mut Link, name: &str) -> Result<Runs, Lost> {
    let mut all = Runs::new();
    let mut before = None;
    loop {
        let mut payload = json!({"name": name, "limit": 200});
        if let Some(before) = before {
            payload["before"] = json!(before);
        }
        let answer = link.ask("runs", payload, ANSWER)?;
        if answer["success"] != true {
            return Err(Lost::Ended);
        }
        let page = answer["data"]["runs"].as_array().cloned().unwrap_or_default();
        for run in &page {
            let (Some(number), Some(at)) = (run["run"].as_u64(), run["started_at"].as_str()) else {
                return Err(Lost::Lie(format!("{name} has a run without a number or a begin: {run}")));
            };
            if all.insert(number, at.to_owned()).is_some() || before.is_some_and(|before| number >= before) {
                return Err(Lost::Lie(format!("run {number} of {name} is told twice")));
            }
        }
        before = page.last().and_then(|run| run["run"].as_u64());
        if answer["data"]["more"] != true || before.is_none() {
            return Ok(all);
        }
    }
}

//! The jobs of a wait that may get stuck: what is known of their earlier runs, and the looks at their output.

use super::silence::{Limits, Watched};
use crate::config_file;
use crate::context::Context;
use crate::exit::TIMED_OUT;
use crate::failure::Failure;
use crate::history::table::duration;
use crate::text::{escape, now, short_duration};
use gob_client::blocking::Client;
use gob_client::call::{Get, Sent, Stats};
use gob_client::{Name, View};
use gob_config::Jobs;
use std::time::{Duration, Instant};

/// Time between two looks at least.
const PAUSE: Duration = Duration::from_secs(1);
/// Time for the answer about a job.
const ANSWER: Duration = Duration::from_secs(2);
/// The kind of jobs. Workers of graphs may be silent for as long as they like.
const JOB: &str = "job";
/// Runs of a higher number than this may have successful ones before them.
const FIRST: u64 = 1;

/// The jobs that are watched.
pub(super) struct Watch {
    begun: Instant,
    jobs: Vec<Job>,
    /// The limits of the settings, once they were read: most jobs have ended before.
    limits: Option<Limits>,
    /// The earliest time of the next look.
    next: Option<Instant>,
}

struct Job {
    name: Name,
    watched: Watched,
    /// The open request for its statistics.
    asked: Option<Sent<Stats>>,
}

impl Watch {
    /// Watches the jobs of these views, and requests the statistics of those that have run before.
    pub(super) fn new<'v>(
        mut client: Option<&mut Client>,
        views: impl Iterator<Item = &'v View>,
    ) -> Result<Self, Failure> {
        let begun = Instant::now();
        let mut jobs = Vec::new();
        for view in views.filter(|view| *view.kind == *JOB) {
            let name = view.name.clone();
            let client = client.as_mut().filter(|client| view.run > FIRST && client.has_feature("jobs"));
            let asked = client.map(|client| client.send(Stats { name: name.clone() })).transpose()?;
            jobs.push(Job { name, watched: Watched::new(view, Duration::ZERO, now()), asked });
        }
        let next = (!jobs.is_empty()).then(|| begun + PAUSE);
        Ok(Self { begun, jobs, limits: None, next })
    }

    /// Takes the statistics that have come, and tells how long a job is expected to take.
    pub(super) fn take_answers(&mut self, context: &Context, client: Option<&mut Client>) {
        let Some(client) = client else {
            // No answer comes from a connection that has ended.
            self.jobs.iter_mut().for_each(|job| job.asked = None);
            return;
        };
        let mut has_news = false;
        for job in &mut self.jobs {
            let Some(sent) = job.asked else { continue };
            let stats = match client.arrived_answer(sent) {
                Ok(None) => continue,
                Ok(Some(reply)) => reply.read().ok(),
                // A history that can't be read is none.
                Err(_) => None,
            };
            job.asked = None;
            has_news = true;
            let Some(stats) = stats else { continue };
            job.watched.mean = stats.by_outcome.success.mean_ms.map(Duration::from_millis);
            if let Some(text) = expected(&job.name, &stats).filter(|_| !context.json) {
                context.note(&text);
            }
        }
        if has_news {
            self.plan();
        }
    }

    /// Returns the time of the next look.
    pub(super) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Looks at the jobs that have not ended, when it is time. Fails when all of them seem stuck.
    pub(super) fn look(
        &mut self,
        context: &Context,
        left: &[Name],
        client: Option<&mut Client>,
    ) -> Result<(), Failure> {
        self.jobs.retain(|job| left.contains(&job.name));
        if self.next.is_none_or(|at| Instant::now() < at) {
            return Ok(());
        }
        let Some(limits) = self.limits else {
            self.limits = Some(limits_of(context));
            self.plan();
            return Ok(());
        };
        // Beside a worker that may be silent there is nothing to leave.
        let Some(client) = client.filter(|_| self.jobs.len() == left.len()) else {
            self.next = Some(Instant::now() + PAUSE);
            return Ok(());
        };
        for job in &mut self.jobs {
            // A worker that is not there, or a supervisor that has gone, is noticed by its event.
            let reply = client.call(Get { name: job.name.clone() }, ANSWER);
            if let Ok(data) = reply.and_then(|reply| reply.read()) {
                job.watched.take(&data.worker, self.begun.elapsed(), now());
            }
        }
        self.plan();
        let at = self.begun.elapsed();
        let is_stuck = |job: &Job| job.watched.left_at(at, limits).is_zero();
        if !left.is_empty() && self.jobs.iter().all(is_stuck) { Err(self.stuck(left, at)) } else { Ok(()) }
    }

    /// Sets the time of the next look: when all of the jobs may seem stuck.
    fn plan(&mut self) {
        let Some(limits) = self.limits else { return };
        let at = self.begun.elapsed();
        let left = self.jobs.iter().map(|job| job.watched.left_at(at, limits)).max();
        self.next = left.map(|left| Instant::now() + left.max(PAUSE));
    }

    fn stuck(&self, left: &[Name], at: Duration) -> Failure {
        let (names, arguments) = (super::listed(left), super::arguments(left));
        let (seem, go) = if left.len() == 1 { ("seems", "goes") } else { ("seem", "go") };
        let causes: Vec<String> = self.jobs.iter().map(|job| sign(&job.name, &job.watched, at)).collect();
        let failure = Failure::own("job-stuck", TIMED_OUT, format!("{names} {seem} stuck, and {go} on"));
        failure.cause(causes.join("\n")).hint(format!(
            "see why: gobctl logs {arguments}; wait on: gobctl wait {arguments}; end it: gobctl stop {arguments}"
        ))
    }
}

/// Returns the limits as the configuration has them.
fn limits_of(context: &Context) -> Limits {
    let read = |dirs| config_file::read(&dirs).0.jobs;
    context.dirs().map_or_else(|_| Jobs::default(), read).into()
}

/// Returns the reason why a job seems stuck.
fn sign(name: &Name, watched: &Watched, at: Duration) -> String {
    let [silent, age] = [watched.silent_at(at), watched.age_at(at)].map(short_duration);
    let rule = watched.mean.map_or_else(
        || "no run of it has succeeded before".to_owned(),
        |mean| format!("{} is the mean of its runs", short_duration(mean)),
    );
    format!("{}: no output for {silent}; it runs for {age}, and {rule}", escape(name.as_str()))
}

/// Returns how long a job is expected to take, if that is known.
pub(crate) fn expected(name: &Name, stats: &gob_client::protocol::Stats) -> Option<String> {
    let ms = stats.expected_ms?;
    Some(format!("{} is expected to take {}", escape(name.as_str()), duration(ms)))
}

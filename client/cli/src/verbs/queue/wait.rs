//! `gobctl queue wait ID…`: waits until jobs have ended, and exits with the first code that is not 0.

use super::watch::EVENTS;
use super::{connect, ids_arg};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::names;
use crate::ending::code_of_exit;
use crate::failure::Failure;
use crate::goes_on::GoesOn;
use crate::holding::went_away;
use crate::progress::Progress;
use crate::stream::{End, Stream, Told};
use crate::text::{escape, took};
use crate::verbs::wait::fail;
use crate::verbs::{Effect, Verb, timeout};
use crate::{out, queue};
use clap::ArgMatches;
use gob_client::Name;
use gob_client::call::QueueGet;
use gob_client::protocol::Event;
use gob_client::protocol::queue::{QueueJob, QueueStatus};
use gob_client::protocol::request::Subscribe;
use serde::Serialize;
use std::time::{Duration, Instant};

pub(crate) const VERB: Verb = Verb {
    path: &["queue", "wait"],
    effect: Effect::Reads,
    about: "Wait until jobs have ended, and exit with their code; 1 for a cancelled one",
    examples: "Examples:\n  gobctl queue wait j7 && gobctl queue logs j7\n  gobctl queue wait j7 j8 --timeout 10m\n",
    command: |command| command.arg(ids_arg()),
    timeout: timeout::END_OF_WORK,
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

/// Exit code of a job that has failed or was cancelled, and has no code of its own.
const FAILED: u8 = 1;
/// Time between attempts to get at the jobs of a supervisor that has just come.
const RETRY: Duration = Duration::from_millis(200);

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let mut progress = Progress::new(context, "waiting".to_owned());
    let mut waiting = Waiting { context, jobs: Vec::new(), ids: names(matches) };
    let awaited = waiting.until_ended(&mut progress);
    progress.clear();
    match awaited {
        Ok(()) => tell_all(context, &waiting.jobs),
        Err(failure) => fail(context, failure),
    }
}

/// The jobs that are waited for, as they were last seen.
struct Waiting<'a> {
    context: &'a Context,
    ids: Vec<Name>,
    /// In the order of the ids, once they are known.
    jobs: Vec<QueueJob>,
}

impl Waiting<'_> {
    fn until_ended(&mut self, progress: &mut Progress) -> Result<(), Failure> {
        let (begun, end) = (Instant::now(), End::of(self.context.timeout));
        let wanted = Subscribe {
            names: Some(self.ids.clone()),
            events: Some(EVENTS.to_vec()),
            ..Subscribe::default()
        };
        // Before the subscription, which an older supervisor would not understand.
        drop(connect(self.context, "queue_get")?);
        let mut stream = Stream::open(self.context, "queue wait", wanted)?;
        let mut is_known = false;
        // An interrupt before the jobs are known tells nothing: there may be none of these ids.
        let mut goes_on: Option<GoesOn> = None;
        loop {
            let tick = if is_known { Progress::EVERY } else { RETRY };
            match stream.next(Some(tick)) {
                Ok(Told::Subscribed(_)) => is_known = self.get()?,
                Ok(Told::Frame(line)) => is_known &= self.hear(&line),
                Ok(Told::Nothing) if !is_known && !stream.is_lost() => is_known = self.get()?,
                Ok(Told::Nothing) => {}
                Err(_) if end.at().is_some_and(|at| Instant::now() >= at) => return Err(self.too_late()),
                Err(failure) => return Err(failure),
            }
            if is_known && self.jobs.iter().all(|job| job.status.is_end()) {
                return Ok(());
            }
            if is_known {
                let goes_on = goes_on.get_or_insert_with(|| GoesOn::of_jobs(self.context, self.ids.clone()));
                let ended = self.jobs.iter().filter(|job| job.status.is_end());
                ended.for_each(|job| goes_on.done(&job.id));
            }
            progress.show_with(begun.elapsed(), || Some(self.states()));
        }
    }

    /// Requests all jobs that have not ended; false where the supervisor is on its way out.
    fn get(&mut self) -> Result<bool, Failure> {
        let context = self.context.without_autostart();
        let mut all = Vec::new();
        let mut client = match connect(&context, "queue_get") {
            Ok(client) => client,
            Err(failure) if failure.exit_code() == 7 => return Ok(false),
            Err(failure) => return Err(failure),
        };
        for id in &self.ids {
            if let Some(ended) = self.jobs.iter().find(|job| job.id == *id && job.status.is_end()) {
                all.push(ended.clone());
                continue;
            }
            match context.call(&mut client, QueueGet { job_id: id.clone() }) {
                Ok(reply) => all.push(reply.read()?.job),
                Err(error) if went_away(&error) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        self.jobs = all;
        Ok(true)
    }

    /// Takes in an event; false where that tells of lost ones.
    fn hear(&mut self, line: &str) -> bool {
        let Ok(Event { job: Some(news), .. }) = serde_json::from_str::<Event>(line) else { return false };
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == news.id && !job.status.is_end()) {
            *job = *news;
        }
        true
    }

    /// Returns the jobs that have not ended, in words.
    fn states(&self) -> String {
        let left = self.jobs.iter().filter(|job| !job.status.is_end());
        left.map(|job| format!("{} {}", escape(job.id.as_str()), job.status)).collect::<Vec<_>>().join(", ")
    }

    fn too_late(&self) -> Failure {
        let left =
            self.ids.iter().filter(|id| !self.jobs.iter().any(|job| job.id == **id && job.status.is_end()));
        let left: Vec<&str> = left.map(Name::as_str).collect();
        let after = took(self.context.timeout.unwrap_or_default());
        let has = if left.len() == 1 { "has" } else { "have" };
        let message = format!("{} {has} not ended after {after}", left.join(", "));
        let ids = left.join(" ");
        Failure::own("client-timeout", 124, message)
            .hint(format!("wait on: gobctl queue wait {ids}; or end it: gobctl queue cancel {ids}"))
    }
}

/// Prints how each job has ended, and returns the first code that is not 0.
fn tell_all(context: &Context, jobs: &[QueueJob]) -> Result<u8, Failure> {
    let results: Vec<Of<'_>> =
        jobs.iter().map(|job| Of { name: &job.id, data: Ended { job, exit_code: code_of(job) } }).collect();
    match results.as_slice() {
        all if !context.json => all.iter().for_each(|of| context.note(&queue::summary(of.data.job))),
        [Of { data, .. }] => out::print(&format!("{}\n", serde_json::to_string(data).unwrap_or_default()))?,
        all => {
            let text = serde_json::to_string(&Results { results: all }).unwrap_or_default();
            out::print(&format!("{text}\n"))?;
        }
    }
    Ok(results.iter().map(|of| of.data.exit_code).find(|code| *code != 0).unwrap_or_default())
}

/// Returns the exit code that stands for the end of a job.
fn code_of(job: &QueueJob) -> u8 {
    match job.status {
        QueueStatus::Completed => 0,
        QueueStatus::Failed => {
            job.exit.as_ref().map(code_of_exit).filter(|code| *code != 0).unwrap_or(FAILED)
        }
        QueueStatus::Pending | QueueStatus::Running | QueueStatus::Cancelled => FAILED,
    }
}

/// The end of a job, for programs.
#[derive(Serialize)]
struct Ended<'a> {
    job: &'a QueueJob,
    exit_code: u8,
}

/// The results of several jobs.
#[derive(Serialize)]
struct Results<'a> {
    results: &'a [Of<'a>],
}

#[derive(Serialize)]
struct Of<'a> {
    name: &'a Name,
    data: Ended<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn job(status: &str, exit: Value) -> QueueJob {
        let golden = include_str!("../../../../../protocol/golden/response-queue_get.jsonl");
        let mut answer: Value = serde_json::from_str(golden.lines().next().unwrap()).unwrap();
        let job = &mut answer["data"]["job"];
        job["status"] = json!(status);
        job["exit"] = exit;
        serde_json::from_value(job.clone()).unwrap()
    }

    #[test]
    fn a_failed_job_has_the_code_of_its_process_and_a_cancelled_one_has_1() {
        let cases = [
            ("completed", json!({"code": 0}), 0),
            ("completed", json!(null), 0),
            ("failed", json!({"code": 7}), 7),
            ("failed", json!({"signal": "SIGKILL", "core_dumped": false}), 137),
            ("failed", json!({"spawn_error": "ENOENT"}), 127),
            ("failed", json!(null), 1),
            ("cancelled", json!({"signal": "SIGTERM", "core_dumped": false}), 1),
        ];
        for (status, exit, code) in cases {
            assert_eq!(code_of(&job(status, exit.clone())), code, "{status} {exit}");
        }
    }

    #[test]
    fn a_job_that_has_ended_stays_so_whatever_is_told_later() {
        let context = crate::args::parse(vec!["gobctl".into()], None).unwrap().context;
        let ended = job("completed", json!(null));
        let mut waiting = Waiting { context: &context, ids: vec![ended.id.clone()], jobs: vec![ended] };
        let golden = include_str!("../../../../../protocol/golden/event-queue_job_recovered.jsonl");
        assert!(waiting.hear(golden.trim()));
        assert_eq!(waiting.jobs[0].status, QueueStatus::Completed);
        assert!(!waiting.hear(r#"{"event":"lagged","dropped":3}"#), "the jobs are requested again");
    }
}

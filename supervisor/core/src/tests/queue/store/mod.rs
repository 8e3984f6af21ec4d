//! A store of the queue as its questions describe it, in memory. The real store is compared with it question by question, in
//! gob-store's `tests/queue/model.rs`, so that the histories of the core are histories of the real one, too.

mod lanes;
mod schedules;

use gob_protocol::queue::{
    Beat, Claim, Claimant, Ending, LaneName, Listed, NewJob, QueueAsk, QueueEnd, QueueJob, QueueRefusal,
    QueueStatus, QueueTold, Schedule, ScheduleName, Settled,
};
use gob_protocol::{Exit, Name, Timestamp};
use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

#[derive(Debug, Clone)]
pub(in crate::tests) struct Row {
    pub(in crate::tests) job: QueueJob,
    /// The life of the supervisor and the claimant that hold it.
    pub(in crate::tests) held: Option<(u64, Claimant)>,
}

#[derive(Debug, Clone, Default)]
pub(in crate::tests) struct Store {
    pub(in crate::tests) life: u64,
    pub(in crate::tests) rows: BTreeMap<u64, Row>,
    pub(in crate::tests) lanes: BTreeMap<LaneName, (u32, bool)>,
    /// Each with the attempts of its jobs.
    pub(in crate::tests) schedules: BTreeMap<ScheduleName, (Schedule, u32)>,
}

type Told = Result<QueueTold, QueueRefusal>;

impl Store {
    pub(in crate::tests) fn job(&self, id: &str) -> QueueJob {
        let number = Name::any(id).unwrap().number().unwrap();
        self.rows[&number].job.clone()
    }

    pub(in crate::tests) fn answer(&mut self, ask: &QueueAsk, now: Timestamp) -> QueueTold {
        self.told(ask, now).unwrap_or_else(QueueTold::Refused)
    }

    fn told(&mut self, ask: &QueueAsk, now: Timestamp) -> Told {
        Ok(match ask {
            QueueAsk::Add(new) => return self.add(new, None, now),
            QueueAsk::Claim { lane, by } => self.claim(lane, by, now),
            QueueAsk::Heartbeat(beats) => self.hear(beats),
            QueueAsk::Finish(ending) => return self.finish(ending, now),
            QueueAsk::GiveBack { id, attempt } => {
                return self.end(id, Some(*attempt), None, |job| {
                    (job.status, job.attempts, job.worker) = (QueueStatus::Pending, job.attempts - 1, None);
                });
            }
            QueueAsk::Stale { id, attempt, error, retry_at } => {
                let fails = |job: &mut QueueJob| fail(job, error, None, *retry_at, now);
                return self.end(id, Some(*attempt), None, fails);
            }
            QueueAsk::Cancel { id, reason } => return self.cancel(id, reason, now),
            QueueAsk::Retry { id, .. } => return self.retry(id, now),
            QueueAsk::Get { id } => QueueTold::Job(Box::new(self.found(id)?.job.clone())),
            QueueAsk::List { .. } => {
                let jobs = self.rows.values().map(|row| row.job.clone()).collect();
                QueueTold::Listed(Box::new(Listed { jobs, ..Listed::default() }))
            }
            QueueAsk::Lane { lane } => QueueTold::Lane(self.lane(lane)),
            QueueAsk::Pause { lane } => self.change(lane, |lane| lane.1 = true),
            QueueAsk::Resume { lane } => self.change(lane, |lane| lane.1 = false),
            QueueAsk::Width { lane, width } => self.change(lane, |lane| lane.0 = *width),
            QueueAsk::Clear { lane, owners, reason } => self.clear(lane, owners, reason, now),
            QueueAsk::Lanes => QueueTold::Lanes(self.all_lanes()),
            QueueAsk::Recover { except, error, retry_at } => self.recover(except, error, *retry_at, now),
            QueueAsk::ScheduleAdd(new) => return self.add_schedule(new, now),
            QueueAsk::ScheduleList { lane } => self.list_schedules(lane.as_ref()),
            QueueAsk::ScheduleRemove { name } => return self.remove_schedule(name),
            QueueAsk::ScheduleDue { ids } => self.fire(ids, now),
            QueueAsk::Unfinished => {
                let count = self.rows.values().filter(|row| !row.job.status.is_end()).count();
                QueueTold::Unfinished((count + self.schedules.len()) as u64)
            }
            QueueAsk::DeleteAll => {
                let count = self.rows.len() as u64;
                *self = Self { life: self.life, ..Self::default() };
                QueueTold::Deleted(count)
            }
        })
    }

    fn found(&mut self, id: &Name) -> Result<&mut Row, QueueRefusal> {
        let row = id.number().and_then(|number| self.rows.get_mut(&number));
        row.ok_or_else(|| QueueRefusal::NoJob(id.clone()))
    }

    fn status(&self, id: &Name) -> Option<QueueStatus> {
        self.rows.get(&id.number()?).map(|row| row.job.status)
    }

    /// The job of a key that waits or runs.
    fn with_key(&self, key: Option<&String>) -> Option<&QueueJob> {
        let jobs = self.rows.values().map(|row| &row.job);
        jobs.filter(|job| !job.status.is_end()).find(|job| key.is_some() && job.dedupe.as_ref() == key)
    }

    /// Refuses a job to which one of those before it is an obstacle: it has failed, or is unknown.
    fn may_follow(&self, before: &[Name]) -> Result<(), QueueRefusal> {
        for id in before {
            if let Some(status @ (QueueStatus::Failed | QueueStatus::Cancelled)) = self.status(id) {
                return Err(QueueRefusal::AfterEnded { id: id.clone(), status });
            }
        }
        let unknown: Vec<Name> = before.iter().filter(|id| self.status(id).is_none()).cloned().collect();
        if unknown.is_empty() { Ok(()) } else { Err(QueueRefusal::UnknownJobs(unknown)) }
    }

    fn add(&mut self, new: &NewJob, schedule: Option<&ScheduleName>, now: Timestamp) -> Told {
        if let Some(same) = self.with_key(new.dedupe.as_ref()) {
            return Ok(QueueTold::Added { job: Box::new(same.clone()), is_new: false });
        }
        let before: BTreeSet<u64> = new.after.iter().filter_map(Name::number).collect();
        let after: Vec<Name> = before.into_iter().map(Name::numbered).collect();
        self.may_follow(&after)?;
        let job = QueueJob {
            id: new.id.clone(),
            lane: new.lane.clone(),
            command: new.command.clone(),
            cwd: new.cwd.clone(),
            status: QueueStatus::Pending,
            attempt: 0,
            attempts: 0,
            max_attempts: new.max_attempts,
            priority: new.priority,
            run_at: new.run_at,
            after,
            locked_by: None,
            locked_at: None,
            heartbeat_at: None,
            error: None,
            created_at: now,
            started_at: None,
            finished_at: None,
            owner: new.owner.clone(),
            worker: None,
            exit: None,
            dedupe: new.dedupe.clone(),
            schedule: schedule.cloned(),
            description: new.description.clone(),
        };
        let before = self.rows.insert(new.id.number().unwrap(), Row { job: job.clone(), held: None });
        assert!(before.is_none(), "{} is given twice", new.id);
        self.lane(&new.lane);
        Ok(QueueTold::Added { job: Box::new(job), is_new: true })
    }

    fn may_run(&self, job: &QueueJob) -> bool {
        let is_done = |id: &Name| self.status(id) == Some(QueueStatus::Completed);
        job.status == QueueStatus::Pending && job.after.iter().all(is_done)
    }

    fn due(&self, lane: &LaneName) -> Option<Timestamp> {
        let jobs = self.rows.values().map(|row| &row.job);
        jobs.filter(|job| job.lane == *lane && self.may_run(job)).map(|job| job.run_at).min()
    }

    fn claim(&mut self, lane: &LaneName, by: &Claimant, now: Timestamp) -> QueueTold {
        let is_paused = self.lanes.get(lane).is_none_or(|lane| lane.1);
        let jobs = self.rows.values().map(|row| &row.job).filter(|_| !is_paused);
        let mut ready: Vec<_> =
            jobs.filter(|job| job.lane == *lane && job.run_at <= now && self.may_run(job)).collect();
        ready.sort_by_key(|job| (-job.priority, job.run_at, job.id.number()));
        let next = ready.first().map(|job| job.id.clone());
        let life = self.life;
        let claim = next.and_then(|id| {
            let row = self.found(&id).ok()?;
            row.held = Some((life, by.clone()));
            let job = &mut row.job;
            job.status = QueueStatus::Running;
            job.attempt += 1;
            job.attempts += 1;
            (job.locked_by, job.exit) = (Some(by.as_str().to_string()), None);
            (job.locked_at, job.heartbeat_at, job.started_at) = (Some(now), Some(now), Some(now));
            job.worker = matches!(by, Claimant::Supervisor(_)).then(|| id.clone());
            Some(Box::new(Claim { job: job.clone(), env: None, umask: None }))
        });
        QueueTold::Claimed { claim, due: self.due(lane) }
    }

    /// A claim of this life.
    fn held(
        &mut self,
        id: &Name,
        attempt: Option<u32>,
        by: Option<&Claimant>,
    ) -> Result<&mut Row, QueueRefusal> {
        let life = self.life;
        let row = self.found(id)?;
        let is_its = |claimant: &Claimant| match by {
            Some(Claimant::Supervisor(_)) => matches!(claimant, Claimant::Supervisor(_)),
            Some(Claimant::Outside(_)) => by == Some(claimant),
            None => true,
        };
        let is_held = row.held.as_ref().is_some_and(|(of, claimant)| *of == life && is_its(claimant));
        if is_held && attempt.is_none_or(|attempt| attempt == row.job.attempt) {
            Ok(row)
        } else {
            Err(QueueRefusal::NotClaimed(id.clone()))
        }
    }

    fn hear(&mut self, beats: &[Beat]) -> QueueTold {
        let mut gone = Vec::new();
        for beat in beats {
            match self.held(&beat.id, beat.attempt, Some(&beat.by)) {
                Ok(row) if row.job.status == QueueStatus::Running => {
                    row.job.heartbeat_at = row.job.heartbeat_at.max(Some(beat.at));
                }
                Ok(_) | Err(_) => gone.push(beat.id.clone()),
            }
        }
        QueueTold::Heard { gone }
    }

    fn end(
        &mut self,
        id: &Name,
        attempt: Option<u32>,
        by: Option<&Claimant>,
        change: impl FnOnce(&mut QueueJob),
    ) -> Told {
        let row = self.held(id, attempt, by)?;
        row.held = None;
        let was_running = row.job.status == QueueStatus::Running;
        if was_running {
            change(&mut row.job);
        }
        unlock(&mut row.job);
        let job = row.job.clone();
        Ok(if was_running { self.settled(job) } else { settled(job, Vec::new(), Vec::new()) })
    }

    fn finish(&mut self, ending: &Ending, now: Timestamp) -> Told {
        let exit = ending.exit.as_ref();
        let row = self.held(&ending.id, ending.attempt, Some(&ending.by))?;
        row.job.exit = exit.cloned().or_else(|| row.job.exit.take());
        self.end(&ending.id, ending.attempt, Some(&ending.by), |job| {
            let mut over = |status, error| {
                (job.status, job.error, job.finished_at) = (status, error, Some(now));
            };
            match &ending.end {
                QueueEnd::Completed => over(QueueStatus::Completed, None),
                QueueEnd::Failed { error, retry_at } => fail(job, error, exit, *retry_at, now),
                QueueEnd::Cancelled { reason } => over(QueueStatus::Cancelled, Some(reason.clone())),
            }
        })
    }

    /// Answers with a job, and with what follows from its end for others.
    fn settled(&mut self, job: QueueJob) -> QueueTold {
        let freed = |row: &&Row| row.job.after.contains(&job.id) && self.may_run(&row.job);
        let lanes = match job.status {
            QueueStatus::Completed => {
                self.rows.values().filter(freed).map(|row| row.job.lane.clone()).collect()
            }
            _other => Vec::new(),
        };
        let failed = self.cascade(&job);
        settled(job, lanes, failed)
    }

    /// Fails all that comes after a job that has failed.
    fn cascade(&mut self, job: &QueueJob) -> Vec<QueueJob> {
        if !matches!(job.status, QueueStatus::Failed | QueueStatus::Cancelled) {
            return Vec::new();
        }
        let at = job.finished_at;
        let mut all = Vec::new();
        let mut ended = std::vec![(job.id.clone(), job.status)];
        while let Some((id, status)) = ended.pop() {
            let was = if status == QueueStatus::Cancelled { "was cancelled" } else { "failed" };
            for row in self.rows.values_mut().rev() {
                if row.job.status == QueueStatus::Pending && row.job.after.contains(&id) {
                    (row.job.status, row.job.finished_at) = (QueueStatus::Failed, at);
                    row.job.error = Some(format!("it comes after {id}, which {was}"));
                    ended.push((row.job.id.clone(), QueueStatus::Failed));
                    all.push(row.job.clone());
                }
            }
        }
        all
    }

    fn cancel(&mut self, id: &Name, reason: &str, now: Timestamp) -> Told {
        let row = self.found(id)?;
        if row.job.status.is_end() {
            return Err(QueueRefusal::Ended { id: id.clone(), status: row.job.status });
        }
        (row.job.status, row.job.error) = (QueueStatus::Cancelled, Some(reason.to_string()));
        row.job.finished_at = Some(now);
        unlock(&mut row.job);
        let job = row.job.clone();
        Ok(self.settled(job))
    }

    fn retry(&mut self, id: &Name, now: Timestamp) -> Told {
        let row = self.found(id)?;
        let (status, key, after) = (row.job.status, row.job.dedupe.clone(), row.job.after.clone());
        match status {
            QueueStatus::Completed => return Err(QueueRefusal::Ended { id: id.clone(), status }),
            QueueStatus::Failed | QueueStatus::Cancelled if row.held.is_none() => {}
            _other => return Err(QueueRefusal::NotEnded { id: id.clone(), status }),
        }
        if let Some(other) = self.with_key(key.as_ref()) {
            return Err(QueueRefusal::SameKey { id: other.id.clone(), status: other.status });
        }
        self.may_follow(&after)?;
        let job = &mut self.found(id)?.job;
        (job.status, job.attempts, job.run_at) = (QueueStatus::Pending, 0, now);
        (job.error, job.exit, job.worker, job.started_at, job.finished_at) = (None, None, None, None, None);
        let job = job.clone();
        Ok(self.settled(job))
    }

    fn recover(&mut self, except: &[Name], error: &str, retry_at: Timestamp, now: Timestamp) -> QueueTold {
        let life = self.life;
        let (mut jobs, mut outside, mut count) = (Vec::new(), Vec::new(), 0);
        for row in self.rows.values_mut() {
            match &mut row.held {
                Some((of, Claimant::Supervisor(_))) if *of != life && !except.contains(&row.job.id) => {
                    row.held = None;
                    count += 1;
                    if row.job.status == QueueStatus::Running {
                        fail(&mut row.job, error, None, retry_at, now);
                        unlock(&mut row.job);
                        jobs.push(row.job.clone());
                    }
                }
                Some((of, Claimant::Outside(worker))) if *of != life => {
                    *of = life;
                    if row.job.status == QueueStatus::Running {
                        row.job.heartbeat_at = row.job.heartbeat_at.max(Some(now));
                    }
                    // The claimant of one that was cancelled is named here only.
                    outside.push(QueueJob { locked_by: Some(worker.clone()), ..row.job.clone() });
                }
                Some(_) | None => {}
            }
        }
        for job in jobs.clone() {
            jobs.extend(self.cascade(&job));
        }
        let next_at = self.next_schedule();
        QueueTold::Recovered { count, jobs, outside, lanes: self.all_lanes(), next_at }
    }
}

fn settled(job: QueueJob, mut lanes: Vec<LaneName>, failed: Vec<QueueJob>) -> QueueTold {
    lanes.push(job.lane.clone());
    lanes.sort();
    lanes.dedup();
    QueueTold::Settled(Box::new(Settled { job, lanes, failed, unnamed: 0 }))
}

/// A job that does not run names no claimant.
fn unlock(job: &mut QueueJob) {
    (job.locked_by, job.locked_at, job.heartbeat_at) = (None, None, None);
}

fn fail(job: &mut QueueJob, error: &str, exit: Option<&Exit>, retry_at: Timestamp, now: Timestamp) {
    job.error = Some(String::from(error));
    job.exit = exit.cloned().or_else(|| job.exit.take());
    if job.attempts >= job.max_attempts {
        (job.status, job.finished_at) = (QueueStatus::Failed, Some(now));
    } else {
        (job.status, job.run_at) = (QueueStatus::Pending, retry_at);
    }
}

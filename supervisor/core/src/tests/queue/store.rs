//! A store of the queue as its questions describe it, in memory.

use gob_protocol::queue::{
    Claim, Claimant, Due, Ending, Fired, Lane, LaneName, LaneState, Listed, NewJob, NewSchedule, QueueAsk,
    QueueCounts, QueueEnd, QueueJob, QueueRefusal, QueueStatus, QueueTold, Schedule, Settled,
};
use gob_protocol::{Name, Timestamp};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) job: QueueJob,
    /// The life of the supervisor and the claimant that hold it.
    pub(super) held: Option<(u64, Claimant)>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    pub(super) life: u64,
    pub(super) rows: BTreeMap<u64, Row>,
    pub(super) lanes: BTreeMap<LaneName, (u32, bool)>,
    pub(super) schedules: Vec<Schedule>,
}

impl Store {
    pub(super) fn job(&self, id: &str) -> QueueJob {
        let number = Name::any(id).unwrap().number().unwrap();
        self.rows[&number].job.clone()
    }

    pub(super) fn answer(&mut self, ask: &QueueAsk, now: Timestamp) -> QueueTold {
        match ask {
            QueueAsk::Add(new) => self.add(new, now),
            QueueAsk::Claim { lane, by } => self.claim(lane, by, now),
            QueueAsk::Heartbeat(_) => QueueTold::Heard { gone: Vec::new() },
            QueueAsk::Finish(ending) => self.finish(ending, now),
            QueueAsk::GiveBack { id, attempt } => self.end(id, Some(*attempt), None, |job| {
                (job.status, job.attempts) = (QueueStatus::Pending, job.attempts - 1);
            }),
            QueueAsk::Stale { id, attempt, error, retry_at } => {
                let fails = |job: &mut QueueJob| fail(job, error, *retry_at, now);
                self.end(id, Some(*attempt), None, fails)
            }
            QueueAsk::Cancel { id, reason } => self.cancel(id, reason, now),
            QueueAsk::Retry { id, .. } if self.is_in_vain(id) => {
                QueueTold::Refused(QueueRefusal::Ended { id: id.clone(), status: QueueStatus::Failed })
            }
            QueueAsk::Retry { id, .. } => match self.row(id) {
                None => QueueTold::Refused(QueueRefusal::NoJob(id.clone())),
                Some(row) if !row.job.status.is_end() || row.held.is_some() => {
                    QueueTold::Refused(QueueRefusal::NotEnded { id: id.clone(), status: row.job.status })
                }
                Some(row) => {
                    let job = &mut row.job;
                    (job.status, job.attempts, job.run_at) = (QueueStatus::Pending, 0, now);
                    let job = job.clone();
                    self.settled(job, Vec::new())
                }
            },
            QueueAsk::Get { id } => match self.row(id) {
                None => QueueTold::Refused(QueueRefusal::NoJob(id.clone())),
                Some(row) => QueueTold::Job(Box::new(row.job.clone())),
            },
            QueueAsk::List { .. } => {
                let jobs = self.rows.values().map(|row| row.job.clone()).collect();
                QueueTold::Listed(Box::new(Listed { jobs, ..Listed::default() }))
            }
            QueueAsk::Lane { lane } => QueueTold::Lane(self.lane(lane)),
            QueueAsk::Pause { lane } | QueueAsk::Resume { lane } => {
                self.lanes.entry(lane.clone()).or_insert((1, false)).1 =
                    matches!(ask, QueueAsk::Pause { .. });
                QueueTold::Lane(self.lane(lane))
            }
            QueueAsk::Width { lane, width } => {
                self.lanes.entry(lane.clone()).or_insert((1, false)).0 = *width;
                QueueTold::Lane(self.lane(lane))
            }
            QueueAsk::Clear { lane, owners, reason } => self.clear(lane, owners, reason, now),
            QueueAsk::Lanes => QueueTold::Lanes(self.all_lanes()),
            QueueAsk::Recover { error, retry_at, .. } => self.recover(error, *retry_at, now),
            QueueAsk::ScheduleAdd(new) => self.add_schedule(new, now),
            QueueAsk::ScheduleList { .. } => QueueTold::Schedules(self.schedules.clone()),
            QueueAsk::ScheduleRemove { name } => {
                let at = self.schedules.iter().position(|schedule| schedule.name == *name);
                match at {
                    Some(at) => QueueTold::Schedule(Box::new(self.schedules.remove(at))),
                    None => QueueTold::Refused(QueueRefusal::NoSchedule(name.clone())),
                }
            }
            QueueAsk::ScheduleDue { ids } => self.fire(ids, now),
            QueueAsk::Unfinished => {
                let count = self.rows.values().filter(|row| !row.job.status.is_end()).count();
                QueueTold::Unfinished(count as u64)
            }
            QueueAsk::DeleteAll => QueueTold::Deleted(0),
        }
    }

    fn add_schedule(&mut self, new: &NewSchedule, now: Timestamp) -> QueueTold {
        let every = i64::try_from(new.interval_ms.unwrap_or(1_000)).unwrap();
        let schedule = Schedule {
            name: new.name.clone().unwrap_or_else(|| new.lane.schedule(1)),
            lane: new.lane.clone(),
            owner: new.owner.clone(),
            command: new.command.clone(),
            cwd: new.cwd.clone(),
            cron: None,
            interval_ms: new.interval_ms,
            timezone: None,
            next_at: Some(Timestamp(now.0 + every)),
            last_at: None,
            last_job: None,
        };
        self.schedules.push(schedule.clone());
        QueueTold::Schedule(Box::new(schedule))
    }

    fn row(&mut self, id: &Name) -> Option<&mut Row> {
        self.rows.get_mut(&id.number()?)
    }

    /// A job that it comes after has failed.
    fn is_in_vain(&mut self, id: &Name) -> bool {
        let after = self.row(id).map(|row| row.job.after.clone()).unwrap_or_default();
        let over = |row: &Row| row.job.status.is_end() && row.job.status != QueueStatus::Completed;
        after.iter().any(|id| self.row(id).is_some_and(|row| over(row)))
    }

    fn add(&mut self, new: &NewJob, now: Timestamp) -> QueueTold {
        let same = self.rows.values().find(|row| row.job.dedupe.is_some() && row.job.dedupe == new.dedupe);
        if let Some(row) = same.filter(|row| !row.job.status.is_end()) {
            return QueueTold::Added { job: Box::new(row.job.clone()), is_new: false };
        }
        if let Some(id) = new.after.iter().find(|id| self.row(id).is_none()) {
            return QueueTold::Refused(QueueRefusal::UnknownJobs(std::vec![id.clone()]));
        }
        let over = |row: &Row| row.job.status.is_end() && row.job.status != QueueStatus::Completed;
        if let Some(id) = new.after.iter().find(|id| self.row(id).is_some_and(|row| over(row))) {
            return QueueTold::Refused(QueueRefusal::Ended { id: id.clone(), status: QueueStatus::Failed });
        }
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
            after: new.after.clone(),
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
            schedule: None,
            description: None,
        };
        let before = self.rows.insert(new.id.number().unwrap(), Row { job: job.clone(), held: None });
        assert!(before.is_none(), "{} is given twice", new.id);
        self.lanes.entry(new.lane.clone()).or_insert((1, false));
        QueueTold::Added { job: Box::new(job), is_new: true }
    }

    fn may_run(&self, job: &QueueJob) -> bool {
        let is_done = |id: &Name| self.rows[&id.number().unwrap()].job.status == QueueStatus::Completed;
        job.status == QueueStatus::Pending && job.after.iter().all(is_done)
    }

    fn due(&self, lane: &LaneName) -> Option<Timestamp> {
        let jobs = self.rows.values().map(|row| &row.job);
        jobs.filter(|job| job.lane == *lane && self.may_run(job)).map(|job| job.run_at).min()
    }

    fn claim(&mut self, lane: &LaneName, by: &Claimant, now: Timestamp) -> QueueTold {
        let jobs = self.rows.values().map(|row| &row.job);
        let mut ready: Vec<_> =
            jobs.filter(|job| job.lane == *lane && job.run_at <= now && self.may_run(job)).collect();
        ready.sort_by_key(|job| (-job.priority, job.run_at, job.id.number()));
        let next = ready.first().map(|job| job.id.clone());
        let life = self.life;
        let claim = next.and_then(|id| {
            let row = self.row(&id)?;
            row.held = Some((life, by.clone()));
            let job = &mut row.job;
            job.status = QueueStatus::Running;
            job.attempt += 1;
            job.attempts += 1;
            job.locked_by = Some(by.as_str().to_string());
            job.worker = matches!(by, Claimant::Supervisor(_)).then(|| id.clone());
            Some(Box::new(Claim { job: job.clone(), env: None, umask: None }))
        });
        QueueTold::Claimed { claim, due: self.due(lane) }
    }

    fn end(
        &mut self,
        id: &Name,
        attempt: Option<u32>,
        by: Option<&Claimant>,
        change: impl FnOnce(&mut QueueJob),
    ) -> QueueTold {
        let life = self.life;
        let Some(row) = self.row(id) else {
            return QueueTold::Refused(QueueRefusal::NoJob(id.clone()));
        };
        let is_held = row.held.as_ref().is_some_and(|(of, claimant)| {
            *of == life && by.is_none_or(|by| by == claimant || matches!(by, Claimant::Supervisor(_)))
        });
        if !is_held || attempt.is_some_and(|attempt| attempt != row.job.attempt) {
            return QueueTold::Refused(QueueRefusal::NotClaimed(id.clone()));
        }
        row.held = None;
        if row.job.status == QueueStatus::Running {
            change(&mut row.job);
        }
        row.job.locked_by = None;
        let job = row.job.clone();
        let failed = self.cascade(&job);
        self.settled(job, failed)
    }

    fn finish(&mut self, ending: &Ending, now: Timestamp) -> QueueTold {
        self.end(&ending.id, ending.attempt, Some(&ending.by), |job| {
            job.exit.clone_from(&ending.exit);
            match &ending.end {
                QueueEnd::Completed => job.status = QueueStatus::Completed,
                QueueEnd::Failed { error, retry_at } => fail(job, error, *retry_at, now),
                QueueEnd::Cancelled { .. } => job.status = QueueStatus::Cancelled,
            }
        })
    }

    /// Fails all that comes after a job that has failed.
    fn cascade(&mut self, job: &QueueJob) -> Vec<QueueJob> {
        if !matches!(job.status, QueueStatus::Failed | QueueStatus::Cancelled) {
            return Vec::new();
        }
        let mut all = Vec::new();
        let mut of = std::vec![job.id.clone()];
        while let Some(id) = of.pop() {
            for row in self.rows.values_mut() {
                if row.job.status == QueueStatus::Pending && row.job.after.contains(&id) {
                    row.job.status = QueueStatus::Failed;
                    of.push(row.job.id.clone());
                    all.push(row.job.clone());
                }
            }
        }
        all
    }

    fn settled(&self, job: QueueJob, failed: Vec<QueueJob>) -> QueueTold {
        let after = self.rows.values().filter(|row| row.job.after.contains(&job.id));
        let mut lanes: Vec<_> = after.map(|row| row.job.lane.clone()).collect();
        lanes.push(job.lane.clone());
        QueueTold::Settled(Box::new(Settled { job, lanes, failed, unnamed: 0 }))
    }

    fn cancel(&mut self, id: &Name, reason: &str, now: Timestamp) -> QueueTold {
        let Some(row) = self.row(id) else {
            return QueueTold::Refused(QueueRefusal::NoJob(id.clone()));
        };
        if row.job.status.is_end() {
            return QueueTold::Refused(QueueRefusal::Ended { id: id.clone(), status: row.job.status });
        }
        (row.job.status, row.job.error, row.job.finished_at) =
            (QueueStatus::Cancelled, Some(reason.to_string()), Some(now));
        let job = row.job.clone();
        let failed = self.cascade(&job);
        self.settled(job, failed)
    }

    fn clear(
        &mut self,
        lane: &LaneName,
        owners: &[gob_protocol::Owner],
        reason: &str,
        now: Timestamp,
    ) -> QueueTold {
        let meant = self.rows.values().map(|row| &row.job).filter(|job| {
            job.lane == *lane && job.status == QueueStatus::Pending && owners.contains(&job.owner)
        });
        let ids: Vec<Name> = meant.map(|job| job.id.clone()).collect();
        let mut jobs = Vec::new();
        for id in &ids {
            if let QueueTold::Settled(settled) = self.cancel(id, reason, now) {
                jobs.push(settled.job);
                jobs.extend(settled.failed);
            }
        }
        QueueTold::Cleared { lane: self.lane(lane), cancelled: ids.len() as u64, jobs, more: false }
    }

    fn lane(&mut self, lane: &LaneName) -> LaneState {
        let (width, paused) = *self.lanes.entry(lane.clone()).or_insert((1, false));
        let lane = Lane { lane: lane.clone(), width, paused, counts: QueueCounts::default() };
        LaneState { due: self.due(&lane.lane), lane }
    }

    fn all_lanes(&mut self) -> Vec<LaneState> {
        let names: Vec<_> = self.lanes.keys().cloned().collect();
        names.iter().map(|name| self.lane(name)).collect()
    }

    fn recover(&mut self, error: &str, retry_at: Timestamp, now: Timestamp) -> QueueTold {
        let life = self.life;
        let (mut jobs, mut outside) = (Vec::new(), Vec::new());
        for row in self.rows.values_mut() {
            match &mut row.held {
                Some((of, Claimant::Supervisor(_))) if *of != life => {
                    row.held = None;
                    if row.job.status == QueueStatus::Running {
                        fail(&mut row.job, error, retry_at, now);
                        jobs.push(row.job.clone());
                    }
                }
                Some((of, Claimant::Outside(_))) if *of != life => {
                    *of = life;
                    outside.push(row.job.clone());
                }
                Some(_) | None => {}
            }
        }
        for job in jobs.clone() {
            jobs.extend(self.cascade(&job));
        }
        let next_at = self.schedules.iter().filter_map(|schedule| schedule.next_at).min();
        QueueTold::Recovered { count: jobs.len() as u64, jobs, outside, lanes: self.all_lanes(), next_at }
    }

    fn fire(&mut self, ids: &[Name], now: Timestamp) -> QueueTold {
        let mut unused = ids.to_vec();
        let mut fired = Vec::new();
        for at in 0..self.schedules.len() {
            let schedule = &mut self.schedules[at];
            if schedule.next_at.is_some_and(|at| at > now) || unused.is_empty() {
                continue;
            }
            let every = i64::try_from(schedule.interval_ms.unwrap()).unwrap();
            let id = unused.remove(0);
            (schedule.next_at, schedule.last_job) = (Some(Timestamp(now.0 + every)), Some(id.clone()));
            let schedule = schedule.clone();
            let new = NewJob {
                id,
                lane: schedule.lane.clone(),
                command: schedule.command.clone(),
                cwd: schedule.cwd.clone(),
                env: None,
                umask: None,
                owner: schedule.owner.clone(),
                priority: 0,
                run_at: now,
                max_attempts: 1,
                after: Vec::new(),
                dedupe: None,
                description: None,
            };
            if let QueueTold::Added { job, .. } = self.add(&new, now) {
                fired.push(Fired { schedule, job: *job });
            }
        }
        let next_at = self.schedules.iter().filter_map(|schedule| schedule.next_at).min();
        QueueTold::Due(Box::new(Due { fired, unused, next_at }))
    }
}

fn fail(job: &mut QueueJob, error: &str, retry_at: Timestamp, now: Timestamp) {
    job.error = Some(String::from(error));
    if job.attempts >= job.max_attempts {
        (job.status, job.finished_at) = (QueueStatus::Failed, Some(now));
    } else {
        (job.status, job.run_at) = (QueueStatus::Pending, retry_at);
    }
}

//! Schedules of the store in memory, by intervals only.

use super::{Store, Told};
use gob_protocol::queue::{
    Due, Fired, LaneName, NewJob, NewSchedule, QueueRefusal, QueueStatus, QueueTold, Schedule, ScheduleName,
};
use gob_protocol::{Name, Timestamp};
use std::boxed::Box;
use std::vec::Vec;

impl Store {
    pub(super) fn next_schedule(&self) -> Option<Timestamp> {
        self.schedules.values().filter_map(|(schedule, _)| schedule.next_at).min()
    }

    pub(super) fn add_schedule(&mut self, new: &NewSchedule, now: Timestamp) -> Told {
        let every = i64::try_from(new.interval_ms.unwrap_or(1_000)).unwrap();
        let is_taken = |name: &ScheduleName| self.schedules.contains_key(name);
        let name = match &new.name {
            Some(name) if is_taken(name) => return Err(QueueRefusal::ScheduleTaken(name.clone())),
            Some(name) => name.clone(),
            None => (1..).map(|number| new.lane.schedule(number)).find(|name| !is_taken(name)).unwrap(),
        };
        let schedule = Schedule {
            name: name.clone(),
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
        self.schedules.insert(name, (schedule.clone(), new.max_attempts));
        self.lane(&new.lane);
        Ok(QueueTold::Schedule(Box::new(schedule)))
    }

    pub(super) fn list_schedules(&self, lane: Option<&LaneName>) -> QueueTold {
        let all = self.schedules.values().map(|(schedule, _)| schedule);
        QueueTold::Schedules(all.filter(|one| lane.is_none_or(|lane| one.lane == *lane)).cloned().collect())
    }

    pub(super) fn remove_schedule(&mut self, name: &ScheduleName) -> Told {
        match self.schedules.remove(name) {
            Some((schedule, _)) => Ok(QueueTold::Schedule(Box::new(schedule))),
            None => Err(QueueRefusal::NoSchedule(name.clone())),
        }
    }

    pub(super) fn fire(&mut self, ids: &[Name], now: Timestamp) -> QueueTold {
        let mut unused = ids.to_vec();
        let mut fired = Vec::new();
        let is_due = |(schedule, _): &&(Schedule, u32)| schedule.next_at.is_some_and(|at| at <= now);
        while !unused.is_empty() {
            let due = self.schedules.values().filter(is_due);
            let first = due.min_by_key(|(schedule, _)| (schedule.next_at, schedule.name.clone()));
            let Some((mut schedule, max_attempts)) = first.cloned() else { break };
            // It keeps its beat: as many intervals as have passed, and one.
            let (every, at) = (schedule.interval_ms.unwrap() as i64, schedule.next_at.unwrap());
            schedule.next_at = Some(Timestamp(at.0 + every * ((now.0 - at.0) / every + 1)));
            let last = schedule.last_job.as_ref().and_then(|id| self.status(id));
            if last != Some(QueueStatus::Pending) {
                let id = unused.remove(0);
                (schedule.last_at, schedule.last_job) = (Some(now), Some(id.clone()));
                let new = job(id, &schedule, max_attempts, now);
                if let Ok(QueueTold::Added { job, .. }) = self.add(&new, Some(&schedule.name), now) {
                    fired.push(Fired { schedule: schedule.clone(), job: *job });
                }
            }
            self.schedules.insert(schedule.name.clone(), (schedule, max_attempts));
        }
        QueueTold::Due(Box::new(Due { fired, unused, next_at: self.next_schedule() }))
    }
}

fn job(id: Name, schedule: &Schedule, max_attempts: u32, now: Timestamp) -> NewJob {
    NewJob {
        id,
        lane: schedule.lane.clone(),
        command: schedule.command.clone(),
        cwd: schedule.cwd.clone(),
        env: None,
        umask: None,
        owner: schedule.owner.clone(),
        priority: 0,
        run_at: now,
        max_attempts,
        after: Vec::new(),
        dedupe: None,
        description: None,
    }
}

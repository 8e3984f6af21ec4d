//! Jobs that seem stuck: silent for a while, and running for longer than they do as a rule. Pure: time comes in.
//!
//! Silence counts from the beginning of a wait, so that another wait after the first one is not over at once. The age of
//! a run counts from its start. Beyond the first look nothing depends on the clock of the day, which may jump.

use gob_client::View;
use gob_client::protocol::Timestamp;
use gob_client::screen::times::since;
use gob_config::Jobs;
use std::time::Duration;

/// The limits beyond which a job seems stuck: both of silence and of age.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Time without output.
    silent: Duration,
    /// Time beyond the mean of the successful runs.
    over: Duration,
    /// Age of a run, where none has succeeded before.
    without_history: Duration,
}

impl From<Jobs> for Limits {
    fn from(jobs: Jobs) -> Self {
        Self {
            silent: Duration::from_millis(jobs.silent_ms),
            over: Duration::from_millis(jobs.over_ms),
            without_history: Duration::from_millis(jobs.without_history_ms),
        }
    }
}

/// A run that is watched. All times are those of a clock that begins with the wait.
#[derive(Debug)]
pub(super) struct Watched {
    run: u64,
    /// The mean of the successful runs before.
    pub(super) mean: Option<Duration>,
    /// The time of the last look, and the age of the run at it.
    seen: Duration,
    age: Duration,
    /// The last output, and the time since when nothing came.
    output: Option<Timestamp>,
    quiet_since: Duration,
}

impl Watched {
    /// Watches the run of a view; `today` is the time of day at `now`.
    pub(super) fn new(view: &View, now: Duration, today: Timestamp) -> Self {
        let age = view.started_at.map_or(Duration::ZERO, |started| since(started, today));
        let output = view.last_output_at;
        Self { run: view.run, mean: None, seen: now, age, output, quiet_since: now }
    }

    /// Takes a later view.
    pub(super) fn take(&mut self, view: &View, now: Duration, today: Timestamp) {
        if view.run != self.run {
            *self = Self { mean: self.mean, ..Self::new(view, now, today) };
            return;
        }
        if view.last_output_at != self.output {
            self.output = view.last_output_at;
            let ago = self.output.map_or(Duration::ZERO, |at| since(at, today));
            // It came after the last look, whatever the clock of the day says.
            self.quiet_since = now.saturating_sub(ago).max(self.seen);
        }
        // Between two runs no process can write.
        if view.pid.is_none() {
            self.quiet_since = now;
        }
        self.age = self.age_at(now);
        self.seen = now;
    }

    /// Returns the time for which nothing came.
    pub(super) const fn silent_at(&self, now: Duration) -> Duration {
        now.saturating_sub(self.quiet_since)
    }

    /// Returns the age of the run.
    pub(super) const fn age_at(&self, now: Duration) -> Duration {
        self.age.saturating_add(now.saturating_sub(self.seen))
    }

    /// Returns the time until the job seems stuck if it stays silent; zero when it does.
    pub(super) fn left_at(&self, now: Duration, limits: Limits) -> Duration {
        let oldest = self.mean.map_or(limits.without_history, |mean| mean.saturating_add(limits.over));
        let silence = limits.silent.saturating_sub(self.silent_at(now));
        silence.max(oldest.saturating_sub(self.age_at(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DAY: i64 = 1_800_000_000_000;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn day(seconds: i64) -> Timestamp {
        Timestamp(DAY + seconds * 1000)
    }

    /// The view of a run that began at a second of the day, with its last output.
    fn view(run: u64, started: i64, output: Option<i64>) -> View {
        let started = day(started);
        serde_json::from_value(json!({
            "name": "j1", "kind": "job", "graph": null, "description": null, "root_dir": null, "cwd": "/",
            "command": ["true"], "owner": "cli", "owned": true, "state": "ready", "pid": 7, "pgid": 7,
            "endpoint": null, "meta": {}, "run": run, "created_at": started, "started_at": started,
            "ready_at": started, "stopped_at": null, "exit": null, "restarts": 0, "next_restart_at": null,
            "leases": 0, "lease_holders": [], "stdout_path": null, "stderr_path": null, "reason": null,
            "last_output_at": output.map(day),
        }))
        .unwrap()
    }

    fn left(watched: &Watched, now: u64) -> u64 {
        watched.left_at(secs(now), Jobs::default().into()).as_secs()
    }

    #[test]
    fn a_job_without_history_may_be_silent_for_five_minutes() {
        let watched = Watched::new(&view(1, 0, None), secs(0), day(0));
        assert_eq!((left(&watched, 0), left(&watched, 299), left(&watched, 300)), (300, 1, 0));
    }

    #[test]
    fn a_job_with_history_may_be_silent_until_a_minute_after_its_mean() {
        let mut watched = Watched::new(&view(4, 0, None), secs(0), day(0));
        watched.mean = Some(secs(30));
        assert_eq!((left(&watched, 60), left(&watched, 90)), (30, 0));
        watched.mean = Some(secs(3600));
        assert_eq!(left(&watched, 90), 3570, "it is silent, and not late");
    }

    #[test]
    fn output_begins_the_silence_anew() {
        let mut watched = Watched::new(&view(4, 0, None), secs(0), day(0));
        watched.mean = Some(secs(1));
        watched.take(&view(4, 0, Some(55)), secs(60), day(60));
        assert_eq!((left(&watched, 60), left(&watched, 114), left(&watched, 115)), (55, 1, 0));
        watched.take(&view(4, 0, Some(55)), secs(115), day(115));
        assert_eq!(left(&watched, 115), 0, "the same output is no news");
    }

    #[test]
    fn a_wait_lasts_for_the_time_of_silence_however_long_the_job_was_silent_before() {
        let mut watched = Watched::new(&view(1, -7200, Some(-7000)), secs(0), day(0));
        assert_eq!((left(&watched, 0), left(&watched, 60)), (60, 0));
        assert_eq!(watched.age_at(secs(60)), secs(7260));
        watched.take(&view(1, -7200, Some(-7000)), secs(60), day(60));
        assert_eq!(watched.age_at(secs(60)), secs(7260));
    }

    #[test]
    fn a_later_run_is_watched_from_its_own_start() {
        let mut watched = Watched::new(&view(1, 0, None), secs(0), day(0));
        watched.mean = Some(secs(1));
        watched.take(&view(2, 100, None), secs(110), day(110));
        assert_eq!((watched.age_at(secs(110)), left(&watched, 110)), (secs(10), 60));
    }

    #[test]
    fn a_job_between_two_runs_is_not_silent() {
        let mut watched = Watched::new(&view(1, 0, None), secs(0), day(0));
        let paused = View { pid: None, ..view(1, 0, None) };
        watched.take(&paused, secs(300), day(300));
        assert_eq!((left(&watched, 300), left(&watched, 360)), (60, 0));
    }

    #[test]
    fn no_jump_of_the_clock_makes_a_job_seem_stuck() {
        let mut watched = Watched::new(&view(4, 0, None), secs(0), day(0));
        watched.mean = Some(secs(1));
        // It wrote, and then the clock went on by an hour.
        watched.take(&view(4, 0, Some(20)), secs(30), day(3630));
        assert_eq!(watched.age_at(secs(30)), secs(30));
        assert_eq!(left(&watched, 59), 2, "silent since the look before at most");
        // It went back by a day: the output seems to come later than now.
        watched.take(&view(4, 0, Some(40)), secs(61), day(-86_400));
        assert_eq!(left(&watched, 61), 60);
    }
}

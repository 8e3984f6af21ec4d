//! Faults of single graphs and their users: a foreign holder, an unhealthy worker, a lease whose client dies,
//! a new configuration.

use super::{ANSWER, Inflict, Inflicted, Outcome, done, nobody};
use crate::fleet::{self, SICK, Variant};
use crate::link::{Frame, Link, Lost};
use crate::shared::{Shared, lock};
use gob_tests::process::{self, Handle};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// Time limit until a worker is reported unhealthy, or healthy again: two probes 50 ms apart, each of up to 2
/// s, under load.
const NOTICED: Duration = Duration::from_secs(10);
/// Time that a lease may outlive its client.
const RELEASED: Duration = Duration::from_secs(5);

impl Inflict<'_> {
    /// Loads another good configuration, and the first one again.
    pub(super) fn reload(&mut self) -> Inflicted {
        let (other, usual) = {
            let fleet = lock(self.fleet);
            (fleet.config(Variant::Other), fleet.config(Variant::Usual))
        };
        fleet::write_config(&self.shared.gob, &other);
        let said = reloaded(self.shared)?;
        let undo = move |shared: &Shared| {
            fleet::write_config(&shared.gob, &usual);
            reloaded(shared).map(drop)
        };
        Ok(Outcome::Done(format!("another configuration, which changed {said}"), Box::new(undo)))
    }

    /// Makes a worker answer for a while that it is unhealthy. Clients are held back until that is noticed: a
    /// stopped worker shows nothing about it.
    pub(super) fn sick(&mut self) -> Inflicted {
        let Some(name) = lock(self.fleet).asked(&mut self.dice) else { return nobody("nobody is asked") };
        let path = self.shared.gob.graph_dir(&name).join(SICK);
        self.shared.close_gate(ANSWER)?;
        let Some(run) = ready_run(self.shared, &name)? else {
            self.shared.open_gate();
            return nobody(format!("{name} is not ready"));
        };
        fs::write(&path, "").map_err(|e| format!("{}: {e}", path.display()))?;
        // Where it is restarted for that, the next run may be seen first.
        let is_noticed = |view: &Value| view["state"] == "unhealthy" || view["run"] != run;
        let noticed = until(self.shared, &name, is_noticed).map_err(|e| format!("not well, and {e}"))?;
        self.shared.open_gate();
        let what = format!("run {run} of {name} is not well, and {noticed}");
        let undo = move |shared: &Shared| {
            shared.close_gate(ANSWER)?;
            fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            // A stopped worker does not answer, and rightly is unhealthy.
            let is_well = |view: &Value| {
                let stopped = view["pid"].as_i64().is_some_and(|pid| process::is_stopped(pid as i32));
                view["state"] != "unhealthy" || stopped
            };
            until(shared, &name, is_well).map(drop).map_err(|e| format!("well again, and {e}"))
        };
        Ok(Outcome::Done(what, Box::new(undo)))
    }

    /// Lets a program that does not ask gob take a graph.
    pub(super) fn holder_comes(&mut self) -> Inflicted {
        let mut fleet = lock(self.fleet);
        let Some(name) = fleet.locked(&mut self.dice) else { return nobody("no graph has a lock file") };
        let owner = *self.dice.one(&[Some("electron"), Some("cli"), None]);
        match fleet.holders.come(self.shared, &name, owner) {
            Ok(Some(pid)) => done(format!("{pid} of {owner:?} holds {name}")),
            Ok(None) => nobody(format!("{name} is held already")),
            Err(e) => Err(format!("a holder of {name}: {e}")),
        }
    }

    /// Ends a holder, with its lock or without.
    pub(super) fn holder_goes(&mut self) -> Inflicted {
        let mut fleet = lock(self.fleet);
        let Some(name) = fleet.locked(&mut self.dice) else { return nobody("no graph has a lock file") };
        let leaves_lock = self.dice.below(2) == 0;
        match fleet.holders.go(&self.shared.gob, &name, leaves_lock) {
            Ok(Some(pid)) => done(format!("{pid} holds {name} no more, leaves its lock {leaves_lock}")),
            Ok(None) => nobody(format!("nobody holds {name}")),
            Err(e) => Err(format!("the holder of {name}: {e}")),
        }
    }

    /// Kills a client that has a lease; the lease ends with it.
    pub(super) fn lessee_dies(&mut self) -> Inflicted {
        let name = lock(self.fleet).name(&mut self.dice).to_owned();
        let gob = &self.shared.gob;
        let mut watch = match watch(self.shared, &name) {
            Ok(watch) => watch,
            Err(Lost::Ended) => return nobody("nobody accepts"),
            Err(Lost::Lie(lie)) => return Err(lie),
        };
        let owner = *self.dice.one(&["cli", "desktop", "agent"]);
        let mut child = gob.ctl(["lease", &name, "--owner", owner]).spawn();
        let pid = child.id();
        let handle = Handle::open(pid as i32);
        let leased = heard(&mut watch, ANSWER, |event| {
            let granted = event["event"] == "lease_granted" && event["actor"]["pid"] == pid;
            granted || handle.as_ref().is_none_or(|client| client.wait_gone(Duration::ZERO))
        });
        drop(child.kill());
        drop(child.wait());
        match leased {
            Ok(Some(event)) if event["event"] == "lease_granted" => {}
            Ok(_) | Err(Lost::Ended) => return nobody(format!("{name} was not leased")),
            Err(Lost::Lie(lie)) => return Err(lie),
        }
        let released = heard(&mut watch, RELEASED, |event| match event["event"].as_str() {
            Some("lease_released") => event["actor"]["pid"] == pid,
            // Leases go with the worker; a subscriber that lags can't tell.
            other => matches!(other, Some("worker_removed" | "lagged")),
        });
        match released {
            Ok(None) => {
                Err(format!("the lease of {name} is still there {RELEASED:?} after {pid} was killed"))
            }
            Ok(Some(_)) | Err(Lost::Ended) => done(format!("killed {pid} of {owner}, which held {name}")),
            Err(Lost::Lie(lie)) => Err(lie),
        }
    }
}

/// Reloads the configuration; returns the changes. Another client may have done so before.
fn reloaded(shared: &Shared) -> Result<String, String> {
    let reload = || {
        let mut link = Link::connect(&shared.gob.socket()).map_err(|_| Lost::Ended)?;
        link.ok("reload", json!({}), ANSWER)
    };
    match reload() {
        Ok(data) => Ok(data["changed"].to_string()),
        Err(Lost::Ended) => Ok("nothing: no supervisor answers".to_owned()),
        Err(Lost::Lie(lie)) => Err(lie),
    }
}

/// Starts a worker, unless it runs; returns its run once it is ready, if it comes to that.
fn ready_run(shared: &Shared, name: &str) -> Result<Option<u64>, String> {
    let asked = Link::connect(&shared.gob.socket()).map_err(|_| Lost::Ended);
    match asked.and_then(|mut link| link.ask("start", json!({"graph": name}), ANSWER)) {
        Ok(answer) => {
            let worker = &answer["data"]["worker"];
            Ok(worker["run"].as_u64().filter(|_| worker["state"] == "ready"))
        }
        Err(Lost::Ended) => Ok(None),
        Err(Lost::Lie(lie)) => Err(lie),
    }
}

/// Waits until a worker's view fits; returns its state, empty for a missing worker.
fn until(shared: &Shared, name: &str, is_so: impl Fn(&Value) -> bool) -> Result<String, String> {
    let begin = Instant::now();
    let mut last = Value::Null;
    while begin.elapsed() < NOTICED {
        let asked = Link::connect(&shared.gob.socket()).map_err(|_| Lost::Ended);
        match asked.and_then(|mut link| link.ask("get", json!({"name": name}), ANSWER)) {
            Ok(mut answer) => {
                last = answer["data"]["worker"].take();
                if is_so(&last) {
                    return Ok(last["state"].as_str().unwrap_or("not there").to_owned());
                }
            }
            Err(Lost::Ended) => {}
            Err(Lost::Lie(lie)) => return Err(lie),
        }
        shared.breathe();
    }
    Err(format!("still so after {NOTICED:?}: {last}"))
}

/// Connects and subscribes to the events of one worker.
fn watch(shared: &Shared, name: &str) -> Result<Link, Lost> {
    let mut link = Link::connect_as(&shared.gob.socket(), "watcher", ANSWER)?;
    // Seq has gaps there, so it is not followed.
    link.ok("subscribe", json!({"names": [name]}), ANSWER)?;
    Ok(link)
}

/// Waits for the first event that fits, checking now and then even when none comes; `None` at the deadline.
fn heard(link: &mut Link, timeout: Duration, fits: impl Fn(&Value) -> bool) -> Result<Option<Value>, Lost> {
    const LOOK: Duration = Duration::from_millis(100);
    let deadline = Instant::now() + timeout;
    while Instant::now() < deadline {
        let event = match link.frame(LOOK)? {
            Some(Frame::Event(event)) => event,
            Some(Frame::Answer(..)) => continue,
            None => Value::Null,
        };
        if fits(&event) {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

//! A subscriber's knowledge: every worker as of the last event. Pure; a snapshot and events in, changes out.
//!
//! ```
//! use gob_client::model::{Change, Model};
//!
//! let mut model = Model::default();
//! model.reset("0197a2c4".to_owned(), 41, Vec::new());
//! let line = r#"{"event":"supervisor_healed","seq":42,"time":"2026-11-20T10:00:00.123Z","actor":"supervisor"}"#;
//! assert_eq!(model.apply(line)?, Change::Nothing);
//! assert_eq!(model.seq(), 42);
//! # Ok::<(), serde_json::Error>(())
//! ```

use gob_protocol::answer::{ListData, SubscribeData};
use gob_protocol::{Name, View};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Every worker as of [`Model::seq`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    instance: String,
    seq: u64,
    workers: BTreeMap<Name, View>,
    rest: Option<Rest>,
}

/// The part of a snapshot that is left to pages (PROTOCOL 5, Looking).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rest {
    after: Name,
    /// Workers with an event since the snapshot: a page may be older than that event.
    told: BTreeSet<Name>,
}

/// The effect of an event on a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing that a model shows: an event about no worker, or an old one.
    Nothing,
    /// This worker is new or different.
    Worker(Name),
    /// This worker is gone.
    Removed(Name),
    /// Anything may be different: events were missed, and a snapshot stands in for them.
    Everything,
}

/// The fields of an event or of `lagged` that a model reads. Events of later versions are taken by their
/// worker.
#[derive(Deserialize)]
struct Frame {
    event: String,
    seq: u64,
    worker: Option<View>,
    workers: Option<Vec<View>>,
    next: Option<Name>,
}

impl Model {
    /// Starts over from a whole snapshot as of `seq`.
    pub fn reset(&mut self, instance: String, seq: u64, workers: Vec<View>) {
        self.instance = instance;
        self.replace(seq, workers, None);
    }

    /// Takes the answer to `subscribe`. Without a snapshot in it all workers stay: it was a replay.
    pub fn subscribed(&mut self, data: &SubscribeData) -> Change {
        match &data.workers {
            Some(workers) => {
                self.instance.clone_from(&data.instance);
                self.replace(data.seq, workers.clone(), data.next.clone());
                Change::Everything
            }
            None => {
                self.instance.clone_from(&data.instance);
                Change::Nothing
            }
        }
    }

    /// Takes one event or `lagged` as it came. An event that is not newer than the model changes nothing.
    ///
    /// # Errors
    /// When the line is neither.
    pub fn apply(&mut self, line: &str) -> Result<Change, serde_json::Error> {
        let frame: Frame = serde_json::from_str(line)?;
        if let Some(workers) = frame.workers {
            self.replace(frame.seq, workers, frame.next);
            return Ok(Change::Everything);
        }
        if frame.seq <= self.seq {
            return Ok(Change::Nothing);
        }
        self.seq = frame.seq;
        let Some(worker) = frame.worker else { return Ok(Change::Nothing) };
        let name = worker.name.clone();
        if let Some(rest) = &mut self.rest {
            rest.told.insert(name.clone());
        }
        if frame.event == "worker_removed" {
            self.workers.remove(&name);
            return Ok(Change::Removed(name));
        }
        self.workers.insert(name.clone(), worker);
        Ok(Change::Worker(name))
    }

    /// Returns the name for `after` of `list`, with the filter of the subscription and on its connection,
    /// where the snapshot came in pages and one is missing. The subscriptions of this crate collect them and
    /// leave none.
    #[must_use]
    pub fn missing(&self) -> Option<&Name> {
        self.rest.as_ref().map(|rest| &rest.after)
    }

    /// Takes the answer to that `list`. For a worker with an event meanwhile, the event counts.
    pub fn page(&mut self, page: &ListData) -> Change {
        let Some(Rest { after, told }) = self.rest.take() else { return Change::Nothing };
        for worker in page.workers.iter().filter(|worker| !told.contains(&worker.name)) {
            self.workers.insert(worker.name.clone(), worker.clone());
        }
        // A page that does not advance is the last.
        let next = page.next.clone().filter(|next| *next > after);
        self.rest = next.map(|after| Rest { after, told });
        Change::Everything
    }

    fn replace(&mut self, seq: u64, workers: Vec<View>, next: Option<Name>) {
        self.rest = next.map(|after| Rest { after, told: BTreeSet::new() });
        self.seq = seq;
        self.workers = workers.into_iter().map(|worker| (worker.name.clone(), worker)).collect();
    }

    /// Returns the supervisor's life that the model belongs to.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Returns the last event that it includes.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns one worker.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<&View> {
        self.workers.get(name)
    }

    /// Returns all workers, by name.
    pub fn workers(&self) -> impl ExactSizeIterator<Item = &View> {
        self.workers.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn view(name: &str, state: &str) -> Value {
        json!({
            "name": name, "kind": "graph", "graph": name, "description": null, "root_dir": null, "cwd": null,
            "command": [], "owner": "cli", "owned": true, "state": state, "pid": null, "pgid": null, "endpoint": null,
            "meta": {}, "run": 1, "created_at": "2026-11-20T10:00:00.000Z", "started_at": null, "ready_at": null,
            "stopped_at": null, "exit": null, "restarts": 0, "next_restart_at": null, "leases": 0, "lease_holders": [],
            "stdout_path": null, "stderr_path": null, "reason": null,
        })
    }

    fn event(kind: &str, seq: u64, worker: Value) -> String {
        let time = "2026-11-20T10:00:00.000Z";
        json!({"event": kind, "seq": seq, "time": time, "actor": "supervisor", "worker": worker}).to_string()
    }

    fn names(model: &Model) -> Vec<&str> {
        model.workers().map(|worker| worker.name.as_str()).collect()
    }

    #[test]
    fn events_on_top_of_a_snapshot() {
        let mut model = Model::default();
        let snapshot = json!({"seq": 5, "instance": "i", "workers": [view("a", "ready"), view("b", "idle")]});
        let change = model.subscribed(&serde_json::from_value(snapshot).unwrap());
        assert_eq!((change, names(&model), model.seq()), (Change::Everything, vec!["a", "b"], 5));
        let a = Name::any("a").unwrap();
        assert_eq!(
            model.apply(&event("worker_failed", 5, view("a", "failed"))).unwrap(),
            Change::Nothing,
            "old"
        );
        let change = model.apply(&event("worker_stopping", 6, view("a", "stopping"))).unwrap();
        assert_eq!(change, Change::Worker(a.clone()));
        assert_eq!(model.get(&a).unwrap().state.as_str(), "stopping");
        assert_eq!(model.apply(&event("worker_removed", 7, view("a", "idle"))).unwrap(), Change::Removed(a));
        assert_eq!(names(&model), ["b"]);
        let tomorrow = event("worker_of_tomorrow", 8, view("c", "ready"));
        assert_eq!(model.apply(&tomorrow).unwrap(), Change::Worker(Name::any("c").unwrap()));
    }

    #[test]
    fn pages_complete_a_snapshot_and_events_count_more_than_they_do() {
        let mut model = Model::default();
        let snapshot = json!({"seq": 5, "instance": "i", "workers": [view("a", "ready")], "next": "a"});
        model.subscribed(&serde_json::from_value(snapshot).unwrap());
        assert_eq!(model.missing(), Some(&Name::any("a").unwrap()));
        model.apply(&event("worker_failed", 6, view("b", "failed"))).unwrap();
        model.apply(&event("worker_removed", 7, view("d", "idle"))).unwrap();
        let page = |names: &[&str], next: Option<&str>| -> ListData {
            let workers: Vec<Value> = names.iter().map(|name| view(name, "ready")).collect();
            serde_json::from_value(json!({"workers": workers, "next": next})).unwrap()
        };
        assert_eq!(model.page(&page(&["b", "c"], Some("c"))), Change::Everything);
        assert_eq!(model.missing(), Some(&Name::any("c").unwrap()));
        assert_eq!(model.page(&page(&["d", "e"], None)), Change::Everything);
        assert_eq!((names(&model), model.seq(), model.missing()), (vec!["a", "b", "c", "e"], 7, None));
        assert_eq!(model.get(&Name::any("b").unwrap()).unwrap().state.as_str(), "failed");
        assert_eq!(model.page(&page(&["z"], None)), Change::Nothing, "it was not asked for");
        let lagged =
            json!({"event": "lagged", "missed": 1, "seq": 9, "workers": [view("a", "idle")], "next": "a"});
        model.apply(&lagged.to_string()).unwrap();
        assert_eq!((names(&model), model.missing().is_some()), (vec!["a"], true));
    }

    #[test]
    fn lagged_replaces_everything() {
        let mut model = Model::default();
        model.apply(&event("worker_added", 1, view("a", "idle"))).unwrap();
        let lagged = json!({"event": "lagged", "missed": 9, "seq": 10, "workers": [view("z", "ready")]});
        assert_eq!(model.apply(&lagged.to_string()).unwrap(), Change::Everything);
        assert_eq!((names(&model), model.seq()), (vec!["z"], 10));
        assert!(model.apply("{}").is_err());
    }
}

//! One subscriber that never stops: it checks each event on arrival, across connections and lives of the
//! supervisor.
//!
//! Owns the model that a client would have from events alone, and its knowledge of each run: no other run of
//! its worker begins before it is over, and nothing of its tree is left by then.

use crate::link::{Frame, Link, Lost};
use crate::shared::{Shared, lock};
use crate::truth;
use gob_client::model::Model;
use gob_protocol::answer::SubscribeData;
use gob_protocol::{EventKind, Name, State};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

const ANSWER: Duration = Duration::from_secs(30);
/// Time between two checks whether all is over.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Default)]
pub struct Recorder {
    /// The model of a client.
    model: Mutex<Model>,
    /// Runs that began, by the supervisor's instance.
    begun: Mutex<BTreeMap<String, u64>>,
}

/// Facts about the runs of one life of the supervisor.
#[derive(Default)]
struct Runs {
    live: BTreeMap<Name, u64>,
    tags: BTreeMap<(Name, u64), u64>,
}

impl Recorder {
    pub fn model(&self) -> Model {
        lock(&self.model).clone()
    }

    /// Returns how many runs of this supervisor have begun.
    pub fn begun(&self, instance: &str) -> u64 {
        lock(&self.begun).get(instance).copied().unwrap_or_default()
    }

    /// Records until all is over.
    pub fn record(&self, shared: &Shared) {
        let mut runs = Runs::default();
        while !shared.is_over() {
            match self.follow(shared, &mut runs) {
                Err(Lost::Lie(lie)) => {
                    shared.violated(format!("events: {lie}"));
                    return;
                }
                Ok(()) | Err(Lost::Ended) => shared.breathe(),
            }
        }
    }

    fn follow(&self, shared: &Shared, runs: &mut Runs) -> Result<(), Lost> {
        let mut link = Link::connect_as(&shared.gob.socket(), "recorder", ANSWER)?;
        let (instance, seq) = {
            let model = lock(&self.model);
            (model.instance().to_owned(), model.seq())
        };
        let payload = if instance.is_empty() {
            json!({"snapshot": true})
        } else {
            json!({"since": seq, "instance": instance})
        };
        let data = link.ok("subscribe", payload, ANSWER)?;
        let data: SubscribeData = parse(data)?;
        shared.judge.succeeded(&instance, &data.instance).map_err(Lost::Lie)?;
        let same = data.instance == instance;
        if same && data.seq < seq {
            return Err(Lost::Lie(format!("seq went back from {seq} to {}", data.seq)));
        }
        if !same && data.workers.is_none() {
            return Err(Lost::Lie("no snapshot after a change of the instance".to_owned()));
        }
        link.follow(if data.workers.is_some() { data.seq } else { seq });
        lock(&self.model).subscribed(&data);
        if let Some(workers) = data.workers {
            shared.judge.snapshot(&workers);
            shared.history.snapshot(&data.instance, &workers);
            *runs = Runs::default();
            let live = workers.iter().filter(|view| view.state.is_live() && view.pid.is_some());
            runs.live = live.map(|view| (view.name.clone(), view.run)).collect();
        }
        while !shared.is_over() {
            if let Some(Frame::Event(event)) = link.frame(LOOK)? {
                shared.events.fetch_add(1, Ordering::Relaxed);
                self.take(shared, &event, runs)?;
            }
        }
        Ok(())
    }

    fn take(&self, shared: &Shared, event: &Value, runs: &mut Runs) -> Result<(), Lost> {
        lock(&self.model).apply(&event.to_string()).map_err(|e| Lost::Lie(format!("{e}: {event}")))?;
        if event["event"] == "lagged" {
            let model = lock(&self.model);
            shared.judge.snapshot(model.workers());
            shared.history.snapshot(model.instance(), model.workers());
            drop(model);
            *runs = Runs::default();
            return Ok(());
        }
        let kind: EventKind = parse(event["event"].clone())?;
        if event["job"].is_object() {
            let (id, status, attempt) =
                (&event["job"]["id"], &event["job"]["status"], &event["job"]["attempt"]);
            shared.note(format!("event {} {kind} {id} attempt {attempt} {status}", event["seq"]));
            let instance = lock(&self.model).instance().to_owned();
            return shared.lane.event(&instance, event).map_err(Lost::Lie);
        }
        if event["worker"].is_null() {
            return Ok(());
        }
        let view: gob_protocol::View = parse(event["worker"].clone())?;
        shared.note(format!(
            "event {} {kind} {} run {} {} pid {:?}",
            event["seq"], view.name, view.run, view.state, view.pid
        ));
        if view.name.as_str().starts_with(crate::fleet::NEVER) {
            return Err(Lost::Lie(format!("a request that was cut off was carried out: {event}")));
        }
        let instance = lock(&self.model).instance().to_owned();
        shared.judge.event(&instance, kind, &view, &event["actor"]).map_err(Lost::Lie)?;
        let key = (view.name.clone(), view.run);
        if kind == EventKind::WorkerStarted {
            shared.history.begins(&instance, &view, &event["actor"]).map_err(Lost::Lie)?;
            *lock(&self.begun).entry(instance).or_default() += 1;
        }
        if kind == EventKind::WorkerStarted
            && let Some(other) = runs.live.insert(view.name.clone(), view.run)
        {
            return Err(Lost::Lie(format!(
                "{} began run {} before run {other} was over",
                view.name, view.run
            )));
        }
        if let Some(pid) = view.pid.filter(|_| !runs.tags.contains_key(&key))
            && let Some(tag) = truth::tag_of_worker(&shared.gob, pid).filter(|tag| *tag != truth::UNMARKED)
        {
            runs.tags.insert(key.clone(), tag);
        }
        let over = match view.state {
            // Nothing of gob's own runs any more where a foreign process holds the graph.
            State::Idle | State::Backoff | State::Failed | State::Ceded | State::External => true,
            State::Starting | State::Ready | State::Unhealthy | State::Stopping => false,
        };
        if over || kind == EventKind::WorkerStopped {
            runs.live.remove(&view.name);
            let left = runs.tags.remove(&key).map(truth::tagged).unwrap_or_default();
            if !left.is_empty() {
                let told: Vec<String> = left.iter().map(|pid| gob_tests::process::describe(*pid)).collect();
                return Err(Lost::Lie(format!(
                    "{kind} of {} run {}, and there are {told:?}",
                    view.name, view.run
                )));
            }
        }
        Ok(())
    }
}

fn parse<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Lost> {
    T::deserialize(&value).map_err(|e| Lost::Lie(format!("{e}: {value}")))
}

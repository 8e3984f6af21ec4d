//! Knowledge of the supervisor: every worker, the latest events, the state of the connection.

use crate::model::{Change, Model};
use crate::screen::{
    self, Alarm, Link, Tone, Trouble, event_details, event_subject, event_tone, event_word, summary, text,
};
use gob_protocol::answer::SubscribeData;
use gob_protocol::{Event, EventKind, Name, Timestamp};
use std::collections::VecDeque;

/// Events that are kept to be shown.
const MAX_EVENTS: usize = 500;
/// Failures that the tray lists.
const MAX_FAILURES: usize = 5;

/// All workers in few words, as a tray shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// All workers in a line.
    pub line: String,
    /// The weight of that.
    pub tone: Tone,
    /// The last failures, newest first.
    pub failures: Vec<String>,
}

/// A line of the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLine {
    /// `None` for a gap.
    pub time: Option<Timestamp>,
    /// The worker, job or lock, or `gobd`.
    pub subject: String,
    /// The event in a word.
    pub word: String,
    /// Everything else, escaped.
    pub details: String,
    /// The weight of it.
    pub tone: Tone,
    /// The worker that it is about.
    pub worker: Option<Name>,
}

/// All of it; one thread writes, the surface reads.
#[derive(Debug, Default)]
pub struct Known {
    /// Every worker.
    pub model: Model,
    /// The state of the connection.
    pub link: Link,
    /// The latest events, oldest first.
    pub events: VecDeque<EventLine>,
    /// Counts the events that were kept, those that went since among them.
    pub events_ever: u64,
    /// The latest failures in words, newest first.
    pub failures: VecDeque<String>,
    /// Counts connections, so that the surface knows of a new one.
    pub connections: u64,
    /// Counts supervisors that took the place of one before.
    pub successors: u64,
    /// Counts changes of named locks, and of the queue: they are not in the model, and have to be asked for.
    pub locks: u64,
    /// The same for the queue.
    pub queue: u64,
}

impl Known {
    /// Returns all workers in few words.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let failures = self.failures.iter().cloned().collect();
        if !self.link.is_up() {
            return Summary { line: Link::AWAY.to_owned(), tone: Tone::Faint, failures };
        }
        let is_bad = self.model.workers().any(|worker| screen::tone(worker) == Tone::Bad);
        let tone = if is_bad { Tone::Bad } else { Tone::Plain };
        Summary { line: summary(self.model.workers()), tone, failures }
    }

    /// Takes the answer to a subscription.
    pub fn subscribed(&mut self, data: &SubscribeData) {
        let before = self.model.instance();
        let is_other = !before.is_empty() && before != data.instance;
        self.model.subscribed(data);
        self.locks += 1;
        self.queue += 1;
        // Where the supervisor was away, a banner has told of it.
        self.successors += u64::from(is_other && self.link.is_up());
        self.link = Link::Up;
        self.connections += 1;
        if data.gap {
            let details = if is_other {
                "another supervisor took the place of the one before; the workers are as they are now"
            } else {
                "events were missed; the workers are as they are now"
            };
            self.push(EventLine {
                time: None,
                subject: "gobd".to_owned(),
                word: "gap".to_owned(),
                details: details.to_owned(),
                tone: Tone::Busy,
                worker: None,
            });
        }
    }

    /// Returns the message for a person when another supervisor took the place of the one before.
    #[must_use]
    pub fn succession(&self) -> Trouble {
        Trouble {
            code: "supervisor-replaced".to_owned(),
            message: "The supervisor ended, and another one took its place".to_owned(),
            cause: Some(format!("its workers now: {}", summary(self.model.workers()))),
            hint: Some("those that were running ended with it; start again what you need".to_owned()),
        }
    }

    /// Takes an event or `lagged`; returns the notification that it raises. Lines that are neither change nothing.
    pub fn frame(&mut self, line: &str) -> Option<Alarm> {
        #[derive(serde::Deserialize)]
        struct Missed {
            missed: u64,
        }
        let change = self.model.apply(line).ok()?;
        let Ok(event) = serde_json::from_str::<Event>(line) else {
            let missed =
                serde_json::from_str::<Missed>(line).ok().filter(|_| change == Change::Everything)?;
            self.locks += 1;
            self.queue += 1;
            let details = format!("{} events came too fast and were missed", missed.missed);
            self.push(EventLine {
                time: None,
                subject: "gobd".to_owned(),
                word: event_word(EventKind::Lagged),
                details,
                tone: event_tone(EventKind::Lagged),
                worker: None,
            });
            return None;
        };
        let details: Vec<String> = event_details(&event).iter().map(|part| text::escape(part)).collect();
        self.locks += u64::from(event.lock.is_some());
        self.queue += u64::from(event.job.is_some());
        let alarm = Alarm::of(&event);
        if let Some(alarm) = alarm.as_ref().filter(|_| Alarm::is_failure(&event)) {
            self.failures.push_front(alarm.title.clone());
            self.failures.truncate(MAX_FAILURES);
        }
        self.push(EventLine {
            time: Some(event.time),
            subject: event_subject(&event),
            word: event_word(event.event),
            details: details.join("   "),
            tone: event_tone(event.event),
            worker: event.worker.map(|worker| worker.name),
        });
        alarm
    }

    fn push(&mut self, line: EventLine) {
        self.events.push_back(line);
        self.events_ever += 1;
        while self.events.len() > MAX_EVENTS {
            self.events.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::testing::view;
    use serde_json::{Value, json};

    fn event(kind: &str, seq: u64, worker: Value) -> String {
        let time = "2026-11-20T10:00:00.000Z";
        json!({"event": kind, "seq": seq, "time": time, "actor": "supervisor", "worker": worker}).to_string()
    }

    #[test]
    fn a_successor_of_the_supervisor_is_told_of() {
        let mut known = Known::default();
        let answer = |instance: &str| {
            let workers = json!([view(json!({"state": "idle", "pid": null}))]);
            let data = json!({"seq": 1, "instance": instance, "gap": instance != "one", "workers": workers});
            serde_json::from_value::<SubscribeData>(data).unwrap()
        };
        known.subscribed(&answer("one"));
        known.subscribed(&answer("one"));
        assert_eq!((known.successors, known.events.len()), (0, 0));
        known.subscribed(&answer("two"));
        assert_eq!(known.successors, 1);
        known.link = Link::Away;
        known.subscribed(&answer("three"));
        assert_eq!(known.successors, 1, "a banner has told that there was none");
        assert!(known.events.back().unwrap().details.starts_with("another supervisor"));
        assert_eq!(known.succession().cause.as_deref(), Some("its workers now: 1 idle"));
    }

    #[test]
    fn events_are_kept_in_words_and_bounded() {
        let mut known = Known::default();
        for seq in 1..=600 {
            known.frame(&event("worker_ready", seq, json!(view(json!({})))));
        }
        assert_eq!(known.events.len(), MAX_EVENTS);
        let last = known.events.back().unwrap();
        assert_eq!((last.subject.as_str(), last.word.as_str()), ("demo", "ready"));
        let failed = json!(view(json!({"state": "failed", "reason": "exited 1"})));
        let alarm = known.frame(&event("worker_failed", 601, failed)).unwrap();
        assert_eq!(alarm.title, "demo failed");
        assert_eq!(known.failures, ["demo failed"]);
        assert_eq!(known.summary().line, Link::AWAY);
        known.link = Link::Up;
        let failures = vec!["demo failed".to_owned()];
        assert_eq!(known.summary(), Summary { line: "1 failed".to_owned(), tone: Tone::Bad, failures });
        let lagged = json!({"event": "lagged", "missed": 7, "seq": 700, "workers": []});
        assert_eq!(known.frame(&lagged.to_string()), None);
        assert!(known.events.back().unwrap().details.starts_with("7 events"));
        assert_eq!(known.frame("garbage"), None);
    }
}

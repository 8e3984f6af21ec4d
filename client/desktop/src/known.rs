//! Knowledge of the supervisor: every worker, the latest events, the state of the connection.

use crate::tray::Summary;
use gob_client::model::{Change, Model};
use gob_client::protocol::answer::SubscribeData;
use gob_client::protocol::{Event, EventKind, Name, Timestamp};
use gob_client::screen::{
    self, Alarm, Link, Tone, Trouble, event_details, event_subject, event_tone, event_word, summary, text,
};
use std::collections::VecDeque;

/// Events that are kept to be shown.
const MAX_EVENTS: usize = 500;
/// Failures that the tray lists.
const MAX_FAILURES: usize = 5;

/// A line of the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventLine {
    pub(crate) time: Option<Timestamp>,
    pub(crate) subject: String,
    pub(crate) word: String,
    pub(crate) details: String,
    pub(crate) tone: Tone,
    /// The worker that it is about.
    pub(crate) worker: Option<Name>,
}

/// All of it; one thread writes, the window and the tray read.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) model: Model,
    pub(crate) link: Link,
    pub(crate) events: VecDeque<EventLine>,
    /// The latest failures in words, newest first.
    pub(crate) failures: VecDeque<String>,
    /// Counts connections, so that the window knows of a new one.
    pub(crate) connections: u64,
    /// Counts supervisors that took the place of one before.
    pub(crate) successors: u64,
}

impl Known {
    /// Returns what the tray shows of it.
    pub(crate) fn summary(&self) -> Summary {
        let failures = self.failures.iter().cloned().collect();
        if !self.link.is_up() {
            return Summary { line: Link::AWAY.to_owned(), tone: Tone::Faint, failures };
        }
        let is_bad = self.model.workers().any(|worker| screen::tone(worker) == Tone::Bad);
        let tone = if is_bad { Tone::Bad } else { Tone::Plain };
        Summary { line: summary(self.model.workers()), tone, failures }
    }

    /// Takes the answer to a subscription.
    pub(crate) fn subscribed(&mut self, data: &SubscribeData) {
        let before = self.model.instance();
        let is_other = !before.is_empty() && before != data.instance;
        self.model.subscribed(data);
        self.link = Link::Up;
        self.connections += 1;
        self.successors += u64::from(is_other);
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

    /// Returns what a person is told when another supervisor took the place of the one before.
    pub(crate) fn succession(&self) -> Trouble {
        Trouble {
            code: "supervisor-replaced".to_owned(),
            message: "The supervisor ended, and another one took its place".to_owned(),
            cause: Some(format!("its workers now: {}", summary(self.model.workers()))),
            hint: Some("those that were running ended with it; start again what you need".to_owned()),
        }
    }

    /// Takes an event or `lagged`; returns the notification that it raises. Lines that are neither change nothing.
    pub(crate) fn frame(&mut self, line: &str) -> Option<Alarm> {
        #[derive(serde::Deserialize)]
        struct Missed {
            missed: u64,
        }
        let change = self.model.apply(line).ok()?;
        let Ok(event) = serde_json::from_str::<Event>(line) else {
            let missed =
                serde_json::from_str::<Missed>(line).ok().filter(|_| change == Change::Everything)?;
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
        while self.events.len() > MAX_EVENTS {
            self.events.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::view;
    use serde_json::{Value, json};

    fn event(kind: &str, seq: u64, worker: Value) -> String {
        let time = "2026-11-20T10:00:00.000Z";
        json!({"event": kind, "seq": seq, "time": time, "actor": "supervisor", "worker": worker}).to_string()
    }

    #[test]
    fn a_successor_of_the_supervisor_is_told_of() {
        let mut known = Known::default();
        let answer = |instance: &str| {
            let workers = json!([view("demo", json!({"state": "idle", "pid": null}))]);
            let data = json!({"seq": 1, "instance": instance, "gap": instance != "one", "workers": workers});
            serde_json::from_value::<SubscribeData>(data).unwrap()
        };
        known.subscribed(&answer("one"));
        known.subscribed(&answer("one"));
        assert_eq!((known.successors, known.events.len()), (0, 0));
        known.subscribed(&answer("two"));
        assert_eq!(known.successors, 1);
        assert!(known.events.back().unwrap().details.starts_with("another supervisor"));
        assert_eq!(known.succession().cause.as_deref(), Some("its workers now: 1 idle"));
    }

    #[test]
    fn events_are_kept_in_words_and_bounded() {
        let mut known = Known::default();
        for seq in 1..=600 {
            known.frame(&event("worker_ready", seq, json!(view("demo", json!({})))));
        }
        assert_eq!(known.events.len(), MAX_EVENTS);
        let last = known.events.back().unwrap();
        assert_eq!((last.subject.as_str(), last.word.as_str()), ("demo", "ready"));
        let failed = json!(view("demo", json!({"state": "failed", "reason": "exited 1"})));
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

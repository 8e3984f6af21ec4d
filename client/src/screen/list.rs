//! The list of workers as a person works with it: their order, a filter that is typed, a selection that stays with its
//! worker.

use super::text::{escape, name};
use super::{Row, failure, state_word};
use gob_protocol::{Name, State, Timestamp, View};
use std::cmp::Ordering;

/// Compares names of workers for people: `j2` comes before `j10`.
#[must_use]
pub fn by_name(a: &str, b: &str) -> Ordering {
    natural(a).cmp(&natural(b))
}

fn natural(name: &str) -> (&str, u64, &str) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name.get(stem.len()..).and_then(|digits| digits.parse().ok());
    number.map_or((name, 0, name), |number| (stem, number, name))
}

/// Filter and selection of a list of workers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// The filter as it is typed: words that all have to occur in a worker's name, kind, owner, state, command or reason.
    pub filter: String,
    selected: Option<Name>,
    /// The place of the selected worker, for the time when it is gone.
    at: usize,
}

impl List {
    /// Returns the workers that pass the filter, in the order of [`by_name`].
    #[must_use]
    pub fn shown<'v>(&self, workers: impl Iterator<Item = &'v View>, now: Timestamp) -> Vec<&'v View> {
        let filter = self.filter.to_lowercase();
        let words: Vec<&str> = filter.split_whitespace().collect();
        let mut shown: Vec<&View> = workers.filter(|worker| passes(worker, &words, now)).collect();
        shown.sort_by(|a, b| by_name(a.name.as_str(), b.name.as_str()));
        shown
    }

    /// Returns the selected worker.
    #[must_use]
    pub const fn selected(&self) -> Option<&Name> {
        self.selected.as_ref()
    }

    /// Selects a worker.
    pub fn select(&mut self, name: Name) {
        self.selected = Some(name);
    }

    /// Keeps the selection on a worker that is shown. While its worker is shown it stays there, wherever that moved; else it goes to
    /// the worker that has its place now. Returns its place.
    pub fn settle(&mut self, shown: &[&View]) -> Option<usize> {
        let found =
            self.selected.as_ref().and_then(|name| shown.iter().position(|worker| worker.name == *name));
        let at = found.unwrap_or_else(|| self.at.min(shown.len().saturating_sub(1)));
        // A filter that nothing passes is most often half of a word: the selection is there again behind it.
        let worker = shown.get(at)?;
        self.at = at;
        self.selected = Some(worker.name.clone());
        Some(at)
    }

    /// Moves the selection by this many workers, no further than the ends.
    pub fn step(&mut self, shown: &[&View], by: isize) {
        if let Some(at) = self.settle(shown) {
            let to = at.saturating_add_signed(by).min(shown.len() - 1);
            self.selected = shown.get(to).map(|worker| worker.name.clone());
            self.at = to;
        }
    }
}

fn passes(worker: &View, words: &[&str], now: Timestamp) -> bool {
    if words.is_empty() {
        return true;
    }
    let state = Row::from(worker).state(now);
    let parts = [worker.name.as_str(), &worker.kind, worker.owner.as_str(), &state];
    let more = worker.command.iter().map(|word| word as &str);
    let reason = worker.reason.as_deref();
    let text: Vec<&str> = parts.into_iter().chain(more).chain(reason).collect();
    let text = text.join("\n").to_lowercase();
    words.iter().all(|word| text.contains(word))
}

/// A list without a worker in it, and the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// No supervisor has been reached yet, so that nothing is known.
    Unknown,
    /// There is no worker.
    None,
    /// No worker passes the filter.
    Filtered,
}

impl Empty {
    /// Returns the headline.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Unknown => "Nothing is known yet",
            Self::None => "Nothing runs yet",
            Self::Filtered => "No worker matches the filter",
        }
    }

    /// Returns the explanation for a person who sees gob for the first time.
    #[must_use]
    pub const fn lines(self) -> &'static [&'static str] {
        match self {
            Self::Unknown => &["The workers are shown as soon as the supervisor answers."],
            Self::None => &[
                "A worker is a process that gob runs for you and keeps an eye on. Every program of yours can use the same one.",
                "Start a graph to get a database with a name, or make a job to run a command in the background.",
                "In a terminal: gobctl start notes, or gobctl add npm run dev. Both appear here at once.",
            ],
            Self::Filtered => &["Names, kinds, owners, states and commands are searched."],
        }
    }
}

/// Returns workers in a line: `4 ready, 1 failed`.
#[must_use]
pub fn summary<'v>(workers: impl Iterator<Item = &'v View>) -> String {
    let mut counts = std::collections::BTreeMap::<(State, &str), usize>::new();
    for worker in workers {
        *counts.entry((worker.state, state_word(worker))).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|((_, word), count)| format!("{count} {word}")).collect();
    if counts.is_empty() { "no workers".to_owned() } else { counts.join(", ") }
}

/// Returns a worker's owner in words: `desktop (you)`, `cli`.
#[must_use]
pub fn owner(worker: &View, requester: &gob_protocol::Owner) -> String {
    let you = if worker.owner == *requester { " (you)" } else { "" };
    format!("{}{you}", worker.owner)
}

/// Returns a worker's row in one sentence, for a person who hears it: `notes, ready, owned by cli`; with the reason where
/// something is wrong.
#[must_use]
pub fn spoken(worker: &View, requester: &gob_protocol::Owner, now: Timestamp) -> String {
    let row = Row::from(worker);
    let why = failure(worker).map(|why| format!(", {}", escape(&why))).unwrap_or_default();
    format!("{}, {}, owned by {}{why}", name(row.name()), row.state(now), owner(worker, requester))
}

#[cfg(test)]
mod tests {
    use super::super::worker::tests::{now, view};
    use super::*;
    use gob_protocol::Owner;
    use serde_json::json;

    fn views(names: &[&str]) -> Vec<View> {
        names.iter().map(|name| view(json!({"name": name}))).collect()
    }

    fn names<'v>(shown: &[&'v View]) -> Vec<&'v str> {
        shown.iter().map(|worker| worker.name.as_str()).collect()
    }

    #[test]
    fn numbers_at_the_ends_of_names_are_in_their_order() {
        let all = views(&["j10", "j9", "web", "j2"]);
        assert_eq!(names(&List::default().shown(all.iter(), now())), ["j2", "j9", "j10", "web"]);
    }

    #[test]
    fn a_filter_takes_every_word_from_any_column() {
        let all = [
            view(json!({"name": "notes"})),
            view(json!({"name": "web", "kind": "job", "owner": "agent", "command": ["npm", "run", "dev"]})),
            view(json!({"name": "bad", "state": "failed", "reason": "Exited 1"})),
        ];
        let filtered = |filter: &str| {
            let list = List { filter: filter.to_owned(), ..List::default() };
            names(&list.shown(all.iter(), now())).join(" ")
        };
        assert_eq!(filtered(""), "bad notes web");
        assert_eq!(filtered("NPM agent"), "web");
        assert_eq!(filtered("exited"), "bad");
        assert_eq!(filtered("failed ready"), "");
    }

    #[test]
    fn the_selection_stays_with_its_worker_and_else_in_its_place() {
        let all = views(&["a", "b", "c", "d"]);
        let of = |keep: &[&str]| -> Vec<&View> {
            all.iter().filter(|worker| keep.contains(&worker.name.as_str())).collect()
        };
        let mut list = List::default();
        assert_eq!(list.settle(&[]), None);
        assert_eq!(list.settle(&of(&["b", "c", "d"])), Some(0));
        list.step(&of(&["b", "c", "d"]), 1);
        assert_eq!(list.selected().unwrap().as_str(), "c");
        assert_eq!(list.settle(&of(&["a", "b", "c", "d"])), Some(2), "a worker came before it");
        assert_eq!(list.settle(&of(&["a", "b", "d"])), Some(2));
        assert_eq!(list.selected().unwrap().as_str(), "d", "the next one has its place");
        assert_eq!(list.settle(&of(&["a", "b"])), Some(1));
        list.step(&of(&["a", "b"]), -9);
        assert_eq!(list.selected().unwrap().as_str(), "a");
        assert_eq!(list.settle(&[]), None);
        assert_eq!(list.selected().unwrap().as_str(), "a", "a filter hides it for a moment");
    }

    #[test]
    fn workers_are_counted_by_state() {
        let mut all = views(&["a", "b", "c"]);
        all.push(view(json!({"name": "d", "state": "failed"})));
        assert_eq!(summary(all.iter()), "3 ready, 1 failed");
        assert_eq!(summary([].iter()), "no workers");
    }

    #[test]
    fn a_row_is_spoken_in_one_sentence() {
        let worker = view(json!({"owner": "desktop"}));
        assert_eq!(
            spoken(&worker, &Owner::new("desktop").unwrap(), now()),
            "demo, ready, owned by desktop (you)"
        );
        assert_eq!(owner(&worker, &Owner::cli()), "desktop");
        let failed = view(json!({"state": "failed", "reason": "exited 1"}));
        assert_eq!(spoken(&failed, &Owner::cli(), now()), "demo, failed, owned by cli (you), exited 1");
    }
}

//! The remainder of a snapshot that came in pages (PROTOCOL 5, Looking). Pure: pages in, requests and the
//! whole out.
//!
//! Supervisor and client put everything of one connection into one order, so a page of `list` requested after
//! the snapshot is newer than it, and the events in between follow the snapshot. Applied after the pages they
//! lead to the state of `list`, also where a page already includes them: each event carries its whole worker.

use crate::error::Error;
use gob_protocol::answer::{ListData, SubscribeData};
use gob_protocol::event::Lagged;
use gob_protocol::request::{List, Subscribe};
use gob_protocol::{Name, View};
use serde::Deserialize;
use std::borrow::Cow;

/// A message with a snapshot that may have come in pages.
pub(crate) trait Paged {
    fn workers(&mut self) -> &mut Vec<View>;
}

impl Paged for SubscribeData {
    fn workers(&mut self) -> &mut Vec<View> {
        self.workers.get_or_insert_default()
    }
}

impl Paged for Lagged {
    fn workers(&mut self) -> &mut Vec<View> {
        &mut self.workers
    }
}

/// A message, whole or in part.
#[derive(Debug)]
pub(crate) enum Pages<T> {
    /// The message is whole.
    Whole(T),
    /// [`Rest::request`] must be answered first.
    More(Box<Rest<T>>),
}

/// A message whose snapshot goes on.
#[derive(Debug)]
pub(crate) struct Rest<T> {
    message: T,
    /// The subscription's filter; `list` has no field for names.
    filter: Subscribe,
    /// The last name that was in a page.
    after: Name,
}

impl Pages<SubscribeData> {
    /// Takes the answer to `subscribe`.
    pub(crate) fn of_answer(filter: &Subscribe, mut message: SubscribeData) -> Self {
        match message.next.take() {
            Some(after) => Self::More(Box::new(Rest { message, filter: filter.clone(), after })),
            None => Self::Whole(message),
        }
    }
}

impl Pages<Lagged> {
    /// Takes a `lagged` frame with pages to come; `None` for every other frame, which stays as it came.
    pub(crate) fn of_frame(filter: &Subscribe, line: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Frame<'a> {
            #[serde(borrow)]
            event: Cow<'a, str>,
            next: Option<Name>,
        }
        if !line.contains("\"lagged\"") {
            return None;
        }
        let Frame { event, next } = serde_json::from_str(line).ok()?;
        let after = next.filter(|_| event == "lagged")?;
        let message = Lagged { next: None, ..serde_json::from_str(line).ok()? };
        Some(Self::More(Box::new(Rest { message, filter: filter.clone(), after })))
    }
}

impl<T: Paged> Rest<T> {
    /// Returns the request for the next page, to be sent on the connection of the subscription.
    pub(crate) fn request(&self) -> List {
        let (owner, cwd) = (self.filter.owner.clone(), self.filter.cwd.clone());
        List { owner, cwd, after: Some(self.after.clone()), ..List::default() }
    }

    /// Takes the answer to it.
    pub(crate) fn take(mut self, page: ListData) -> Pages<T> {
        let ListData { workers, next } = page;
        let names = self.filter.names.as_ref();
        let is_wanted = |worker: &View| names.is_none_or(|names| names.contains(&worker.name));
        self.message.workers().extend(workers.into_iter().filter(is_wanted));
        // A page that does not advance is the last.
        match next.filter(|next| *next > self.after) {
            Some(after) => Pages::More(Box::new(Rest { after, ..self })),
            None => Pages::Whole(self.message),
        }
    }
}

/// Writes a `lagged` frame that was collected.
///
/// # Errors
/// When it can't be written as JSON, which is a defect.
pub(crate) fn line_of(lagged: &Lagged) -> Result<String, Error> {
    serde_json::to_string(lagged).map_err(|source| Error::Answer { request: "list".to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Call as _;
    use serde_json::{Value, json};

    fn view(name: &str) -> Value {
        json!({
            "name": name, "kind": "graph", "graph": name, "description": null, "root_dir": null, "cwd": null,
            "command": [], "owner": "cli", "owned": true, "state": "idle", "pid": null, "pgid": null, "endpoint": null,
            "meta": {}, "run": 1, "created_at": "2026-11-20T10:00:00.000Z", "started_at": null, "ready_at": null,
            "stopped_at": null, "exit": null, "restarts": 0, "next_restart_at": null, "leases": 0, "lease_holders": [],
            "stdout_path": null, "stderr_path": null, "reason": null,
        })
    }

    fn page(names: &[&str], next: Option<&str>) -> ListData {
        let workers: Vec<Value> = names.iter().map(|name| view(name)).collect();
        let page = next
            .map_or_else(|| json!({"workers": workers}), |next| json!({"workers": workers, "next": next}));
        serde_json::from_value(page).unwrap()
    }

    fn more<T: std::fmt::Debug>(pages: Pages<T>) -> Box<Rest<T>> {
        match pages {
            Pages::More(rest) => rest,
            Pages::Whole(message) => panic!("whole: {message:?}"),
        }
    }

    fn whole<T: std::fmt::Debug>(pages: Pages<T>) -> T {
        match pages {
            Pages::Whole(message) => message,
            Pages::More(rest) => panic!("more: {rest:?}"),
        }
    }

    fn names(workers: &[View]) -> Vec<&str> {
        workers.iter().map(|worker| worker.name.as_str()).collect()
    }

    #[test]
    fn an_answer_is_gone_on_with_where_it_ended_until_a_page_leads_nowhere() {
        let owner = Some(gob_protocol::Owner::cli());
        let only = ["a", "c", "e"].map(|name| Name::any(name).unwrap()).to_vec();
        let filter = Subscribe { owner, names: Some(only), snapshot: true, ..Subscribe::default() };
        let data = json!({"seq": 7, "instance": "i", "workers": [view("a")], "next": "a"});
        let rest = more(Pages::of_answer(&filter, serde_json::from_value(data).unwrap()));
        let asked: Vec<u8> = gob_protocol::envelope::write_request(
            &gob_protocol::Id::Number(1),
            &rest.request().into_request(),
        )
        .unwrap();
        let asked: Value = serde_json::from_slice(&asked).unwrap();
        assert_eq!(asked["payload"], json!({"owner": "cli", "after": "a"}));
        let rest = more(rest.take(page(&["b", "c"], Some("c"))));
        assert_eq!(rest.request().after, Name::any("c").ok());
        let data = whole(rest.take(page(&["d", "e"], Some("c"))));
        assert_eq!(names(data.workers.as_deref().unwrap()), ["a", "c", "e"], "only what was asked for");
        assert_eq!((data.seq, data.next), (7, None));
    }

    #[test]
    fn lagged_becomes_whole_and_every_other_frame_stays_as_it_came() {
        let filter = Subscribe::default();
        let lagged = json!({"event": "lagged", "missed": 3, "seq": 9, "workers": [view("a")], "next": "a"});
        let rest = more(Pages::of_frame(&filter, &lagged.to_string()).unwrap());
        let lagged = whole(rest.take(page(&["b"], None)));
        let again: Lagged = serde_json::from_str(&line_of(&lagged).unwrap()).unwrap();
        assert_eq!(
            (names(&again.workers), again.missed, again.seq, again.next),
            (vec!["a", "b"], 3, 9, None)
        );
        for line in [
            json!({"event": "lagged", "missed": 3, "seq": 9, "workers": [], "tomorrow": 1}).to_string(),
            json!({"event": "worker_ready", "seq": 9, "worker": view("lagged"), "next": "a"}).to_string(),
            "\"lagged\"".to_owned(),
        ] {
            assert!(Pages::of_frame(&filter, &line).is_none(), "{line}");
        }
    }
}

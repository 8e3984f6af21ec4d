//! `events --no-follow`: the events that the supervisor keeps, and then an end.
//!
//! Filters are applied here, since a filtered replay has no end that could be noticed.

use super::EventView;
use crate::context::Context;
use crate::failure::Failure;
use crate::replay::replay;
use gob_client::blocking::Client;
use gob_client::protocol::answer::SubscribeData;
use gob_client::protocol::limits::RING_EVENTS;
use gob_client::protocol::request::Subscribe;
use gob_client::protocol::{Event, EventKind};
use gob_client::{View, call};
use gob_protocol::queue::QueueJob;

/// Prints the events after the given one, else from the earliest.
pub(super) fn show(context: &Context, wanted: &Subscribe, view: &mut EventView<'_>) -> Result<u8, Failure> {
    let end = crate::stream::End::of(context.timeout);
    let (mut client, data) = match wanted.since {
        Some(since) => subscribed(context, Some(since), wanted.snapshot)?,
        None => earliest(context, wanted.snapshot)?,
    };
    if data.gap {
        context.note("some of these events are gone; this is the state that they led to");
    }
    if data.gap || wanted.snapshot {
        let workers = data
            .workers
            .as_ref()
            .map(|workers| workers.iter().filter(|worker| wants_worker(wanted, worker)).cloned().collect());
        view.snapshot(&SubscribeData { workers, ..data.clone() })?;
    }
    let first = wanted.since.unwrap_or(0);
    replay(&mut client, (first, &data), (&end, "events --no-follow"), |line| {
        if wants(wanted, line) { view.frame(line) } else { Ok(()) }
    })?;
    Ok(0)
}

fn subscribed(
    context: &Context,
    since: Option<u64>,
    snapshot: bool,
) -> Result<(Client, SubscribeData), Failure> {
    let mut client = context.connect("subscribe")?;
    let data = client.subscribe(Subscribe { since, snapshot, ..Subscribe::default() })?;
    Ok((client, data))
}

/// Requests all kept events, or where their number is unknown at least half of them: from further and further
/// back.
fn earliest(context: &Context, snapshot: bool) -> Result<(Client, SubscribeData), Failure> {
    let mut back = RING_EVENTS as u64;
    let mut client = context.connect("status")?;
    let seq = client.ask(call::Status)?.events_seq;
    drop(client);
    loop {
        let since = seq.saturating_sub(back);
        let (client, data) = subscribed(context, Some(since), snapshot)?;
        if !data.gap {
            if since > 0 {
                context.note(&format!("from event {} on; earlier ones may be gone", since + 1));
            }
            return Ok((client, data));
        }
        if back == 0 {
            return Ok((client, data));
        }
        back /= 2;
    }
}

/// Returns whether an event passes every given filter, as the supervisor would decide (PROTOCOL 7). An event
/// that this version can't parse passes where there is no filter.
fn wants(wanted: &Subscribe, line: &str) -> bool {
    let about_workers = wanted.names.is_some() || wanted.cwd.is_some();
    let Ok(event) = serde_json::from_str::<Event>(line) else {
        return wanted.events.is_none() && !about_workers;
    };
    let is_wanted = |kind: EventKind| wanted.events.as_ref().is_none_or(|kinds| kinds.contains(&kind));
    let of_worker = |view: &View| wants_worker(wanted, view);
    let of_job = |job: &QueueJob| {
        wanted.names.as_ref().is_none_or(|names| names.contains(&job.id))
            && wanted.cwd.as_ref().is_none_or(|cwd| *cwd == job.cwd)
    };
    let passes = event.worker.as_ref().map(of_worker).or_else(|| event.job.as_deref().map(of_job));
    is_wanted(event.event) && passes.unwrap_or(!about_workers)
}

fn wants_worker(wanted: &Subscribe, view: &View) -> bool {
    wanted.names.as_ref().is_none_or(|names| names.contains(&view.name))
        && (wanted.cwd.is_none() || wanted.cwd.as_deref() == view.cwd.as_deref())
}

//! `gobctl brief`: what changed, what fails and why, what to type next, in few lines.

mod cursor;
mod text;

use super::{Effect, LOOKING, Verb};
use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::replay::replay;
use crate::speech::Speech;
use crate::stream::End;
use crate::terminal::Look;
use crate::text::now;
use clap::{Arg, ArgMatches};
use cursor::Since;
use gob_client::blocking::Client;
use gob_client::call::History;
use gob_client::protocol::answer::SubscribeData;
use gob_client::protocol::request::Subscribe;
use gob_client::protocol::{Cursor, Event, HistoryEntry};
use gob_client::{Error, View};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use text::{Changes, Past};

/// Most changes of one answer (PROTOCOL, History).
const PAGE: u32 = 1000;

pub(crate) const VERB: Verb = Verb {
    path: &["brief"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "What changed, what fails and why, and what to type next, in few lines",
    examples: "Examples:\n  gobctl brief\n  gobctl brief --since 41\n  gobctl brief --since \"$(gobctl brief | tail -1)\"\n\nIts last line is a cursor, which --since takes. It has 40 lines at most.\n",
    command: |command| {
        command.arg(
            Arg::new("since").long("since").value_name("CURSOR").value_parser(Since::parse).help(
                "What changed after this: the last line of an earlier brief, or the number of an event",
            ),
        )
    },
    run: Some(run),
    ..Verb::ROW
};

/// The brief for programs.
#[derive(Serialize)]
struct Brief<'a> {
    cursor: String,
    gap: bool,
    changes: Vec<Box<RawValue>>,
    workers: &'a [View],
}

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let told = Told::new(context, matches.get_one::<Since>("since").cloned())?;
    let brief = if context.json { told.json() } else { told.text(context.look(), Speech::Commands) };
    out::print(&format!("{brief}\n")).map(|()| 0)
}

/// Returns the brief that an agent is told; `since` is a cursor as the last line of one has it.
pub(crate) fn for_agent(context: &Context, since: Option<&str>) -> Result<String, Failure> {
    let since = since.map(Since::parse).transpose();
    let since = since
        .map_err(|_| Failure::usage("since is no cursor; the last line of a brief is one".to_owned()))?;
    let look = Look { color: false, width: None };
    Ok(Told::new(context, since)?.text(look, Speech::Tools))
}

/// All that a brief tells.
struct Told {
    workers: Vec<View>,
    found: Found,
    cursor: Cursor,
}

impl Told {
    fn new(context: &Context, since: Option<Since>) -> Result<Self, Failure> {
        let end = End::of(context.timeout);
        let mut client = context.connect("brief")?;
        context.note_state_dir(&context.dirs()?, &client);
        let data = client.subscribe(Subscribe {
            since: since.as_ref().map(|since| since.seq),
            instance: since.as_ref().and_then(|since| since.instance.clone()),
            snapshot: true,
            ..Subscribe::default()
        })?;
        let mut found = Found { past: Past::NotAsked, raw: Vec::new() };
        if let Some(since) = since {
            found = since_then(context, &mut client, (since, &data), &end)?;
        }
        let cursor = Cursor { instance: data.instance, seq: data.seq };
        let workers = data.workers.unwrap_or_default();
        Ok(Self { workers, found, cursor })
    }

    fn json(self) -> String {
        let Self { workers, found, cursor } = self;
        let gap = found.past.has_gap();
        let brief = Brief { cursor: cursor.to_string(), gap, changes: found.raw, workers: &workers };
        serde_json::to_string(&brief).unwrap_or_default()
    }

    fn text(&self, look: Look, speech: Speech) -> String {
        text::brief(&self.workers, &self.found.past, now(), (look, speech)) + &self.cursor.to_string()
    }
}

/// The changes since a cursor, for people, and as they came for programs.
struct Found {
    past: Past,
    raw: Vec<Box<RawValue>>,
}

/// Returns the changes between a cursor and the subscription: those that the supervisor still has as events, else those
/// of the history.
fn since_then(
    context: &Context,
    client: &mut Client,
    (since, data): (Since, &SubscribeData),
    end: &End,
) -> Result<Found, Failure> {
    let after = Cursor { instance: since.instance.unwrap_or_else(|| data.instance.clone()), seq: since.seq };
    let is_of_this = after.instance == data.instance;
    if is_of_this && after.seq > data.seq {
        return Ok(Found { past: Past::Ahead, raw: Vec::new() });
    }
    if !is_of_this || data.gap {
        return from_history(context, client, after, data);
    }
    let (mut changes, mut raw) = (Changes::default(), Vec::new());
    replay(client, (after.seq, data), (end, "brief"), |line| {
        if let Ok(event) = serde_json::from_str::<Event>(line) {
            changes.take(&event);
        }
        raw.extend(context.json.then(|| RawValue::from_string(line.to_owned())).and_then(Result::ok));
        Ok(())
    })?;
    Ok(Found { past: Past::Known { changes, is_whole: true }, raw })
}

/// Returns the changes from the history. Where it can't be read, the brief tells the present, and says so.
fn from_history(
    context: &Context,
    client: &mut Client,
    mut after: Cursor,
    data: &SubscribeData,
) -> Result<Found, Failure> {
    let (mut changes, mut raw, mut is_whole) = (Changes::default(), Vec::new(), true);
    loop {
        let page = match context.call(client, History { after: after.clone(), limit: Some(PAGE) }) {
            Ok(page) => page.read()?,
            Err(Error::Refused(error)) => {
                return Ok(Found { past: Past::Unread(error.message), raw: Vec::new() });
            }
            Err(error) => return Err(error.into()),
        };
        if page.unknown {
            return Ok(Found { past: Past::Unknown, raw: Vec::new() });
        }
        is_whole &= !page.gap;
        // Later ones are told by the next brief.
        let is_before = |entry: &&HistoryEntry| entry.instance != data.instance || entry.seq <= data.seq;
        for entry in page.entries.iter().filter(is_before) {
            changes.take_entry(entry);
            raw.extend(context.json.then(|| to_raw_value(entry)).and_then(Result::ok));
        }
        // A page that does not advance ends the list.
        match page.next.filter(|next| *next != after) {
            Some(next) => after = next,
            None => return Ok(Found { past: Past::Known { changes, is_whole }, raw }),
        }
    }
}

//! `gobctl brief`: what changed, what fails and why, what to type next, in few lines.

mod cursor;
mod text;

use super::{Effect, LOOKING, Verb};
use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::replay::replay;
use crate::stream::End;
use crate::text::now;
use clap::{Arg, ArgMatches};
use cursor::Cursor;
use gob_client::View;
use gob_client::protocol::Event;
use gob_client::protocol::request::Subscribe;
use serde::Serialize;
use serde_json::value::RawValue;
use text::{Changes, Past};

pub(crate) const VERB: Verb = Verb {
    path: &["brief"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "What changed, what fails and why, and what to type next, in few lines",
    examples: "Examples:\n  gobctl brief\n  gobctl brief --since 41\n  gobctl brief --since \"$(gobctl brief | tail -1)\"\n\nIts last line is a cursor, which --since takes. It has 40 lines at most.\n",
    command: |command| {
        command.arg(
            Arg::new("since").long("since").value_name("CURSOR").value_parser(Cursor::parse).help(
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
    let since = matches.get_one::<Cursor>("since").cloned();
    let end = End::of(context.timeout);
    let mut client = context.connect("brief")?;
    context.note_state_dir(&context.dirs()?, &client);
    let data = client.subscribe(Subscribe {
        since: since.as_ref().map(|cursor| cursor.seq),
        instance: since.as_ref().and_then(|cursor| cursor.instance.clone()),
        snapshot: true,
        ..Subscribe::default()
    })?;
    let cursor = Cursor { instance: Some(data.instance.clone()), seq: data.seq };
    let mut changes = Changes::default();
    let mut raw = Vec::new();
    let past = match &since {
        None => Past::NotAsked,
        Some(since) if since.instance.as_ref().is_some_and(|of| *of != data.instance) => Past::OfAnother,
        Some(since) if data.gap || since.seq > data.seq => Past::Gone,
        Some(since) => {
            replay(&mut client, (since.seq, &data), (&end, "brief"), |line| {
                if let Ok(event) = serde_json::from_str::<Event>(line) {
                    changes.take(&event);
                }
                raw.extend(context.json.then(|| RawValue::from_string(line.to_owned())).and_then(Result::ok));
                Ok(())
            })?;
            Past::Known(&changes)
        }
    };
    let workers = data.workers.unwrap_or_default();
    let brief = if context.json {
        let gap = matches!(past, Past::OfAnother | Past::Gone);
        let brief = Brief { cursor: cursor.to_string(), gap, changes: raw, workers: &workers };
        serde_json::to_string(&brief).unwrap_or_default()
    } else {
        text::brief(&workers, &past, now(), context.look()) + &cursor.to_string()
    };
    out::print(&format!("{brief}\n")).map(|()| 0)
}

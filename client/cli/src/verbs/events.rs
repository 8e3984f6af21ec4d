//! `gobctl events`: what happens, as it happens.

use super::list::here;
use super::{LOOKING, Verb};
use crate::clock::Clock;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::EventLines;
use crate::text::{escape, nearest, now, parse_number};
use crate::{out, rows};
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::blocking::Client;
use gob_client::protocol::Event;
use gob_client::protocol::answer::SubscribeData;
use gob_client::protocol::event::{EventKind, Lagged};
use gob_client::protocol::request::Subscribe;
use gob_client::{Name, Request, requests};
use std::io::IsTerminal;

pub(crate) const VERB: Verb = Verb {
    name: "events",
    aliases: &[],
    group: LOOKING,
    about: "What happens, as it happens",
    examples: "Examples:\n  gobctl events\n  gobctl events demo --type ready --type stopped\n  gobctl events --since 41 --json\n",
    command: |command| {
        command
            .arg(
                Arg::new("name")
                    .value_name("NAME")
                    .num_args(0..)
                    .value_parser(|text: &str| Name::any(text))
                    .help("Workers, also such as are not there yet; all without it"),
            )
            .arg(
                Arg::new("since")
                    .long("since")
                    .value_name("SEQ")
                    .value_parser(parse_number::<u64>)
                    .help("Also what came after this event"),
            )
            .arg(
                Arg::new("type")
                    .long("type")
                    .value_name("TYPE")
                    .num_args(1)
                    .action(ArgAction::Append)
                    .value_parser(parse_kind)
                    .help("Only these events"),
            )
            .arg(
                Arg::new("here")
                    .long("here")
                    .action(ArgAction::SetTrue)
                    .help("Only workers with this working directory"),
            )
            .arg(Arg::new("snapshot").long("snapshot").action(ArgAction::SetTrue).help("First what there is"))
    },
    run,
};

/// Takes `worker_ready` and `ready`.
fn parse_kind(text: &str) -> Result<EventKind, String> {
    let text = text.replace('-', "_");
    let full = format!("worker_{text}");
    let known = EventKind::ALL.iter().find(|kind| kind.as_str() == text || kind.as_str() == full);
    known.copied().ok_or_else(|| {
        let near =
            nearest(&text, EventKind::ALL.iter().map(|kind| kind.as_str().trim_start_matches("worker_")));
        let all = || {
            EventKind::ALL
                .iter()
                .map(|kind| kind.as_str().trim_start_matches("worker_"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        near.map_or_else(|| format!("events are {}", all()), |near| format!("did you mean {near}?"))
    })
}

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let subscribe = Subscribe {
        since: matches.get_one::<u64>("since").copied(),
        names: matches.get_many::<Name>("name").map(|names| names.cloned().collect()),
        events: matches.get_many::<EventKind>("type").map(|kinds| kinds.copied().collect()),
        cwd: matches.get_flag("here").then(here).transpose()?,
        snapshot: matches.get_flag("snapshot"),
        ..Subscribe::default()
    };
    let wants_snapshot = subscribe.snapshot;
    let (mut client, data) = context.ask(&Request::Subscribe(subscribe))?;
    let answer: SubscribeData = requests::read("subscribe", &data)?;
    out::end_with_reader();
    if context.json || !std::io::stdout().is_terminal() {
        if answer.gap || wants_snapshot {
            out::print(&format!("{}\n", data.get()))?;
        }
        return pass_on(&mut client);
    }
    if answer.gap {
        context.note("some of these events are gone; this is the state that they led to");
    }
    if let Some(workers) = answer.workers.filter(|workers| !workers.is_empty()) {
        out::print(&rows::list_of(&workers, now(), context.look()))?;
    }
    show(context, &mut client)
}

/// One event per line, as they came.
fn pass_on(client: &mut Client) -> Result<u8, Failure> {
    while let Some(line) = client.next_event(None)? {
        out::print(&format!("{line}\n"))?;
    }
    Err(gone())
}

fn show(context: &Context, client: &mut Client) -> Result<u8, Failure> {
    let (mut lines, clock) = (EventLines::default(), Clock::local());
    while let Some(line) = client.next_event(None)? {
        if let Ok(event) = serde_json::from_str::<Event>(&line) {
            out::print(&lines.line(&event, context.look(), |time| clock.stamp(time, now())))?;
        } else if let Ok(lagged) = serde_json::from_str::<Lagged>(&line) {
            context.note(&format!("{} events were missed: this terminal was too slow", lagged.missed));
            out::print(&rows::list_of(&lagged.workers, now(), context.look()))?;
        } else if context.verbose {
            context.note(&format!("an event that this version does not know: {}", escape(&line)));
        }
    }
    Err(gone())
}

fn gone() -> Failure {
    Failure::own("supervisor-unreachable", 7, "the supervisor has gone away".to_owned())
        .hint("gobctl events, once there is another one; see gobctl daemon logs")
}

//! `gobctl events`: events as they happen.

mod past;

use super::list::here;
use super::{Effect, LOOKING, Verb, timeout};
use crate::afar::Afar;
use crate::clock::Clock;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::EventLines;
use crate::stream::{Stream, Told};
use crate::text::{escape, now, parse_number};
use crate::{out, rows};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::Name;
use gob_client::protocol::Event;
use gob_client::protocol::answer::SubscribeData;
use gob_client::protocol::event::{EventKind, Lagged};
use gob_client::protocol::request::Subscribe;
use std::io::IsTerminal;

pub(crate) const VERB: Verb = Verb {
    path: &["events"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "What happens, as it happens",
    examples: "Examples:\n  gobctl events\n  gobctl events demo --type ready --type stopped\n  gobctl events --since 41 --json\n  gobctl events --no-follow --format text | grep failed\n",
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
                    .help("Also what came after the event of this number"),
            )
            .arg(
                Arg::new("type")
                    .long("type")
                    .value_name("TYPE")
                    .num_args(1)
                    .action(ArgAction::Append)
                    .value_parser(kinds())
                    .help("Only these events; more than once for several"),
            )
            .arg(
                Arg::new("here")
                    .long("here")
                    .action(ArgAction::SetTrue)
                    .help("Only workers with this working directory"),
            )
            .arg(Arg::new("snapshot").long("snapshot").action(ArgAction::SetTrue).help("First what there is"))
            .arg(
                Arg::new("no-follow")
                    .long("no-follow")
                    .action(ArgAction::SetTrue)
                    .help("Only what has happened, as far back as the supervisor keeps it"),
            )
            .arg(
                Arg::new("format").long("format").value_name("FORM").value_parser(["text", "json"]).help(
                    "text, one line for people, as on a terminal; json, one object a line, as in a pipe",
                ),
            )
    },
    timeout: timeout::STREAM,
    afar: Afar::Here(&["here"]),
    run: Some(run),
    ..Verb::ROW
};

/// Returns the word for an event: `ready` for `worker_ready`.
fn word(kind: EventKind) -> &'static str {
    kind.as_str().trim_start_matches("worker_").trim_start_matches("queue_")
}

/// Names that may be written with a dash as well.
const DASHED: [(EventKind, &str); 11] = [
    (EventKind::QueueJobAdded, "job-added"),
    (EventKind::QueueJobStarted, "job-started"),
    (EventKind::QueueJobFinished, "job-finished"),
    (EventKind::QueueJobRecovered, "job-recovered"),
    (EventKind::WorkerOwnerChanged, "owner-changed"),
    (EventKind::LeaseGranted, "lease-granted"),
    (EventKind::LeaseReleased, "lease-released"),
    (EventKind::LockWaiting, "lock-waiting"),
    (EventKind::LockGranted, "lock-granted"),
    (EventKind::LockReleased, "lock-released"),
    (EventKind::LockBroken, "lock-broken"),
];

/// Parses `ready`, `worker_ready` and `owner-changed`. Reserved names are refused.
fn kinds() -> impl TypedValueParser<Value = EventKind> {
    let reserved = |kind: EventKind| {
        let kind = kind.as_str();
        kind == "lagged"
    };
    let served = EventKind::ALL.iter().copied().filter(move |kind| !reserved(*kind));
    let values = served.map(|kind| {
        let dashed = DASHED.iter().find(|(of, _)| *of == kind).map(|(_, dashed)| *dashed);
        PossibleValue::new(word(kind)).alias(kind.as_str()).aliases(dashed)
    });
    PossibleValuesParser::new(values).try_map(|text: String| {
        let text = text.replace('-', "_");
        let known = EventKind::ALL.iter().find(|kind| kind.as_str() == text || word(**kind) == text);
        known.copied().ok_or_else(|| format!("{text} is no event"))
    })
}

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let as_text = match matches.get_one::<String>("format").map(String::as_str) {
        Some("text") if context.json => {
            return Err(Failure::usage("--json and --format text are two forms".to_owned()));
        }
        Some("text") => true,
        Some(_) => false,
        None => !context.json && std::io::stdout().is_terminal(),
    };
    let wanted = Subscribe {
        since: matches.get_one::<u64>("since").copied(),
        names: matches.get_many::<Name>("name").map(|names| names.cloned().collect()),
        events: matches.get_many::<EventKind>("type").map(|kinds| kinds.copied().collect()),
        cwd: matches.get_flag("here").then(here).transpose()?,
        snapshot: matches.get_flag("snapshot"),
        ..Subscribe::default()
    };
    let mut view = EventView::new(context, as_text);
    if matches.get_flag("no-follow") {
        return past::show(context, &wanted, &mut view);
    }
    let wants_snapshot = wanted.snapshot;
    let mut stream = Stream::open(context, "events", wanted)?;
    out::end_with_reader();
    loop {
        match stream.next(None)? {
            Told::Subscribed(data) if data.gap || wants_snapshot => view.snapshot(&data)?,
            Told::Subscribed(_) | Told::Nothing => {}
            Told::Frame(line) => view.frame(&line)?,
        }
    }
}

/// The form of the events: one a line for people, or as they came.
struct EventView<'a> {
    context: &'a Context,
    /// The words for people, and their clock.
    text: Option<(EventLines, Clock)>,
}

impl<'a> EventView<'a> {
    fn new(context: &'a Context, as_text: bool) -> Self {
        Self { context, text: as_text.then(|| (EventLines::default(), Clock::local())) }
    }

    fn snapshot(&self, data: &SubscribeData) -> Result<(), Failure> {
        if self.text.is_none() {
            return out::print(&format!("{}\n", serde_json::to_string(data).unwrap_or_default()));
        }
        match &data.workers {
            Some(workers) if !workers.is_empty() => {
                out::print(&rows::list_of(workers, now(), self.context.look()))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn frame(&mut self, line: &str) -> Result<(), Failure> {
        let context = self.context;
        let Some((lines, clock)) = &mut self.text else { return out::print(&format!("{line}\n")) };
        if let Ok(event) = serde_json::from_str::<Event>(line) {
            out::print(&lines.line(&event, context.look(), |time| clock.stamp(time, now())))?;
        } else if let Ok(lagged) = serde_json::from_str::<Lagged>(line) {
            context.note(&format!("{} events were missed: they were not read fast enough", lagged.missed));
            out::print(&rows::list_of(&lagged.workers, now(), context.look()))?;
        } else if context.verbose {
            context.note(&format!("an event that this version does not know: {}", escape(line)));
        }
        Ok(())
    }
}

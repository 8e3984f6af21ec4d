//! `gobctl lock status`: who holds locks, and who waits.

use super::{broken, file_args, file_order, lock_name, name_of_lock, table, wording};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::guard::FileOrder;
use crate::out;
use crate::screen::Screen;
use crate::stream::{Stream, Told};
use crate::verbs::{Effect, Verb, timeout};
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::call::{LockStatus, Subscribe};
use gob_client::file_lock::{Info, Standing, Status};
use gob_client::protocol::LockName;
use gob_client::protocol::event::{Event, EventKind};
use serde::Serialize;
use std::io::IsTerminal as _;
use std::time::Duration;

pub(crate) const VERB: Verb = Verb {
    path: &["lock", "status"],
    effect: Effect::Reads,
    flags: &[("force", Effect::Destroys)],
    about: "Show who holds locks and who waits for them",
    examples: "Examples:\n  gobctl lock status\n  gobctl lock status deploy --verbose\n  gobctl lock status --file /srv/db/.lock\n",
    command: |command| {
        let watch = Arg::new("watch")
            .long("watch")
            .action(ArgAction::SetTrue)
            .conflicts_with_all(["file", "force"])
            .help("Go on, with a new table at each change");
        file_args(command.arg(name_of_lock(false)).arg(watch), false).arg(
            Arg::new("force")
                .long("force")
                .action(ArgAction::SetTrue)
                .help("Break the lock and say whose it was, as lock break does"),
        )
    },
    timeout: timeout::LIST,
    afar: Afar::Here(&["file"]),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let breaks = matches.get_flag("force");
    if let Some(order) = file_order(matches, None) {
        return file(context, order, breaks, false);
    }
    match lock_name(matches)? {
        Some(lock) if breaks => broken::named(context, lock, false),
        None if breaks => Err(Failure::usage("the name of the lock to break is missing".to_owned())),
        lock if matches.get_flag("watch") => watch(context, lock.as_ref()),
        lock => {
            let (_, reply) = context.ask(LockStatus { lock: lock.clone() })?;
            let status = reply.read()?;
            if let Some(ms) = status.claims_ms {
                context.note(&wording::claims(ms));
            }
            if context.json {
                return print_data(reply.data()).map(|()| 0);
            }
            out::print(&table::of(&status, lock.as_ref(), context.verbose, context.look())).map(|()| 0)
        }
    }
}

/// Time between two drawings on a terminal: ages grow.
const TICK: Duration = Duration::from_secs(1);

/// Shows the locks again after each change, until this program is ended.
fn watch(context: &Context, lock: Option<&LockName>) -> Result<u8, Failure> {
    let redraws = std::io::stdout().is_terminal() && !context.json;
    let aside = Context { quiet: context.quiet || redraws, ..context.clone() };
    let events =
        [EventKind::LockWaiting, EventKind::LockGranted, EventKind::LockReleased, EventKind::LockBroken];
    let wanted = Subscribe { events: Some(events.to_vec()), ..Subscribe::default() };
    let mut stream = Stream::open(&aside, "lock status --watch", wanted)?;
    let screen = redraws.then(Screen::enter).transpose()?;
    out::end_with_reader();
    let quiet = aside.without_autostart();
    loop {
        match stream.next(redraws.then_some(TICK))? {
            Told::Frame(line) if is_of_another(&line, lock) => continue,
            Told::Subscribed(_) | Told::Frame(_) | Told::Nothing => {}
        }
        let Ok((_, reply)) = quiet.ask(LockStatus { lock: lock.cloned() }) else {
            if let Some(screen) = &screen {
                screen.draw(&context.folded(&format!("{}\n", stream.gone())))?;
            }
            continue;
        };
        if context.json {
            print_data(reply.data())?;
            continue;
        }
        let text = table::of(&reply.read()?, lock, context.verbose, context.look());
        match &screen {
            Some(screen) => screen.draw(&text)?,
            None => out::print(&format!("{text}\n"))?,
        }
    }
}

fn is_of_another(line: &str, lock: Option<&LockName>) -> bool {
    let event = serde_json::from_str::<Event>(line).ok();
    lock.is_some() && event.is_some_and(|event| event.lock.is_some() && event.lock.as_ref() != lock)
}

/// A lock file, for programs.
#[derive(Serialize)]
struct Shown<'a> {
    path: String,
    state: &'static str,
    holder: Option<&'a Info>,
    age_ms: Option<u64>,
    broken: bool,
}

/// Shows a lock file or breaks it; `needed` refuses to break one that is not there.
pub(super) fn file(context: &Context, order: FileOrder, breaks: bool, needed: bool) -> Result<u8, Failure> {
    let path = order.path.to_string_lossy().into_owned();
    let lock = order.lock();
    let status = if breaks { lock.force_unlock() } else { lock.status() };
    let status = status.map_err(|error| wording::file_failure(&error, 1))?;
    if needed && status.is_none() {
        return Err(Failure::own("server-not-found", 4, format!("{path} is not locked")));
    }
    if context.json {
        let state = match status.as_ref().map(|status| &status.standing) {
            None => "free",
            Some(Standing::Held(_)) => "held",
            Some(Standing::Stale(_)) => "stale",
            Some(Standing::Unreadable | Standing::Broken) => "unreadable",
        };
        let age_ms = |status: &Status| u64::try_from(status.age?.as_millis()).ok();
        let shown = Shown {
            path,
            state,
            holder: status.as_ref().and_then(|status| status.standing.info()),
            age_ms: status.as_ref().and_then(age_ms),
            broken: breaks && status.is_some(),
        };
        let data = serde_json::value::to_raw_value(&shown)
            .map_err(|error| Failure::own("internal", 1, error.to_string()))?;
        return print_data(&data).map(|()| 0);
    }
    if breaks && let Some(status) = &status {
        return out::print(&format!("broke {path}, which was {}\n", wording::file_line(Some(status))))
            .map(|()| 0);
    }
    out::print(&format!("{path}: {}\n", wording::file_line(status.as_ref()))).map(|()| 0)
}

//! `gobctl list`: the workers. Without a supervisor, the last known state.

use super::{Effect, LOOKING, Verb, timeout};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::last::LastState;
use crate::text::now;
use crate::{out, rows};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::call::List;
use gob_client::protocol::State;
use gob_client::protocol::answer::ListData;
use gob_client::protocol::shell::word;
use gob_client::screen::{Row, Rows};
use gob_client::{Error, Owner, View};

/// The most workers that a hint names.
const NAMED: usize = 5;
/// The word of the table for a job that is ready.
const RUNNING: &str = "running";

pub(crate) const VERB: Verb = Verb {
    path: &["list"],
    aliases: &["ls", "ps"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "What there is, and whose it is",
    examples: "Examples:\n  gobctl list\n  gobctl list --owner desktop --state ready\n",
    command: |command| {
        command
            .arg(
                Arg::new("of-owner")
                    .long("owner")
                    .value_name("OWNER")
                    .value_parser(|text: &str| Owner::new(text))
                    .help("Only workers of this owner; before the verb, --owner says who asks"),
            )
            .arg(Arg::new("kind").long("kind").value_name("KIND").help("Only workers of this kind"))
            .arg(
                Arg::new("state")
                    .long("state")
                    .value_name("STATE")
                    .value_parser(
                        PossibleValuesParser::new(State::ALL.map(State::as_str).into_iter().chain([RUNNING]))
                            .try_map(parse_state),
                    )
                    .help("Only workers in this state; running, as jobs are said to be, is ready"),
            )
            .arg(
                Arg::new("here")
                    .long("here")
                    .action(ArgAction::SetTrue)
                    .help("Only workers whose working directory is this one"),
            )
            .arg(
                Arg::new("watch")
                    .long("watch")
                    .action(ArgAction::SetTrue)
                    .help("Go on, with a new list at each change"),
            )
    },
    timeout: timeout::LIST,
    filters_by_owner: true,
    afar: Afar::Here(&["here", "no-autostart"]),
    run: Some(run),
    ..Verb::ROW
};

fn parse_state(text: String) -> Result<State, String> {
    let text = if text == RUNNING { State::Ready.as_str().to_owned() } else { text };
    let known = State::ALL.into_iter().find(|state| state.as_str() == text);
    known.ok_or_else(|| format!("{text} is no state"))
}

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let filter = List {
        owner: matches.get_one::<Owner>("of-owner").cloned(),
        kind: matches.get_one::<String>("kind").cloned(),
        state: matches.get_one::<State>("state").copied(),
        cwd: matches.get_flag("here").then(here).transpose()?,
        ..List::default()
    };
    if matches.get_flag("watch") {
        return super::list_watch::watch(context, &filter);
    }
    let whole = |(mut client, first): (gob_client::blocking::Client, _)| {
        client.whole_list(&filter, first).map(|reply| (client, reply)).map_err(Failure::from)
    };
    match context.ask(filter.clone()).and_then(whole) {
        Ok((_, reply)) if context.json => print_data(reply.data())?,
        Ok((client, reply)) => {
            context.note_state_dir(&context.dirs()?, &client);
            context.note_config(&client);
            let Rows { mut workers } = reply.read_as()?;
            rows::sort(&mut workers);
            show(context, &filter, &workers)?;
        }
        Err(Failure::Client(error @ Error::Nobody { .. })) => last_known(context, &filter, error)?,
        Err(failure) => return Err(failure),
    }
    Ok(0)
}

/// Returns the working directory as the supervisor compares it.
pub(super) fn here() -> Result<String, Failure> {
    let cwd = std::env::current_dir().map_err(|error| {
        Failure::own("no-cwd", 1, "cannot read the working directory".to_owned()).cause(error.to_string())
    })?;
    cwd.into_os_string().into_string().map_err(|_| {
        Failure::usage("the working directory is not UTF-8, and no worker has such a one".to_owned())
    })
}

fn show(context: &Context, filter: &List, workers: &[Row<'_>]) -> Result<(), Failure> {
    if workers.is_empty() {
        let all = *filter == List::default();
        context.note(if all {
            "no workers; gobctl start GRAPH or gobctl add CMD starts one"
        } else {
            "no worker is like that"
        });
        return Ok(());
    }
    out::print(&rows::list(workers, now(), context.look()))?;
    let outdated: Vec<&str> = workers.iter().filter(|row| row.is_outdated()).map(Row::name).collect();
    outdated_note(&outdated).iter().for_each(|note| context.note(note));
    Ok(())
}

/// Returns the note about workers that run older programs than those on disk.
fn outdated_note(names: &[&str]) -> Option<String> {
    let what = match names {
        [] => return None,
        [name] => format!("{name} runs an older program than the one on disk"),
        _ => format!("{} workers run older programs than those on disk", names.len()),
    };
    let more = if names.len() > NAMED { " …" } else { "" };
    let named: Vec<_> = names.iter().take(NAMED).map(|name| word(name)).collect();
    Some(format!("{what}; gobctl restart {}{more}", named.join(" ")))
}

fn last_known(context: &Context, filter: &List, nobody: Error) -> Result<(), Failure> {
    let Some(last) = LastState::read(&context.dirs()?) else { return Err(nobody.into()) };
    context.note(&format!("no supervisor is running; this is the last known state, of {}", last.time));
    let workers: Vec<View> = last.workers.into_iter().filter(|worker| passes(filter, worker)).collect();
    if context.json {
        let data = serde_json::to_string(&ListData { workers, next: None }).unwrap_or_default();
        return out::print(&format!("{data}\n"));
    }
    let mut workers: Vec<_> = workers.iter().map(Row::from).collect();
    rows::sort(&mut workers);
    show(context, filter, &workers)
}

/// Returns whether a worker passes every given filter, as the supervisor would decide.
pub(super) fn passes(filter: &List, worker: &View) -> bool {
    filter.owner.as_ref().is_none_or(|owner| *owner == worker.owner)
        && filter.kind.as_ref().is_none_or(|kind| **kind == *worker.kind)
        && filter.state.is_none_or(|state| state == worker.state)
        && filter.cwd.as_ref().is_none_or(|cwd| worker.cwd.as_deref() == Some(cwd))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outdated_workers_are_named_with_the_way_to_the_new_program() {
        assert_eq!(outdated_note(&[]), None);
        let one = "a b runs an older program than the one on disk; gobctl restart 'a b'";
        assert_eq!(outdated_note(&["a b"]).as_deref(), Some(one));
        let many = outdated_note(&["a", "b", "c", "d", "e", "f"]).unwrap();
        assert_eq!(many, "6 workers run older programs than those on disk; gobctl restart a b c d e …");
    }
}

//! `gobctl start GRAPH…`: ensures that workers run.

use super::{Effect, Verb, WORKERS, timeout};
use crate::alike::note_alike;
use crate::context::{Context, not_ready};
use crate::each::{each, names, names_arg};
use crate::environment::environment;
use crate::failure::Failure;
use crate::goes_on::GoesOn;
use crate::holding::{Holding, hold};
use crate::out;
use crate::progress::{LastWords, Progress};
use crate::stream::End;
use crate::text::{escape, took};
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::call::{Sent, Start};
use gob_client::protocol::State;
use gob_client::protocol::answer::{Outcome, StartData};
use gob_client::protocol::request::Wait;
use gob_client::{Name, View};
use std::time::{Duration, Instant};

pub(crate) const VERB: Verb = Verb {
    path: &["start"],
    group: WORKERS,
    effect: Effect::Changes,
    about: "Ensure that a graph's worker runs",
    examples: "Examples:\n  gobctl start demo\n  gobctl start work --kind logseq --root-dir ~/logseq\n  gobctl start a b c\n  ENDPOINT=$(gobctl start -q demo)\n",
    command: |command| {
        command
            .arg(names_arg("GRAPH").help("A graph, or any worker there is"))
            .arg(Arg::new("kind").long("kind").value_name("KIND").help("The kind to start it from"))
            .arg(
                Arg::new("root-dir")
                    .long("root-dir")
                    .value_name("DIR")
                    .help("The directory that holds the graph"),
            )
            .arg(
                Arg::new("as")
                    .long("name")
                    .value_name("NAME")
                    .value_parser(|text: &str| Name::any(text))
                    .help("The worker's name; the graph's without it"),
            )
            .arg(
                Arg::new("no-wait")
                    .long("no-wait")
                    .action(ArgAction::SetTrue)
                    .help("Return when it was spawned"),
            )
            .arg(
                Arg::new("lease")
                    .long("lease")
                    .action(ArgAction::SetTrue)
                    .help("Hold a lease until interrupted"),
            )
    },
    timeout: timeout::UNTIL_READY,
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let names = names(matches);
    if names.len() > 1 && matches.contains_id("as") {
        return Err(Failure::usage("--name names one worker, and there are several graphs".to_owned()));
    }
    let template = template(context, matches)?;
    let dirs = context.dirs()?;
    let mut client = context.connect("start")?;
    context.note_state_dir(&dirs, &client);
    if template.root_dir.is_none() {
        context.note_data_dir(&dirs, &client);
    }
    let begun = Instant::now();
    let (mut sent, mut held, mut new) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        // All requests are sent before the first answer is awaited: the workers come up at the same time.
        let words = LastWords::new(&dirs, &name);
        let asked = client.send(of(&template, &name))?;
        sent.push((name, (asked, words)));
    }
    let goes_on = GoesOn::of(context, "starting", sent.iter().map(|(name, _)| name.clone()).collect());
    let ask = |name: &Name, (sent, words): (Sent<Start>, LastWords)| {
        let mut progress = Progress::new(context, format!("starting {name}"));
        let mut tick = |waited| progress.show_with(waited, || words.get());
        let reply = client.wait_ticking(sent, context.deadline_of(&sent), Progress::EVERY, &mut tick);
        progress.clear();
        goes_on.done(name);
        let reply = reply.map_err(|error| not_ready(name, error))?;
        held.push(reply.read()?.worker.name);
        Ok(reply)
    };
    let code = each(context, sent, ask, |_, reply| {
        let data = reply.read()?;
        let text = told(&data, begun.elapsed(), context.quiet);
        if !data.created {
            return Ok(text);
        }
        out::print(&text)?;
        context.note(&new_graph(&data.worker));
        new.extend(data.worker.graph.as_deref().and_then(|graph| Name::graph(graph).ok()));
        Ok(String::new())
    })?;
    drop(goes_on);
    note_alike(context, &mut client, &new);
    if !template.lease || code != 0 {
        return Ok(code);
    }
    if !context.json {
        context.note(if held.len() == 1 {
            "holding it until interrupted"
        } else {
            "holding them until interrupted"
        });
    }
    // `--timeout` was for the readiness.
    hold(&Holding { context, verb: "start --lease", end: End::of(None) }, client, held)
}

fn template(context: &Context, matches: &ArgMatches) -> Result<Start, Failure> {
    let root_dir = matches.get_one::<String>("root-dir").map(|dir| absolute(dir)).transpose()?;
    Ok(Start {
        graph: None,
        name: matches.get_one::<Name>("as").cloned(),
        kind: matches.get_one::<String>("kind").cloned(),
        root_dir,
        env: Some(environment(context)),
        wait: matches.get_flag("no-wait").then_some(Wait::Spawned),
        timeout_ms: context.timeout.map(millis),
        lease: matches.get_flag("lease"),
    })
}

/// Without a kind or a place the name may be any worker's, also a job's; with one it is a graph.
fn of(template: &Start, name: &Name) -> Start {
    let is_graph = template.kind.is_some() || template.root_dir.is_some() || template.name.is_some();
    let mut start = template.clone();
    if is_graph {
        start.graph = Some(name.clone());
    } else {
        start.name = Some(name.clone());
    }
    start
}

pub(super) fn absolute(dir: &str) -> Result<String, Failure> {
    if dir.is_empty() {
        return Err(
            Failure::usage("--root-dir is empty".to_owned()).hint("leave it out for gob's own directory")
        );
    }
    let failed = || Failure::usage(format!("--root-dir {dir} cannot be made an absolute UTF-8 path"));
    let path = std::path::absolute(dir).map_err(|_| failed())?;
    path.into_os_string().into_string().map_err(|_| failed())
}

/// Returns a duration in the wire's form.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn told(data: &StartData, elapsed: Duration, quiet: bool) -> String {
    let worker = &data.worker;
    let endpoint =
        worker.endpoint.as_ref().map(|endpoint| format!("{}\n", escape(endpoint))).unwrap_or_default();
    if quiet {
        return endpoint;
    }
    let name = escape(worker.name.as_str());
    let who = crate::render::who(worker);
    match data.outcome {
        Outcome::Started if worker.state == State::Starting => {
            format!("started {name} ({who}), which is not ready yet\n")
        }
        Outcome::Started => format!("started {name} ({who}) in {}\n{endpoint}", took(elapsed)),
        Outcome::Reused => format!("{name} is already running ({who}{})\n{endpoint}", remarks(worker)),
        Outcome::TakenOver => format!("took over {name} ({who}), which was already running\n{endpoint}"),
        Outcome::External => {
            format!("{name} is already running, held by a process that is not gob's ({who})\n{endpoint}")
        }
    }
}

/// Returns the note about a new graph, by which a misspelled name is noticed.
fn new_graph(worker: &View) -> String {
    let graph = worker.graph.as_deref().unwrap_or(worker.name.as_str());
    let argument = gob_client::protocol::shell::word(graph);
    format!("{graph} is a new, empty graph; gobctl graphs delete {argument} removes it")
}

/// Returns the remarks on a worker that runs already.
pub(super) fn remarks(worker: &View) -> String {
    let state = if worker.state == State::Ready { String::new() } else { format!("; {}", worker.state) };
    format!("{}{state}", if worker.owned { "" } else { "; you don't own it" })
}

#[cfg(test)]
#[path = "start_tests.rs"]
mod tests;

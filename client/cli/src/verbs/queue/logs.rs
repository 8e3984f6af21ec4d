//! `gobctl queue logs ID…`: the output of each attempt.

use super::{connect, ids_arg};
use crate::context::Context;
use crate::each::names;
use crate::failure::Failure;
use crate::log_sieve::Sieve;
use crate::log_source::Source;
use crate::log_view::LogView;
use crate::queue;
use crate::text::{escape, parse_number};
use crate::verbs::logs::unreadable;
use crate::verbs::{Effect, Verb};
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::blocking::Client;
use gob_client::call::{Get, QueueGet};
use gob_client::logs::{self, Stream};
use gob_client::protocol::ErrorCode;
use gob_client::protocol::queue::{QueueJob, is_shared};
use gob_client::{Dirs, Error, Name};
use std::path::{Path, PathBuf};

pub(crate) const VERB: Verb = Verb {
    path: &["queue", "logs"],
    effect: Effect::Reads,
    about: "The output of each attempt; gobctl logs -f ID follows the latest one",
    examples: "Examples:\n  gobctl queue logs j7\n  gobctl queue logs j7 --attempt 2 -n 20\n",
    command: |command| {
        let stream = |name: &'static str, help: &'static str| {
            Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
        };
        command
            .arg(ids_arg())
            .arg(
                Arg::new("attempt")
                    .long("attempt")
                    .value_name("N")
                    .value_parser(parse_number::<u64>)
                    .help("This attempt only"),
            )
            .arg(
                Arg::new("lines")
                    .short('n')
                    .long("lines")
                    .value_name("LINES")
                    .value_parser(parse_number::<usize>)
                    .help("The last lines of each attempt only"),
            )
            .arg(stream("stdout", "Standard output only").conflicts_with("stderr"))
            .arg(stream("stderr", "Standard error only"))
            .arg(stream("raw", "Control characters as they are, also on a terminal"))
    },
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let mut place = Place::of(context)?;
    let mut first = 0;
    for id in names(matches) {
        match show(context, matches, &id, &mut place) {
            Ok(()) => {}
            Err(failure @ (Failure::Closed | Failure::Help(_))) => return Err(failure),
            Err(failure) => {
                let code = failure.report_of(context.telling(), Some(&id));
                first = if first == 0 { code } else { first };
            }
        }
    }
    Ok(first)
}

/// The place of the logs, and the supervisor, where one answers.
struct Place {
    client: Option<Client>,
    logs: PathBuf,
    /// The reason why none does.
    nobody: Option<Failure>,
}

impl Place {
    fn of(context: &Context) -> Result<Self, Failure> {
        let dirs = context.dirs()?;
        match connect(context, "queue_get") {
            Ok(client) => {
                let theirs = client.server().dirs.as_ref().map(|dirs| Path::new(&dirs.state).join("logs"));
                let logs = theirs.filter(|logs| logs.is_dir()).unwrap_or_else(|| Dirs::logs(&dirs));
                Ok(Self { client: Some(client), logs, nobody: None })
            }
            Err(failure) if failure.exit_code() == 7 => {
                Ok(Self { client: None, logs: dirs.logs(), nobody: Some(failure) })
            }
            Err(failure) => Err(failure),
        }
    }

    /// Returns the job as the supervisor knows it; `None` without one.
    fn job(&mut self, context: &Context, id: &Name, has_log: bool) -> Result<Option<QueueJob>, Failure> {
        let Some(client) = &mut self.client else { return Ok(None) };
        match context.call(client, QueueGet { job_id: id.clone() }) {
            Ok(reply) => Ok(Some(reply.read()?.job)),
            Err(Error::Refused(mut error)) if error.code == ErrorCode::JobNotFound => {
                // Its first log file may be about to be made.
                if has_log || context.call(client, Get { name: id.clone() }).is_ok() {
                    error.hint =
                        Some(format!("gobctl logs {} shows the worker of that name", id.as_argument()));
                }
                Err(Error::Refused(error).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Shows the attempts of one job.
fn show(context: &Context, matches: &ArgMatches, id: &Name, place: &mut Place) -> Result<(), Failure> {
    let dir = place.logs.join(id.on_disk());
    let runs = logs::runs(&dir).map_err(|error| unreadable(&dir, &error))?;
    let job = place.job(context, id, !runs.is_empty())?;
    if let (None, Some(nobody)) = (&job, place.nobody.take()) {
        if runs.is_empty() {
            return Err(nobody);
        }
        context.note("no supervisor answers; these are the files that the last one left");
    }
    let wanted = matches.get_one::<u64>("attempt").copied();
    let chosen: Vec<u64> =
        runs.into_iter().filter(|run| wanted.is_none_or(|wanted| wanted == *run)).collect();
    if chosen.is_empty() {
        return nothing(context, id, job.as_ref(), wanted);
    }
    let streams: &[Stream] = match (matches.get_flag("stdout"), matches.get_flag("stderr")) {
        (true, _) => &[Stream::Stdout],
        (_, true) => &[Stream::Stderr],
        _ => &[Stream::Stdout, Stream::Stderr],
    };
    let lines = matches.get_one::<usize>("lines").copied();
    for run in chosen {
        if !context.json {
            context.note(&format!("attempt {run} of {}", escape(id.as_str())));
        }
        let sieve = Sieve::new(None, None, context.json);
        let source = Source::open_runs(id.clone(), dir.clone(), &[run], streams, &sieve, true)
            .map_err(|error| unreadable(&dir, &error))?;
        let mut view = LogView::new(context, false, std::iter::once(id)).raw(matches.get_flag("raw"));
        view.beginning(&mut [source], lines)?;
    }
    Ok(())
}

/// Says why there is no output.
fn nothing(context: &Context, id: &Name, job: Option<&QueueJob>, wanted: Option<u64>) -> Result<(), Failure> {
    let latest = job.map_or(0, |job| u64::from(job.attempt));
    if let Some(wanted) = wanted.filter(|wanted| *wanted == 0 || *wanted > latest) {
        let message = format!("there is no attempt {wanted} of {id}");
        let cause = format!("its latest is {latest}");
        return Err(Failure::own(ErrorCode::LogUnavailable.as_str(), 1, message).cause(cause));
    }
    let host = job.and_then(queue::host);
    context.note(&if latest == 0 {
        format!("{id} has not run yet")
    } else if let (Some(job), Some(host)) = (job, host) {
        format!(
            "there is no output of {id} here: attempt {} runs on {}, and its output is there",
            job.attempt,
            escape(host)
        )
    } else if is_shared(id) {
        format!("there is no output of {id} here: it ran on another machine, and its output is there")
    } else {
        format!(
            "there is no output of {id} here: a worker outside ran it, and keeps its output itself, or gobctl remove {id} took it away"
        )
    });
    Ok(())
}

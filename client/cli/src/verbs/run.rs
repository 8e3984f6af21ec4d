//! `gobctl run CMD…`: runs a command as a job, waits for its end, and exits with its code.

use super::{Effect, JOBS, Verb, add, timeout, wait};
use crate::awaiting::{Awaited, Awaiting, Way, print_output};
use crate::context::Context;
use crate::ending::code_of_exit;
use crate::failure::Failure;
use crate::job;
use crate::signals::Signals;
use crate::stream::End;
use clap::ArgMatches;
use gob_client::Error;
use gob_client::View;
use gob_client::call::Add;
use gob_client::protocol::answer::Outcome;
use gob_client::protocol::exit::Exit;
use nix::sys::signal::Signal;
use serde::Deserialize;

pub(crate) const VERB: Verb = Verb {
    path: &["run"],
    group: JOBS,
    effect: Effect::Changes,
    about: "Run a command as a job to its end; its output only if it fails",
    examples: "Examples:\n  gobctl run make test\n  gobctl run 'npm run build'\n  gobctl run --stream --name tests -- cargo test --workspace\n  gobctl run --shell 'make 2>&1 | tee build.log'\n\nThe first interrupt stops the job, the second kills it; when the terminal closes it goes on.\n",
    command: |command| job::arguments(command.arg(wait::stream_arg())),
    timeout: timeout::END_OF_JOB,
    passes_signals: true,
    has_command: true,
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    run_to_end(context, matches).or_else(|failure| match spawn_error(&failure) {
        Some(code) => {
            failure.report(context.telling());
            Ok(code)
        }
        None => wait::fail(context, failure),
    })
}

fn run_to_end(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    // Where this program is killed, the supervisor says that it has left.
    let add = Add { attached: true, ..job::request(context, matches)? };
    let end = End::of(context.timeout);
    let mut client = context.connect("run")?;
    job::known_to(&client)?;
    context.note_state_dir(&context.dirs()?, &client);
    // Blocked before the job exists, so that each is about the job; not while the supervisor is waited for, which an
    // interrupt ends.
    let signals = Signals::of(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])?;
    let program = add.command.first().cloned().unwrap_or_default();
    let reply = context.call(&mut client, add);
    let reply = reply.map_err(|error| job::of_a_shell(error.into(), &program, job::BY_SHELL))?;
    let data = reply.read()?;
    if data.outcome != Outcome::Started && !context.json {
        context.note(&format!("{}; waiting for its end", add::told(&data)));
    }
    let way = Way { streams: matches.get_flag("stream"), stops: true };
    let names = [data.worker.name];
    match Awaiting::new(context, way, (client, signals), &names, end)?.wait()? {
        Awaited::Left(code) => Ok(code),
        Awaited::Ended(views) => views.first().map_or(Ok(0), |view| tell(context, view, way)),
    }
}

/// Prints the output of a run that failed, and how the run ended.
fn tell(context: &Context, view: &View, way: Way) -> Result<u8, Failure> {
    let has_failed = view.exit != Some(Exit::Code { code: 0 });
    if has_failed && !way.streams && !context.json {
        match print_output(context, view) {
            // The exit code still tells something to a caller that does not read the output.
            Ok(()) | Err(Failure::Closed) => {}
            Err(failure) => drop(failure.report(context.telling())),
        }
    }
    let (code, error) = wait::tell(context, view, false);
    if context.json && error.is_none() {
        wait::Ended { worker: view, exit_code: code }.print()?;
    }
    Ok(code)
}

/// Returns the exit code for a program that could not be executed, where that is why the job did not start.
fn spawn_error(failure: &Failure) -> Option<u8> {
    #[derive(Deserialize)]
    struct Details {
        exit: Exit,
    }
    let Failure::Client(Error::Refused(error)) = failure else { return None };
    let Details { exit } = Details::deserialize(error.details.as_ref()?).ok()?;
    matches!(exit, Exit::SpawnFailed { .. }).then(|| code_of_exit(&exit))
}

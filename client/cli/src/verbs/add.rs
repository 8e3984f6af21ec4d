//! `gobctl add CMD…` and `gobctl create CMD…`: jobs, which are commands in the background.

use super::start::remarks;
use super::{Effect, JOBS, Verb, timeout};
use crate::awaiting::expected;
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::terminal::{cut, stdout_width};
use crate::text::escape;
use crate::{job, out, render};
use clap::ArgMatches;
use gob_client::blocking::Client;
use gob_client::call::{Call, Create, Reply, Stats};
use gob_client::protocol::answer::{CreateData, Outcome, StartData};
use gob_client::{View, screen};
use std::time::Duration;

pub(crate) const VERB: Verb = Verb {
    path: &["add"],
    group: JOBS,
    effect: Effect::Changes,
    about: "Run a command in the background",
    examples: "Examples:\n  gobctl add npm run dev\n  gobctl add 'make -j4 test'\n  gobctl add --name web -d 'the site' --restart on-failure -- ./serve --port 8080\n  gobctl add --shell 'make 2>&1 | tee build.log'\n  JOB=$(gobctl add -q make)\n",
    command: job::arguments,
    timeout: timeout::ANSWER,
    has_command: true,
    run: Some(add),
    ..Verb::ROW
};

pub(crate) const CREATE: Verb = Verb {
    path: &["create"],
    group: JOBS,
    effect: Effect::Changes,
    about: "Make a job without starting it; gobctl start does that",
    examples: "Examples:\n  gobctl create --name tests make test\n  gobctl start tests\n",
    command: job::arguments,
    timeout: timeout::ANSWER,
    has_command: true,
    run: Some(create),
    ..Verb::ROW
};

/// Successful runs before a duration is expected (PROTOCOL, History).
const SUCCESSES: u64 = 3;
/// Time for the answer about earlier runs.
const STATS: Duration = Duration::from_secs(1);

fn add(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let request = job::request(context, matches)?;
    let program = request.command.first().cloned().unwrap_or_default();
    let (mut client, reply) =
        ask(context, request).map_err(|failure| job::of_a_shell(failure, &program, job::BY_SHELL))?;
    print(context, &reply, |data| (told(data), data.worker.clone()))?;
    if !context.json && !context.quiet {
        expect(context, &mut client, &reply.read()?.worker);
    }
    Ok(0)
}

/// Tells how long the job is expected to take. It runs already, so a history that gives no answer is no failure.
fn expect(context: &Context, client: &mut Client, worker: &View) {
    if worker.run <= SUCCESSES {
        return;
    }
    let reply = client.call(Stats { name: worker.name.clone() }, STATS);
    let stats = reply.and_then(|reply| reply.read());
    if let Some(text) = stats.ok().and_then(|stats| expected(&worker.name, &stats)) {
        context.note(&text);
    }
}

fn create(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let (_, reply) = ask(context, Create(job::request(context, matches)?))?;
    print(context, &reply, |data| (told_of_created(data), data.worker.clone()))
}

fn ask<C: Call>(context: &Context, call: C) -> Result<(Client, Reply<C>), Failure> {
    let mut client = context.connect(C::TYPE)?;
    job::known_to(&client)?;
    context.note_state_dir(&context.dirs()?, &client);
    let reply = context.call(&mut client, call)?;
    Ok((client, reply))
}

fn print<C: Call>(
    context: &Context,
    reply: &Reply<C>,
    told: impl FnOnce(&C::Data) -> (String, View),
) -> Result<u8, Failure> {
    if context.json {
        return print_data(reply.data()).map(|()| 0);
    }
    let (text, worker) = told(&reply.read()?);
    let name = escape(worker.name.as_str());
    let text =
        if context.quiet { name } else { format!("{text}: {}", escape(&screen::command(&worker.command))) };
    let text = stdout_width().map_or_else(|| text.clone(), |width| cut(&text, width));
    out::print(&format!("{text}\n")).map(|()| 0)
}

/// Returns the deed in words, without the command.
pub(super) fn told(data: &StartData) -> String {
    let worker = &data.worker;
    let (name, who) = (escape(worker.name.as_str()), render::who(worker));
    match data.outcome {
        Outcome::Started => format!("started {name} ({who})"),
        Outcome::Reused => format!("{name} is already running ({who}{})", remarks(worker)),
        Outcome::TakenOver => format!("took over {name} ({who}), which was already running"),
        Outcome::External => {
            format!("{name} is already running, held by a process that is not gob's ({who})")
        }
    }
}

fn told_of_created(CreateData { worker, created }: &CreateData) -> String {
    let name = escape(worker.name.as_str());
    if worker.state.is_live() {
        format!("{name} is already running ({}{})", render::who(worker), remarks(worker))
    } else if !created {
        format!("{name} is there already ({}; {})", render::who(worker), worker.state)
    } else {
        format!("created {name}")
    }
}

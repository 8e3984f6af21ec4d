//! `gobctl up [NAME…]`: starts the jobs of a trusted project file, those that others depend on first.

mod ending;

use super::{Effect, PROJECT, Verb, timeout};
use crate::context::Context;
use crate::each::Each;
use crate::environment::environment;
use crate::failure::Failure;
use crate::goes_on::GoesOn;
use crate::progress::Progress;
use crate::project::{self, Project};
use crate::text::escape;
use crate::{job, render, trusted};
use clap::{Arg, ArgAction, ArgMatches};
use ending::Watch;
use gob_client::blocking::Client;
use gob_client::call::{Add, Sent};
use gob_client::protocol::answer::{Outcome, StartData};
use gob_client::protocol::request::OnLastLease;
use gob_client::protocol::{Env, ErrorCode};
use gob_client::{Error, Name, screen};
use gob_config::gobfile::FileJob;
use std::collections::BTreeSet;

pub(crate) const VERB: Verb = Verb {
    path: &["up"],
    group: PROJECT,
    effect: Effect::Changes,
    about: "Start the project file's jobs, each after those it depends on",
    examples: "Examples:\n  gobctl up\n  gobctl up web\n  gobctl up --watch\n\nA project file, .config/gobfile.toml in this directory or the nearest one above:\n  [[job]]\n  command = \"npm run dev\"\n  name = \"web\"\n  autostart = true\n\nIts jobs are run once gobctl trust was given. docs/JOBS.md, Project file, has every key.\n",
    command: |command| {
        let help = "Jobs to start beside those with autostart: a name, or a command as the file has it";
        let watch = "Hold leases until interrupted, then stop the jobs that it started, as down does";
        command
            .arg(Arg::new("job").value_name("NAME").num_args(0..).help(help))
            .arg(Arg::new("watch").long("watch").action(ArgAction::SetTrue).help(watch))
    },
    timeout: timeout::UNTIL_ALL_READY,
    signals_with: Some("watch"),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let project = project::find()?;
    let dirs = context.dirs()?;
    trusted::needed(&project, &dirs)?;
    let mut wanted = Vec::new();
    for (place, job) in project.file.jobs.iter().enumerate().filter(|(_, job)| job.autostart) {
        if job.blocked {
            let reason = job.description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            context.note(&format!("{} is blocked{reason}", job.label()));
        } else {
            wanted.push(place);
        }
    }
    for word in matches.get_many::<String>("job").into_iter().flatten() {
        wanted.push(project.job(word)?);
    }
    if wanted.is_empty() {
        context.note("no job has autostart = true; name those to start: gobctl up NAME");
        return Each::of(context, 0).finish();
    }
    let mut client = context.connect("add")?;
    context.note_state_dir(&dirs, &client);
    let mut up = Up { context, project: &project, env: environment(context), watch: None };
    if matches.get_flag("watch") {
        up.watch = Some(Watch::begin(&mut client)?);
    }
    let code = up.start(&mut client, &wanted);
    match up.watch {
        None => code,
        Some(watch) => watch.go_on(context, &project, (client, wanted), code),
    }
}

/// A job of a wave: its label, its place, and its request, or the job that it lacks.
type Asked<'a> = (Name, usize, Result<Sent<Add>, &'a str>);

/// The start of a project's jobs.
struct Up<'a> {
    context: &'a Context,
    project: &'a Project,
    env: Env,
    /// Present with `--watch`.
    watch: Option<Watch>,
}

impl Up<'_> {
    /// Starts jobs wave by wave. A job whose dependency did not come up is left out.
    fn start(&mut self, client: &mut Client, wanted: &[usize]) -> Result<u8, Failure> {
        let waves = self.project.file.waves(wanted.iter().copied());
        let mut all = Each::of(self.context, waves.iter().map(Vec::len).sum());
        let mut lost = BTreeSet::new();
        for wave in waves {
            self.watch.as_mut().map_or(Ok(()), Watch::heed)?;
            let mut jobs = Vec::new();
            for place in wave {
                let Some(job) = self.project.file.jobs.get(place) else { continue };
                let need = job.depends_on.iter().find(|need| lost.contains(*need));
                let need = need.and_then(|need| self.project.file.jobs.get(*need)).map(FileJob::label);
                lost.insert(place);
                let asked = need.map_or_else(|| client.send(self.request(job)).map(Ok), |need| Ok(Err(need)));
                jobs.push((label(place, job)?, place, asked?));
            }
            self.start_wave(client, jobs, &mut lost, &mut all)?;
        }
        all.finish()
    }

    /// Tells of a job that was not started; the reason, the end of the other one, has been told.
    fn leave_out(&self, all: &mut Each<'_>, name: Name, need: &str) {
        let message = format!("{name} was not started: {need} is not up");
        if self.context.json {
            all.fail(name, &Failure::own("dependency-not-up", 1, message));
        } else {
            self.context.note(&message);
        }
    }

    /// Waits for the answers of a wave.
    fn start_wave(
        &mut self,
        client: &mut Client,
        jobs: Vec<Asked<'_>>,
        lost: &mut BTreeSet<usize>,
        all: &mut Each<'_>,
    ) -> Result<(), Failure> {
        let context = self.context;
        let asked = jobs.iter().filter(|(_, _, asked)| asked.is_ok()).map(|(label, ..)| label.clone());
        // With `--watch` an interrupt stops them.
        let goes_on = self.watch.is_none().then(|| GoesOn::of(context, "starting", asked.collect()));
        for (label, place, asked) in jobs {
            let sent = match asked {
                Ok(sent) => sent,
                Err(need) => {
                    self.leave_out(all, label, need);
                    continue;
                }
            };
            let ask = |label: &Name, sent: Sent<Add>| {
                let mut progress = Progress::new(context, format!("starting {label}"));
                let reply = match &mut self.watch {
                    Some(watch) => watch.wait(context, client, sent, &mut progress)?,
                    None => context.wait_showing(client, sent, &mut progress),
                };
                goes_on.iter().for_each(|goes_on| goes_on.done(label));
                let job = self.project.file.jobs.get(place);
                let program = job.and_then(|job| job.command.first()).map_or("", String::as_str);
                let reply = reply.map_err(|error| {
                    job::of_a_shell(in_its_way(label, error), program, "command = \"sh -c '…'\" names one")
                })?;
                if let Some(watch) = &mut self.watch {
                    watch.has(&reply.read()?);
                }
                lost.remove(&place);
                Ok(reply)
            };
            all.take(vec![(label, sent)], ask, |_, reply| {
                Ok(if context.quiet { String::new() } else { told(&reply.read()?) })
            })?;
        }
        Ok(())
    }

    fn request(&self, job: &FileJob) -> Add {
        Add {
            on_last_lease: self.watch.is_some().then_some(OnLastLease::Stop),
            lease: self.watch.is_some(),
            ..self.project.request(job, &self.env)
        }
    }
}

/// Returns the name of a job in messages and results; the answer to its start has the worker's.
fn label(place: usize, job: &FileJob) -> Result<Name, Failure> {
    // A command may be no name, such as a very long one.
    let named = Name::any(job.label()).or_else(|_| Name::any(&format!("job {}", place + 1)));
    named.map_err(|e| Failure::usage(e.to_string()))
}

/// Adds what to type where another job is in the way, such as that of the file before it was edited.
fn in_its_way(label: &Name, error: Error) -> Failure {
    let Error::Refused(refused) = error else { return error.into() };
    let detail = |key: &str| refused.details.as_ref().and_then(|details| details.get(key)?.as_str());
    let other = detail("worker").and_then(|name| Name::any(name).ok());
    let Some(other) = other.filter(|_| refused.code == ErrorCode::GraphConflict) else {
        return Error::Refused(refused).into();
    };
    let (is_other_job, argument) = (detail("cwd").is_some(), other.as_argument());
    let refused = if is_other_job {
        refused.hint(format!("stop that one, then start this one: gobctl stop {argument} && gobctl up"))
    } else if other == *label {
        refused.hint("give the job another name in the project file")
    } else {
        refused.hint(format!(
            "forget that one, or give the job no other name: gobctl stop {argument} && gobctl remove {argument}"
        ))
    };
    Error::Refused(refused).into()
}

fn told(data: &StartData) -> String {
    let worker = &data.worker;
    let (name, who) = (escape(worker.name.as_str()), render::who(worker));
    let command = escape(&screen::command(&worker.command));
    match data.outcome {
        Outcome::Started => format!("started {name} ({who}): {command}\n"),
        Outcome::Reused | Outcome::TakenOver | Outcome::External => {
            format!("{name} is already running ({who}): {command}\n")
        }
    }
}

//! `gobctl up [NAME…]`: starts the jobs of a trusted project file, those that others depend on first.

use super::{Effect, PROJECT, Verb, timeout};
use crate::context::Context;
use crate::each::each;
use crate::environment::environment;
use crate::failure::Failure;
use crate::goes_on::GoesOn;
use crate::holding::{Holding, hold};
use crate::progress::Progress;
use crate::project::{self, Project};
use crate::stream::End;
use crate::text::escape;
use crate::{render, trusted};
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::blocking::Client;
use gob_client::call::{Add, Sent};
use gob_client::protocol::Env;
use gob_client::protocol::answer::{Outcome, StartData};
use gob_client::protocol::request::{OnLastLease, RestartOn, Wait};
use gob_client::{Name, View};
use gob_config::gobfile::FileJob;
use std::collections::BTreeSet;

pub(crate) const VERB: Verb = Verb {
    path: &["up"],
    group: PROJECT,
    effect: Effect::Changes,
    about: "Start the project file's jobs, each after those it depends on",
    examples: "Examples:\n  gobctl up\n  gobctl up web\n  gobctl up --watch\n",
    command: |command| {
        let help = "Jobs to start beside those with autostart: a name, or a command as the file has it";
        let watch = "Hold leases until interrupted; the jobs that it started stop then";
        command
            .arg(Arg::new("job").value_name("NAME").num_args(0..).help(help))
            .arg(Arg::new("watch").long("watch").action(ArgAction::SetTrue).help(watch))
    },
    timeout: timeout::UNTIL_ALL_READY,
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
        return Ok(0);
    }
    let mut client = context.connect("add")?;
    context.note_state_dir(&dirs, &client);
    let watches = matches.get_flag("watch");
    let mut up = Up { context, project: &project, env: environment(context), watches, held: Vec::new() };
    let code = up.start(&mut client, wanted)?;
    if !watches || code != 0 {
        return Ok(code);
    }
    let held = std::mem::take(&mut up.held);
    context.note("they run until this is interrupted");
    hold(&Holding { context, verb: "up --watch", end: End::of(None) }, client, held)
}

/// The start of a project's jobs.
struct Up<'a> {
    context: &'a Context,
    project: &'a Project,
    env: Env,
    watches: bool,
    /// The workers that are up.
    held: Vec<Name>,
}

impl Up<'_> {
    /// Starts jobs wave by wave. A job whose dependency did not come up is left out.
    fn start(&mut self, client: &mut Client, wanted: Vec<usize>) -> Result<u8, Failure> {
        let (mut first, mut lost) = (0, BTreeSet::new());
        for wave in self.project.file.waves(wanted) {
            let mut jobs = Vec::new();
            for place in wave {
                let Some(job) = self.project.file.jobs.get(place) else { continue };
                match job.depends_on.iter().find(|need| lost.contains(*need)) {
                    None => jobs.push((place, job)),
                    Some(need) => {
                        let need = self.project.file.jobs.get(*need).map_or("", FileJob::label);
                        self.context.note(&format!("{} was not started: {need} is not up", job.label()));
                        lost.insert(place);
                    }
                }
            }
            let code = self.start_wave(client, jobs, &mut lost)?;
            first = if first == 0 { code } else { first };
        }
        Ok(first)
    }

    fn start_wave(
        &mut self,
        client: &mut Client,
        jobs: Vec<(usize, &FileJob)>,
        lost: &mut BTreeSet<usize>,
    ) -> Result<u8, Failure> {
        let (mut sent, mut places) = (Vec::new(), Vec::new());
        for (place, job) in jobs {
            let asked = client.send(self.request(job))?;
            // A name for messages only: the answer has the worker's.
            let label = job.name.clone().or_else(|| Name::any(job.label()).ok());
            let Some(label) = label.or_else(|| Name::any(&format!("job {}", place + 1)).ok()) else {
                continue;
            };
            lost.insert(place);
            places.push(place);
            sent.push((label, (place, asked)));
        }
        let labels = sent.iter().map(|(label, _)| label.clone()).collect();
        let goes_on = GoesOn::of(self.context, "starting", labels);
        let (context, held) = (self.context, &mut self.held);
        let ask = |label: &Name, (place, sent): (usize, Sent<Add>)| {
            let mut progress = Progress::new(context, format!("starting {label}"));
            let reply = context.wait_showing(client, sent, &mut progress);
            goes_on.done(label);
            let reply = reply?;
            held.push(reply.read()?.worker.name);
            lost.remove(&place);
            Ok(reply)
        };
        each(context, sent, ask, |_, reply| {
            Ok(if context.quiet { String::new() } else { told(&reply.read()?) })
        })
    }

    fn request(&self, job: &FileJob) -> Add {
        let mut env = self.env.clone();
        for (name, value) in &job.env {
            env.set(name, value.as_str());
        }
        Add {
            command: job.command.clone(),
            cwd: self.project.cwd_of(job),
            env: Some(env),
            name: job.name.clone(),
            description: job.description.clone(),
            restart: Some(job.restart.unwrap_or(RestartOn::Never)),
            readiness: Some(job.readiness.clone().unwrap_or_else(|| "none".into())),
            on_last_lease: self.watches.then_some(OnLastLease::Stop),
            wait: Some(Wait::Ready),
            lease: self.watches,
            ..Add::default()
        }
    }
}

fn told(data: &StartData) -> String {
    let worker = &data.worker;
    let (name, who) = (escape(worker.name.as_str()), render::who(worker));
    let command = command(worker);
    match data.outcome {
        Outcome::Started => format!("started {name} ({who}): {command}\n"),
        Outcome::Reused | Outcome::TakenOver | Outcome::External => {
            format!("{name} is already running ({who}): {command}\n")
        }
    }
}

fn command(worker: &View) -> String {
    let words: Vec<_> = worker.command.iter().map(|text| gob_client::protocol::shell::word(text)).collect();
    escape(&words.join(" "))
}

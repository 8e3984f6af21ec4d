//! `gobctl down`: stops all jobs of the project file, those that depend on others first. It runs nothing, and needs no trust.

use super::{Effect, PROJECT, Verb, timeout};
use crate::context::Context;
use crate::each::each;
use crate::failure::Failure;
use crate::goes_on::GoesOn;
use crate::progress::Progress;
use crate::project;
use crate::text::escape;
use clap::ArgMatches;
use gob_client::Name;
use gob_client::call::{List, Sent, Stop};

pub(crate) const VERB: Verb = Verb {
    path: &["down"],
    group: PROJECT,
    effect: Effect::Changes,
    about: "Stop all jobs of the project file, in reverse order",
    examples: "Examples:\n  gobctl down\n",
    command: |command| command,
    timeout: timeout::UNTIL_ENDED,
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, _matches: &ArgMatches) -> Result<u8, Failure> {
    let project = project::find()?;
    let mut client = context.connect("stop")?;
    let workers = client.list(List { kind: Some("job".into()), ..List::default() })?;
    let name_of = |place: usize| {
        let job = project.file.jobs.get(place)?;
        let cwd = project.cwd_of(job);
        let is_it =
            |command: &[String], dir: Option<&str>| *command == job.command && dir == Some(cwd.as_str());
        let found = workers.iter().find(|worker| is_it(&worker.command, worker.cwd.as_deref()))?;
        found.state.is_live().then(|| found.name.clone())
    };
    let (mut first, mut stopped) = (0, 0);
    for wave in project.file.waves(0..project.file.jobs.len()).into_iter().rev() {
        let names: Vec<Name> = wave.into_iter().rev().filter_map(name_of).collect();
        stopped += names.len();
        let mut sent = Vec::new();
        for name in &names {
            sent.push((
                name.clone(),
                client.send(Stop { name: name.clone(), force: false, grace_ms: None })?,
            ));
        }
        let goes_on = GoesOn::of(context, "stopping", names);
        let ask = |name: &Name, sent: Sent<Stop>| {
            let mut progress = Progress::new(context, format!("stopping {name}"));
            let reply = context.wait_showing(&mut client, sent, &mut progress);
            goes_on.done(name);
            Ok(reply?)
        };
        let code = each(context, sent, ask, |name, _| {
            Ok(if context.quiet { String::new() } else { format!("stopped {}\n", escape(name.as_str())) })
        })?;
        first = if first == 0 { code } else { first };
    }
    if stopped == 0 {
        context.note("none of its jobs was running");
    }
    Ok(first)
}

//! `gobctl down`: stops all jobs of the project file, those that depend on others first. It runs nothing, and needs no trust.

use super::{Effect, PROJECT, Verb, timeout};
use crate::context::Context;
use crate::each::Each;
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
    examples: "Examples:\n  gobctl down\n\nThe project file is .config/gobfile.toml; gobctl up --help has an example of one. A job whose command was edited there since it was started is stopped too.\n",
    command: |command| command,
    timeout: timeout::UNTIL_ENDED,
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, _matches: &ArgMatches) -> Result<u8, Failure> {
    let project = project::find()?;
    let mut client = context.connect("stop")?;
    let workers = client.list(List { kind: Some("job".into()), ..List::default() })?;
    let waves = project.live(0..project.file.jobs.len(), &workers);
    let count = waves.iter().map(Vec::len).sum();
    let mut all = Each::of(context, count);
    for workers in waves.into_iter().rev() {
        let names: Vec<Name> = workers.iter().rev().map(|worker| worker.name.clone()).collect();
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
        all.take(sent, ask, |name, _| {
            Ok(if context.quiet { String::new() } else { format!("stopped {}\n", escape(name.as_str())) })
        })?;
    }
    if count == 0 {
        context.note("none of its jobs was running");
    }
    all.finish()
}

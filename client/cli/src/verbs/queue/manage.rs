//! `gobctl queue cancel ID…` and `gobctl queue retry ID…`.

use super::{connect, ids_arg};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::{each, names};
use crate::environment::environment;
use crate::failure::Failure;
use crate::text::escape;
use crate::verbs::{Effect, Verb};
use clap::ArgMatches;
use gob_client::Name;
use gob_client::call::{Call, QueueCancel, QueueRetry};
use gob_client::protocol::answer::QueueJobData;
use gob_client::protocol::queue::QueueJob;

pub(crate) const CANCEL: Verb = Verb {
    path: &["queue", "cancel"],
    effect: Effect::Destroys,
    about: "Cancel jobs: one that waits never runs, one that runs is stopped",
    examples: "Examples:\n  gobctl queue cancel j7 j8\n",
    command: |command| command.arg(ids_arg()),
    afar: Afar::Here(&[]),
    run: Some(cancel),
    ..Verb::ROW
};

pub(crate) const RETRY: Verb = Verb {
    path: &["queue", "retry"],
    effect: Effect::Changes,
    about: "Let jobs that failed or were cancelled wait again, in this environment",
    examples: "Examples:\n  gobctl queue retry j7\n",
    command: |command| command.arg(ids_arg()),
    run: Some(retry),
    ..Verb::ROW
};

fn cancel(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let call = |job_id: &Name| QueueCancel { job_id: job_id.clone() };
    change(context, matches, call, |job| format!("cancelled {}\n", escape(job.id.as_str())))
}

fn retry(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let env = environment(context);
    let call = |job_id: &Name| QueueRetry { job_id: job_id.clone(), env: Some(env.clone()) };
    change(context, matches, call, |job| format!("{} waits again in {}\n", escape(job.id.as_str()), job.lane))
}

/// Changes each of the given jobs.
fn change<C: Call<Data = QueueJobData>>(
    context: &Context,
    matches: &ArgMatches,
    call: impl Fn(&Name) -> C,
    told: impl Fn(&QueueJob) -> String,
) -> Result<u8, Failure> {
    let mut client = connect(context, C::TYPE)?;
    let items = names(matches).into_iter().map(|id| (id, ())).collect();
    each(
        context,
        items,
        |id, ()| Ok(context.call(&mut client, call(id))?),
        |_, reply| Ok(if context.quiet { String::new() } else { told(&reply.read()?.job) }),
    )
}

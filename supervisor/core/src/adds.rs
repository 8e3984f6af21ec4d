//! The job that an `add` or a `create` means (PROTOCOL 5, Jobs): the one of that command in that directory, or a new one.

use crate::chronicle::NoAnswer;
use crate::cx::Cx;
use crate::expects::Expects;
use crate::owner::{Ownership, Title};
use crate::refusals;
use crate::run::Shown;
use crate::spec::{Identity, Job, Origin, Spec};
use crate::worker::{Origins, Worker};
use crate::workers::Workers;
use alloc::boxed::Box;
use gob_config::gobfile::readiness_of;
use gob_config::kind::{JOB, Kind, MAX_RLIMIT, RLIMITS, Readiness, RestartOn, RestartPolicy};
use gob_protocol::request::Add;
use gob_protocol::{Actor, EventKind, Name, Owner, WireError};

/// Tells whether a job would get a number.
pub(crate) fn needs_number(add: &Add, workers: &Workers) -> bool {
    let identity = Identity::Job(add.cwd.as_str().into(), add.command.as_slice().into());
    add.name.is_none() && workers.same_as(&identity).is_none()
}

/// Finds the job that is meant, or adds it; true where there was none.
pub(crate) fn resolve(
    add: &Add,
    requester: &Owner,
    actor: &Actor,
    workers: &mut Workers,
    cx: &mut Cx,
) -> Result<(Name, bool), Box<WireError>> {
    let job = Job {
        command: add.command.as_slice().into(),
        cwd: add.cwd.as_str().into(),
        description: add.description.clone(),
        blocked: None,
        queued: None,
    };
    let readiness = add.readiness.as_ref().map(readiness_of).transpose();
    let readiness = readiness.map_err(|bad| refusals::bad_readiness(&bad))?;
    if let Some(unknown) = add.rlimits.iter().flatten().find(|(name, value)| !is_limit(name, **value)) {
        return Err(refusals::bad_limit(unknown.0));
    }
    let asked = Asked { add, readiness };
    let wanted = Spec {
        origin: Origin::Job(job),
        kind_name: cx.pools.kind_names.of(JOB),
        policy: cx.pools.kinds.of(asked.of_next_run(kind(RestartOn::Never, &cx.setup.settings.restart))),
        env: None,
        umask: None,
    };
    let same = workers.same_as(&wanted.identity());
    let Some(named) = add.name.as_ref() else {
        let name = match same {
            Some(same) => same.name.clone(),
            None => {
                let name = cx.past.next_job().ok_or_else(|| refusals::no_history(&NoAnswer::Silent))?;
                return Ok((insert(name, wanted, requester, actor, workers, cx), true));
            }
        };
        renew(&name, &asked, requester, actor, workers, cx);
        return Ok((name, false));
    };
    if let Some(same) = same {
        if same.name != *named {
            return Err(refusals::job_is_named(named, &same.name));
        }
        renew(named, &asked, requester, actor, workers, cx);
        return Ok((named.clone(), false));
    }
    let Some(known) = workers.get(named) else {
        if Name::graph(named.as_str()).is_err() {
            return Err(refusals::job_number(named));
        }
        return Ok((insert(named.clone(), wanted, requester, actor, workers, cx), true));
    };
    let Some(its) = known.spec.job() else { return Err(refusals::named_as_graph(named)) };
    if known.spec.queued().is_some() {
        return Err(refusals::of_the_queue(named));
    }
    if !known.title().may_manage(requester) {
        return Err(refusals::owned_by_other(&known.claimed(), requester));
    }
    if known.state().is_live() {
        return Err(refusals::job_lives(named, known.state(), its, (&add.command, &add.cwd)));
    }
    workers.alter(named, |worker| worker.becomes(wanted));
    if let Some(worker) = workers.get(named) {
        worker.publish(EventKind::WorkerUpdated, actor.clone(), cx);
    }
    Ok((named.clone(), false))
}

/// The kind of a job that is started again after these ends, with the delays and the patience of the settings.
pub(crate) fn kind(on: RestartOn, settings: &RestartPolicy) -> Kind {
    Kind { restart: RestartPolicy { on, ..settings.clone() }, ..Kind::job() }
}

/// Adds a job that is not known.
pub(crate) fn insert(
    name: Name,
    spec: Spec,
    requester: &Owner,
    actor: &Actor,
    workers: &mut Workers,
    cx: &mut Cx,
) -> Name {
    let run = cx.past.last_run(&name);
    let origins = Origins {
        ownership: Ownership::new(requester.clone(), None),
        run,
        actor: actor.clone(),
        created_at: cx.now.wall,
        last_port: None,
        shown: Shown::of_job(&spec),
        expects: Expects::of_new(run),
    };
    let worker = Worker::new(name.clone(), spec, origins);
    worker.publish(EventKind::WorkerAdded, actor.clone(), cx);
    workers.insert(worker);
    name
}

/// Takes over what a later `add` says of a job. Only the restart policy and the description of one that runs are changed, and only by
/// who may manage it.
fn renew(
    name: &Name,
    asked: &Asked<'_>,
    requester: &Owner,
    actor: &Actor,
    workers: &mut Workers,
    cx: &mut Cx,
) {
    let Some(worker) = workers.get_mut(name) else { return };
    let is_live = worker.state().is_live();
    let may = !is_live || Title::may_manage(worker.title(), requester);
    let add = asked.add;
    let restart = add.restart.filter(|on| may && *on != worker.spec.policy.restart.on);
    if !is_live {
        let policy = asked.of_next_run(Kind::clone(&worker.spec.policy));
        if policy != *worker.spec.policy {
            worker.spec.policy = cx.pools.kinds.of(policy);
        }
    } else if let Some(on) = restart {
        let mut policy = Kind::clone(&worker.spec.policy);
        policy.restart.on = on;
        worker.spec.policy = cx.pools.kinds.of(policy);
    }
    let described = add.description.as_ref().filter(|_| may);
    if described.is_some_and(|text| worker.spec.describe(text)) || restart.is_some() {
        worker.publish(EventKind::WorkerUpdated, actor.clone(), cx);
    }
}

/// An `add` whose check was read.
struct Asked<'a> {
    add: &'a Add,
    readiness: Option<Readiness>,
}

impl Asked<'_> {
    /// Lays what it says over a policy, for a run that is to begin.
    fn of_next_run(&self, mut policy: Kind) -> Kind {
        let Self { add, readiness } = self;
        policy.restart.on = add.restart.unwrap_or(policy.restart.on);
        if let Some(readiness) = readiness {
            policy.readiness = readiness.clone();
        }
        if let Some(rlimits) = &add.rlimits {
            policy.rlimits.clone_from(rlimits);
        }
        policy.on_last_lease = add.on_last_lease;
        policy
    }
}

/// Tells whether a limit has a name and a value that the configuration would take.
fn is_limit(name: &str, value: u64) -> bool {
    RLIMITS.contains(&name) && (u64::from(name != "core")..=MAX_RLIMIT).contains(&value)
}

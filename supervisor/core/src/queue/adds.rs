//! New jobs.

use super::{asks, attempts, routes};
use crate::conns::Caller;
use crate::history;
use crate::lanes::{Adding, Asking};
use crate::refusals;
use crate::state::Core;
use alloc::boxed::Box;
use gob_protocol::answer::{QueueAddData, QueueOutcome};
use gob_protocol::queue::{NewJob, QueueAsk, QueueJob};
use gob_protocol::request::QueueAdd;
use gob_protocol::{Data, EventKind, Name, Timestamp};

/// `queue_add`. It waits for a number where none is left.
pub(super) fn add(core: &mut Core, caller: &Caller, add: QueueAdd) {
    let settings = &core.cx.setup.settings.queue;
    let run_at = core.cx.now.wall.0.saturating_add_unsigned(add.delay_ms.unwrap_or_default());
    let job = NewJob {
        id: Name::numbered(0),
        lane: add.lane,
        command: add.command,
        cwd: add.cwd,
        env: add.env,
        umask: caller.umask,
        owner: caller.owner().clone(),
        priority: add.priority.unwrap_or_default(),
        run_at: Timestamp(run_at),
        max_attempts: add.max_attempts.unwrap_or(settings.max_attempts),
        after: add.after,
        dedupe: add.dedupe,
        description: add.description,
    };
    let client = (caller.conn, caller.id.clone());
    if routes::is_lane(core, &job.lane) {
        // The database gives the number.
        let asking = Asking::of(client, caller.actor());
        return asks::ask(core, QueueAsk::Add(Box::new(job)), asking);
    }
    let adding = Adding { client, actor: caller.actor(), job };
    history::look_for_numbers(&mut core.underway, &mut core.cx);
    if core.cx.past.numbers_left() > 0 {
        numbered(core, adding);
    } else if !core.lanes.wants_number(adding) {
        core.cx.answer(caller, Err(refusals::no_place("jobs that wait for a number")));
    }
}

/// There are numbers of jobs. More adds may wait than there are numbers in a block: those wait for the next one.
pub(super) fn have_numbers(core: &mut Core) {
    for adding in core.lanes.take_adds(core.cx.past.numbers_left()) {
        numbered(core, adding);
    }
    if core.lanes.has_adds() {
        history::look_for_numbers(&mut core.underway, &mut core.cx);
    }
}

fn numbered(core: &mut Core, adding: Adding) {
    let Adding { client, actor, mut job } = adding;
    match core.cx.past.next_job() {
        Some(id) => {
            job.id = id;
            asks::ask(core, QueueAsk::Add(Box::new(job)), Asking::of(client, actor));
        }
        None => asks::answer(core, Some(client), Err(refusals::no_place("numbers of jobs"))),
    }
}

/// A job is on the disk.
pub(super) fn added(core: &mut Core, asking: Asking, job: QueueJob, is_new: bool) {
    let (lane, run_at) = (job.lane.clone(), job.run_at);
    let outcome = if is_new { QueueOutcome::Added } else { QueueOutcome::Reused };
    if is_new {
        core.cx.publish_job(EventKind::QueueJobAdded, asking.actor, job.clone());
    }
    let data = Data::QueueAdd(Box::new(QueueAddData { job, outcome }));
    asks::answer(core, asking.client, Ok(data));
    if is_new {
        attempts::is_due_at(core, &lane, run_at);
    }
}

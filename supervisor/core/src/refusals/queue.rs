//! Refusals about the queue.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use gob_protocol::database;
use gob_protocol::queue::{LaneName, QueueRefusal, ScheduleName};
use gob_protocol::{ErrorCode, Name, Owner, WireError};
use serde_json::json;

/// The store refuses a question.
pub(crate) fn queue_refused(why: &QueueRefusal) -> Box<WireError> {
    let message = why.to_string();
    let error = |code| WireError::new(code, message.clone());
    let see_jobs = "see what there is: gobctl queue list";
    Box::new(match why {
        QueueRefusal::NoJob(id) => {
            error(ErrorCode::JobNotFound).hint(see_jobs).details(json!({"job": id.as_str()}))
        }
        QueueRefusal::UnknownJobs(ids) => {
            let ids: alloc::vec::Vec<&str> = ids.iter().take(10).map(Name::as_str).collect();
            error(ErrorCode::JobNotFound).hint(see_jobs).details(json!({"jobs": ids}))
        }
        QueueRefusal::Ended { id, status } => error(ErrorCode::ServerNotRunning)
            .hint(format!("see how it ended: gobctl queue logs {id}"))
            .details(json!({"job": id.as_str(), "status": status.as_str()})),
        QueueRefusal::AfterEnded { id, status } => error(ErrorCode::ServerNotRunning)
            .hint(format!("let that one run once more first: gobctl queue retry {id}"))
            .details(json!({"job": id.as_str(), "status": status.as_str()})),
        QueueRefusal::NotEnded { id, status } | QueueRefusal::SameKey { id, status } => {
            error(ErrorCode::ServerRunning)
                .hint(format!("wait for it: gobctl queue wait {id}; or cancel it: gobctl queue cancel {id}"))
                .details(json!({"job": id.as_str(), "status": status.as_str()}))
        }
        QueueRefusal::NotClaimed(id) => error(ErrorCode::JobNotClaimed).details(json!({"job": id.as_str()})),
        QueueRefusal::IdTaken(id) => error(ErrorCode::Internal).details(json!({"job": id.as_str()})),
        QueueRefusal::NoSchedule(name) => error(ErrorCode::JobNotFound)
            .hint("see what there is: gobctl queue schedules")
            .details(json!({"schedule": name.as_str()})),
        QueueRefusal::ScheduleTaken(name) => error(ErrorCode::GraphConflict)
            .hint(format!("choose another name with --name, or remove it: gobctl queue unschedule {name}"))
            .details(json!({"schedule": name.as_str()})),
        QueueRefusal::BadTimes { field, .. } => {
            let details = json!({"field": format!("payload.{field}"), "position": 0});
            let hint = match *field {
                "cron" => {
                    "at 3 each night: --cron '0 3 * * *'; minute hour day month weekday, in local time without --timezone"
                }
                "timezone" => "see the zones of this machine: ls /usr/share/zoneinfo",
                _ => "every ten minutes: --interval 10m",
            };
            error(ErrorCode::InvalidRequest).hint(hint).details(details)
        }
        QueueRefusal::BadCursor => {
            error(ErrorCode::InvalidRequest).details(json!({"field": "payload.after", "position": 0}))
        }
        QueueRefusal::TooMany { what, .. } => error(ErrorCode::Busy).details(json!({"limit": what})),
    })
}

/// The database that several machines share does not answer.
pub(crate) fn shared_away(why: &str) -> Box<WireError> {
    let (why, remedy) = database::remedy(why);
    let error =
        WireError::new(ErrorCode::Busy, format!("the database that the machines share is away: {why}"));
    let first = remedy.unwrap_or("try again when it is back");
    let hint = format!("{first}: gobctl status says how it is; lanes of this machine alone go on");
    Box::new(error.hint(hint).details(json!({"limit": "shared"})))
}

/// A schedule belongs to one machine.
pub(crate) fn shared_schedule(lane: &LaneName) -> Box<WireError> {
    let message = format!(
        "{lane} is shared by several machines, each of which would add the job: a schedule is of a lane of this machine alone"
    );
    let details = json!({"field": "payload.lane", "position": 0});
    let hint =
        "schedule a command in a lane of this machine that adds the job: gobctl queue add with --dedupe";
    Box::new(WireError::new(ErrorCode::InvalidRequest, message).hint(hint).details(details))
}

/// A bound of the supervisor's own is reached.
pub(crate) fn no_place(what: &str) -> Box<WireError> {
    let error = WireError::new(ErrorCode::Busy, format!("there are too many {what}"));
    Box::new(error.hint("try again in a moment").details(json!({"limit": what})))
}

/// Too many claims wait for a job.
pub(crate) fn too_many_wait() -> Box<WireError> {
    no_place("claims that wait")
}

/// A worker holds no such claim.
pub(crate) fn not_claimed(id: &Name, worker_id: &str, is_cancelled: bool) -> Box<WireError> {
    let why = if is_cancelled { "it was cancelled" } else { "the attempt is over, or another worker's" };
    let error =
        WireError::new(ErrorCode::JobNotClaimed, format!("{id} is not claimed by {worker_id}: {why}"));
    let details = json!({"job": id.as_str(), "worker_id": worker_id});
    Box::new(error.hint("end the work on it, and claim the next job").details(details))
}

/// The job is another owner's.
pub(crate) fn job_of_other(id: &Name, owner: &Owner, requester: &Owner) -> Box<WireError> {
    of_other(id.as_str(), owner, requester)
}

/// The schedule is another owner's.
pub(crate) fn schedule_of_other(name: &ScheduleName, owner: &Owner, requester: &Owner) -> Box<WireError> {
    of_other(name.as_str(), owner, requester)
}

fn of_other(name: &str, owner: &Owner, requester: &Owner) -> Box<WireError> {
    let message = format!("{name} is owned by {owner}, you are {requester}");
    let hint = if owner.is_unknown() { "nobody owns it; cli may" } else { "ask its owner to cancel it" };
    let details = json!({"worker": name, "owner": owner.as_str(), "requester": requester.as_str()});
    Box::new(WireError::new(ErrorCode::ServerOwnedByOther, message).hint(hint).details(details))
}

/// The queue runs the job of this name, and nobody else does.
pub(crate) fn of_the_queue(name: &Name) -> Box<WireError> {
    let message = format!("{name} is a job of the queue, and runs when its lane has a place for it");
    let hint = format!("let it run once more when it has failed: gobctl queue retry {name}");
    let error = WireError::new(ErrorCode::GraphConflict, message).hint(hint);
    Box::new(error.details(json!({"worker": name.as_str()})))
}

/// A job of the queue is not handed over.
pub(crate) fn stays_with_its_owner(name: &Name) -> Box<WireError> {
    let message = format!("{name} is a job of the queue, and stays with the owner that added it");
    let hint = format!("cancel it, and have the other owner add it: gobctl queue cancel {name}");
    let error = WireError::new(ErrorCode::GraphConflict, message).hint(hint);
    Box::new(error.details(json!({"worker": name.as_str()})))
}

/// A schedule has to have one kind of times.
pub(crate) fn two_times() -> Box<WireError> {
    let message = "a schedule has either cron or interval_ms";
    let details = json!({"field": "payload.cron", "position": 0});
    Box::new(WireError::new(ErrorCode::InvalidRequest, message).details(details))
}

/// An interval is too short.
pub(crate) fn bad_interval(min_ms: u64) -> Box<WireError> {
    let message = format!("the interval of a schedule is at least {min_ms} ms");
    let details = json!({"field": "payload.interval_ms", "position": 0});
    Box::new(WireError::new(ErrorCode::InvalidRequest, message).details(details))
}

//! Every refusal of the core: its code, its text, its hint and its details; and every reason that a view shows. Pure functions of plain data.
//!
//! | file | refusals of |
//! |---|---|
//! | `request` | requests that mean nothing, or come from the wrong party or at the wrong time |
//! | `config` | the configuration, and the state of another version |
//! | `run` | runs that do not come up, or do not end |
//! | `reason` | none: the reasons that a view shows of a worker |
//! | `spawn` | runs that get no process: a text and a hint for each step of a start |
//! | `holder` | processes that gob did not start |
//! | `graph` | graphs on disk |
//! | `job` | jobs: names that mean something else |
//! | `queue` | the queue |
//! | `lock` | named locks |
//! | `unseen` | ports that are not seen; and the reasons why a probe or an examination found nothing |
//! | `upgrade` | upgrades |
//! | `turned_away` | connections |

mod config;
mod graph;
mod holder;
mod job;
mod lock;
mod queue;
mod reason;
mod request;
mod run;
mod spawn;
mod turned_away;
mod unseen;
mod upgrade;

pub(crate) use config::{config_invalid, config_partly, no_kind, state_of_another};
pub(crate) use graph::{
    ambiguous, conflict, data_gone, graph_is_up, graph_served, no_dir, no_graph, not_deleted, owned_before,
    served, was_last, was_last_without_kind,
};
pub(crate) use holder::{beside_orphans, held_by, not_ours, on_its_way_out, still_held};
pub(crate) use job::{
    bad_limit, bad_readiness, blocked, job_is_named, job_lives, job_number, named_as_graph, named_as_job,
    no_history, no_such_run, run_lives,
};
pub(crate) use lock::{
    lock_busy, lock_deadlock, lock_is_free, lock_not_held, lock_not_yet, lock_of_other, lock_timeout,
    lock_unclaimed, lock_without_database, lock_without_mark, lock_without_token,
};
pub(crate) use queue::{
    bad_interval, job_of_other, no_place, not_claimed, of_the_queue, queue_refused, schedule_of_other,
    shared_away, shared_schedule, stays_with_its_owner, too_many_wait, two_times,
};
pub(crate) use reason::Reason;
pub(crate) use request::{
    Claimed, cannot_remove, hello_twice, needs_graph, not_a_signal, not_found, not_running, others_live,
    owned_by_other, shutting_down, signal_refused, subscribed_already, version_mismatch,
};
pub(crate) use run::{
    ended_without, left_over, never_ready, no_descriptors, not_ready_yet, run_failed, socket_too_long,
    still_there, stopped_by, survived,
};
pub(crate) use spawn::{all_hang, spawn_failed};
pub use turned_away::{TurnedAway, unwritable};
pub(crate) use unseen::ports_unseen;
pub(crate) use upgrade::{may_not_upgrade, upgrade_failed, upgrade_is_on};

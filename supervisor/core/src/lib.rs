//! Everything that gob decides, as a pure state machine.
//!
//! [`Core::apply`] takes what happened and when, changes the state, and returns what is to be done. It is the only
//! place where state changes: workers, owners, leases, deadlines, the event ring, who gets which reply. There is no
//! clock here, no file, no thread, no process, and `no_std` keeps it so.
//!
//! A file uses those above it in this list, and none below; a test keeps it so.
//!
//! | file | |
//! |---|---|
//! | `ids`, `failure`, `target`, `paths`, `record`, `parts`, `on_disk`, `chronicle`, `ban`, `io` | plain data: what comes in and goes out |
//! | `pools`, `spec` | values that workers share; how a worker's runs are made, watched and ended |
//! | `owner`, `refusals` | the right to manage a worker; every text and hint of a refusal, and every reason that a view shows |
//! | `setup` | settings |
//! | `making`, `plan` | what a run is made of, by its worker's origin; its plan |
//! | `recovery` | the processes of a dead supervisor that may be killed |
//! | `roots`, `claims`, `waits`, `crowd` | roots that are refused; the one worker of a directory; how long is waited for a disk, and for a lock file that is being written; how much work may hang |
//! | `restart`, `ring`, `past`, `timers`, `news`, `conns`, `reloads`, `lanes`, `lock_asks`, `underway`, `leaving` | parts of the state, each with private fields |
//! | `cx` | the context of a decision: all that it may touch beside its own state |
//! | `stage`, `run`, `step` | where a run stands; one run; the outcome of a decision about it |
//! | `probes`, `looks` | the schedules by which a run is looked at, before it is ready and afterwards, and by which it is looked where it listens |
//! | `waiters`, `leases`, `expects` | requests that wait for a worker, connections that use it, how long its runs take |
//! | `worker` | one worker, and all that is decided about it (the table in ARCHITECTURE.md, Lifecycle) |
//! | `workers`, `starts`, `adds`, `remembered` | all workers; the one that a start means, or an `add`; those of an earlier supervisor |
//! | `blocked` | jobs that a project file keeps from running |
//! | `history` | questions that the store answers, and the numbers of jobs |
//! | `ports` | where workers listen: requests for it, and what was seen |
//! | `locks` | named locks: who holds them, and who is next |
//! | `upgrade` | upgrades: who may ask for one, and what becomes of it |
//! | `state` | [`Core`]: all of the state |
//! | `queue` | the jobs of the queue: who may have which, and what becomes of them |
//! | `ends`, `reload`, `sockets`, `graphs` | what spans workers: the end, the configuration, sockets, graphs on disk |
//! | `reads`, `begins`, `asked`, `requests` | requests: those that show, those that begin a run, those that the store answers, and all others |
//! | `door` | [`Core::apply`]: finds the worker and the run, and drops what is stale |

#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod adds;
mod asked;
mod ban;
mod begins;
mod blocked;
mod chronicle;
mod claims;
mod conns;
mod crowd;
mod cx;
mod door;
mod ends;
mod expects;
mod failure;
mod graphs;
mod history;
mod ids;
mod io;
mod lanes;
mod leases;
mod leaving;
mod lock_asks;
mod locks;
mod looks;
mod making;
mod news;
mod on_disk;
mod owner;
mod parts;
mod past;
mod paths;
mod plan;
mod pools;
mod ports;
mod probes;
mod queue;
mod reads;
mod record;
mod recovery;
mod refusals;
mod reload;
mod reloads;
mod remembered;
mod requests;
mod restart;
mod ring;
mod roots;
mod run;
mod setup;
mod sockets;
mod spec;
mod stage;
mod starts;
mod state;
mod step;
mod target;
#[cfg(test)]
mod tests;
mod timers;
mod underway;
mod upgrade;
mod waiters;
mod waits;
mod worker;
mod workers;

pub use ban::{Ban, Begins};
pub use chronicle::{NoAnswer, Question, Recorded, SharedChange, SharedNews, Stored};
pub use claims::{ClaimTable, Claimed};
pub use crowd::{DISK_THREADS, MOUNT_THREADS, Room, may_enter, room};
pub use failure::{Errno, ExecFlaw, ForkStep, LockFlaw, Silent, SpawnFailure, SpawnStep, Unclear};
pub use ids::{ConnId, Now, RunKey};
pub use io::{Effect, Input, Read};
pub use on_disk::{DeletePlan, FindGraphs, GraphSearch, NotDeleted, OnDisk};
pub use parts::{
    ExaminePlan, Examined, GraphLock, Holder, Listener, LocksMark, Lost, Note, Orphan, PORT_MARK, PortWish,
    PortsSeen, SpawnPlan, Transport,
};
pub use paths::{Paths, SOCKET_SUFFIX, notify_socket, sockets_dir};
pub use record::{Keep, MAX_RECORD_BYTES, New, Place, RECORD_VERSION, Record, Unfit};
pub use recovery::{Before, Evidence, Judgement, Marked, Search, Suspect, TagOf, Trace, may_kill};
pub use refusals::{TurnedAway, unwritable};
pub use remembered::{Remembered, RememberedWorker, ToRemember};
pub use roots::{BadRoot, judge_root};
pub use state::{Config, Core, Roster, STATE_VERSION, Surroundings};
pub use target::{Answered, Listens, Miss, Missed, Target};
pub use waits::{DISK_PATIENCE_MS, Reread, reread, wait_left_ms};

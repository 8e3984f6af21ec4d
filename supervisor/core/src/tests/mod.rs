//! Tests of the core, without a process, a clock or a thread of its own.
//!
//! | the world | |
//! |---|---|
//! | `harness` | a world around the core; every input is followed by all the checks of the four files below |
//! | `runs` | processes as a truthful shell has them: what the core may ask of which run |
//! | `spec`, `wish` | owners, leases and wishes, told a second time from PROTOCOL.md alone |
//! | `watch` | the frames that each subscriber must get, and the contents of each answer |
//! | `checks` | invariants of the core's state after every input |
//! | `reports` | facts as a shell reports them, in time or late |
//! | `shared` | locks and lanes in the world, and restarts; with the models of `locks` and `queue` |
//! | `steps`, `dice`, `words`, `settle` | the possible steps; drawn by chance; in short words; repeated until nothing moves |
//!
//! | the tests | |
//! |---|---|
//! | `state` | the state is written and read back, and gone on with |
//! | `one_worker` | decisions with one worker and one context |
//! | `walls` | no file uses one that uses it; `Core` has few methods |
//! | `table` | the table of ARCHITECTURE.md, Lifecycle, cell by cell |
//! | `exhaust` | every sequence of inputs up to a depth |
//! | `random` | long random histories (`GOB_HISTORIES`, `GOB_SEED`) |
//! | `owner`, `start`, `ending`, `lease`, `subscribers`, `config` | one behaviour each |
//! | `readiness`, `stop_ways` | each check of readiness and each way to stop |
//! | `liveness`, `foreign` | probes of a run that is up; holders of a graph without gob |
//! | `remembered` | the workers of an earlier supervisor |
//! | `locks` | named locks, and random histories of them |
//! | `queue` | the lanes of the queue, its attempts and claims; random histories of its own |
//! | `healing` | events and effects about lost files of gob's own |
//!
//! # Do they find anything?
//!
//! Each of these defects was put into the core by hand, and each was found. `*` is found by `exhaust` and by `random`,
//! the others as said:
//!
//! * an exit is not followed by a sweep *, a stale run is heard *, a process is asked to end before it is spawned *;
//! * a stop leaves a start that waits *, or the timer of the backoff *; a later stop puts the kill off *;
//! * a restart asks no owner *, a reuse changes the owner *, a start that waits owns the worker at once *;
//! * starters are answered twice *, or served by the run after theirs *; waiters outlive their connection *, and so does
//!   the asker of the supervisor's end *; the end forgets workers in backoff *;
//! * a start keeps the grace of an earlier owner *, a lease that is not the owner's counts *;
//! * the last owner keeps a worker after `cli` took it over *, a lease does not give it back: `owner`;
//! * `force` counts for every owner: `random` and `ending`;
//! * deadlines ignore that the machine slept *;
//! * a lagging subscriber is not told of the first event, its window is one too wide, a replay includes `since`:
//!   `random` and `subscribers`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the inputs and effects that it looks at; the core itself names them all"
)]

/// Leaves the function with this message when the condition does not hold.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(std::format!($($why)+));
        }
    };
}

mod checks;
mod config;
mod dice;
mod ending;
mod exhaust;
mod fingerprint;
mod foreign;
mod graphs;
pub(crate) mod harness;
mod healing;
mod jobs;
mod lease;
mod liveness;
mod locks;
mod one_worker;
mod owner;
mod ports;
mod programs;
mod queue;
mod random;
mod readiness;
mod record;
mod remembered;
mod reports;
mod runs;
mod settle;
mod shared;
mod spec;
mod start;
mod state;
mod steps;
mod stop_ways;
mod subscribers;
mod table;
mod upgrade;
mod upgrading;
mod walls;
mod watch;
mod wish;
mod words;

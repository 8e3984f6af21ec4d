//! Tests of the core, without a process, a clock or a thread of its own.
//!
//! | the world | |
//! |---|---|
//! | `harness` | a world around the core; every input is followed by all the checks of the four files below |
//! | `runs` | processes as a truthful shell has them: what the core may ask of which run |
//! | `spec`, `wish` | owners, leases and wishes, told a second time from PROTOCOL.md alone |
//! | `watch` | what each subscriber must get, and what each answer must say |
//! | `checks` | what must hold of the core's state after every input |
//! | `steps`, `dice`, `words`, `settle` | what can happen; by chance; in short; until nothing moves any more |
//!
//! | the tests | |
//! |---|---|
//! | `state` | the state is written and read back, and gone on with |
//! | `one_worker` | decisions with one worker and one context |
//! | `walls` | no file uses one that uses it; `Core` has few methods |
//! | `table` | the table of ARCHITECTURE.md, Lifecycle, cell by cell |
//! | `exhaust` | every sequence of inputs up to a depth |
//! | `random` | long random histories (`GOB_HISTORIES`, `GOB_SEED`) |
//! | `owner`, `start`, `ending`, `lease`, `subscribers`, `config` | one behaviour each, in words |
//! | `readiness`, `stop_ways` | each check and each way, in words |
//! | `liveness`, `foreign` | what is looked at later, and who holds a graph without gob, in words |
//! | `remembered` | what becomes of the workers of an earlier supervisor |
//! | `healing` | what is said of files that were taken away |
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
//!   who asked for the end *; the end forgets what is in backoff *;
//! * a start keeps the grace of an earlier owner *, a lease that is not the owner's counts *;
//! * who had a worker keeps it after `cli` took it over *, a lease does not give it back: `owner`;
//! * `force` asks nobody whether it counts: `random` and `ending`;
//! * deadlines do not heed that the supervisor slept *;
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
mod lease;
mod liveness;
mod one_worker;
mod owner;
mod random;
mod readiness;
mod record;
mod remembered;
mod runs;
mod settle;
mod spec;
mod start;
mod state;
mod steps;
mod stop_ways;
mod subscribers;
mod table;
mod walls;
mod watch;
mod wish;
mod words;

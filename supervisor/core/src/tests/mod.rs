//! Tests of the core, without a process, a clock or a thread of its own.
//!
//! | file | tests |
//! |---|---|
//! | `harness` | the world around the core: every step is followed by the checks of the three files below |
//! | `runs` | processes as a truthful shell has them: what the core asks of which run |
//! | `spec` | owners, leases and wishes, told a second time from PROTOCOL.md alone |
//! | `watch` | what each subscriber must get |
//! | `checks` | what must hold of the core's state after every input |
//! | `settle` | the world cooperates until nothing moves any more |

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
mod dice;
mod exhaust;
mod fingerprint;
mod harness;
mod lease;
mod owner;
mod random;
mod runs;
mod settle;
mod spec;
mod steps;
mod subscribers;
mod table;
mod watch;

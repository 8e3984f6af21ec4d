//! The screen model: workers and the supervisor in the words that people see, without colour, width or keys. Pure.
//!
//! `gobctl list` and `gobctl status` draw from it, and so does every other surface: a row for each worker, the facts about
//! one, its badges, and each action with the reason why it is not allowed. Texts of workers are raw; the code that draws them
//! on a terminal escapes them.

mod action;
mod alarm;
mod event;
mod link;
mod list;
mod row;
mod run;
pub mod said;
mod sample;
mod supervisor;
pub mod text;
pub mod times;
mod worker;

pub use action::{Action, Allowed, Reason, actions, in_other_hands, refusal};
pub use alarm::Alarm;
pub use event::{event_details, event_subject, event_tone, event_word};
pub use link::{Banner, Link, Trouble};
pub use list::{Empty, List, by_name, owner, spoken, summary};
pub use row::{Row, Rows, Tone, Words, ports, state_word};
pub use run::{run_duration, run_end, run_tone};
pub use sample::sample;
pub use supervisor::{journal_trouble, shared, supervisor};
pub use worker::{Badge, badges, command, failure, tone, worker};

#[cfg(all(test, feature = "surface"))]
pub(crate) use worker::tests as testing;

/// A line of a list of facts: its key, its text.
pub type Fact = (&'static str, String);

/// Returns `1 lease`, `2 leases`.
fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

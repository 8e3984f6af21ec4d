//! The durable queue in the store: which job is next, who holds it, and what became of it.
//!
//! | module | what it is |
//! |---|---|
//! | `sql` | the tables, in the store's own file or in a database that several machines share |
//! | `rows` | jobs, lanes and schedules from their columns |
//! | `list` | what only reads |
//! | `answer` | which question is answered where |
//! | `add` | new jobs, and the jobs that they come after |
//! | `claim` | the next job of a lane |
//! | `settle` | ends of attempts, and what follows from them |
//! | `lanes` | lanes, and all of their jobs at once |
//! | `recover` | claims of earlier lives |
//! | `schedules`, `cron` | jobs that are added again and again |
//!
//! Jobs come after jobs that were there before them, and nothing adds to that later: no circle can come about.

mod add;
mod answer;
mod claim;
mod cron;
mod lanes;
pub(crate) mod list;
mod recover;
pub(crate) mod rows;
mod schedules;
mod settle;
pub(crate) mod sql;

#[cfg(feature = "shared")]
pub(crate) use answer::Stop;
pub(crate) use answer::{Ask, answer};
pub(crate) use claim::give_back;
#[cfg(feature = "shared")]
pub(crate) use settle::{any_held, fail_held};

//! The queue of lanes and the named locks that several machines share, in a PostgreSQL database.
//!
//! The questions, and the code that answers them, are those of the store's own file (`jobs`); here is what differs: a database that may
//! be away, others that write to it at the same time, and clocks that do not agree.
//!
//! | module | what it is |
//! |---|---|
//! | `address` | the database's address, and its password |
//! | `failure` | the reasons why the database does not answer |
//! | `schema` | tables, and the steps between their versions |
//! | `session` | one connection: statements, transactions, notifications |
//! | `tables` | the tables of the queue in an open transaction |
//! | `lives` | supervisors that were heard of, and the claims of those that were not |
//! | `locks` | named locks: their holders, and who is next |
//! | `news` | what the machines tell each other |
//! | `group` | questions that share a transaction |
//! | `handle`, `thread` | the supervisor's end, and the thread |
//!
//! The thread is started with the first handle. It has one connection, and waits for the database as long as it answers nothing:
//! no question waits with it.

mod address;
mod failure;
mod group;
mod handle;
mod lives;
mod locks;
mod news;
mod schema;
mod session;
mod tables;
#[cfg(test)]
mod tests;
mod thread;

pub use address::Address;
pub use failure::Failure;
pub use handle::{Handle, Health, NotAsked, Settings, SharedState, State, Told};
pub use news::News;

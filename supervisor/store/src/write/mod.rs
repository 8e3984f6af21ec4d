//! The writing side: a queue, a thread, and the file behind it.

mod asks;
mod columns;
mod create;
mod failure;
mod handle;
mod open;
mod question;
mod queue;
mod records;
mod rescue;
mod salvage;
mod settings;
mod thread;
mod told;
mod trim;
mod work;

pub use handle::{Handle, Store, StoreState, Unfinished};
pub use question::{Answer, Question};
pub use queue::Full;
pub use records::Record;
pub use salvage::Kept;
pub use settings::{Condition, Health, Settings};
pub use told::{Notice, Told};

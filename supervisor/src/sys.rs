//! All calls to the kernel about processes, and the only place with `unsafe`. Decides nothing.

pub(crate) mod children;
pub(crate) mod clock;
pub(crate) mod clone;
pub(crate) mod closing;
#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod fds;
pub(crate) mod kernel;
pub(crate) mod linux;
pub(crate) mod listing;
pub(crate) mod message;
pub(crate) mod process;
pub(crate) mod reap;
pub(crate) mod sched;
pub(crate) mod spawn;
pub(crate) mod table;
pub(crate) mod tag;
pub(crate) mod wire;
pub(crate) mod xattr;

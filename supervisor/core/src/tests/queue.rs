//! The queue: its lanes, claims, ends and schedules, and random histories of them.

mod between;
mod claims;
pub(super) mod desk;
mod ends;
mod lanes;
mod numbers;
mod random;
pub(super) mod rig;
mod schedules;
mod shared;
pub(super) mod store;

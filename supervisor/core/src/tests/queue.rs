//! The queue: its lanes, claims, ends and schedules, and random histories of them.

mod claims;
mod ends;
mod lanes;
mod random;
mod rig;
mod schedules;
mod store;

//! `gobctl tui` on an emulated terminal: the real programs, keys and the mouse in, whole frames out.
#![allow(missing_docs, reason = "a test has no interface")]

mod away;
mod copying;
mod given_back;
mod hostile;
mod large;
mod leases;
mod looks;
mod picture;
mod refused;
mod usage;
mod world;

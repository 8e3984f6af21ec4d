//! The shared store on a real PostgreSQL, which each test that needs it starts for itself.
#![expect(clippy::wildcard_enum_match_arm, reason = "any other answer fails the test")]

#[path = "../../../../tests/src/postgres.rs"]
#[expect(unreachable_pub, reason = "the end-to-end tests use it, too")]
mod server;

mod grants;
mod lives;
mod locks;
mod rig;
mod suite;
mod trouble;

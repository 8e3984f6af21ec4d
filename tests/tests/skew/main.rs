//! Programs of this version and of 0.1.0 with each other: what both know works, what one of them does not know is refused in words
//! and by a code, and there is a way to one version.
#![allow(missing_docs, reason = "a test has no interface")]

mod new_client;
mod old;
mod old_client;
mod states;

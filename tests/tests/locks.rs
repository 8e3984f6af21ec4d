//! Types docs/LOCKS.md line by line, with the real binaries.
#![allow(missing_docs, reason = "a test has no interface")]

use gob_tests::walk::walk_through;
use gob_tests::{Gob, Worker};

const LOCKS: &str = include_str!("../../docs/LOCKS.md");

#[test]
fn the_locks_document_works_line_by_line() {
    let typed = walk_through(&Gob::with(Worker::Real), LOCKS, |_| false);
    assert!(typed >= 4, "only {typed} commands");
}

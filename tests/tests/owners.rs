//! Types docs/OWNERS.md line by line, with the real binaries.
#![allow(missing_docs, reason = "a test has no interface")]

use gob_tests::walk::walk_through;
use gob_tests::{Gob, Worker};

const OWNERS: &str = include_str!("../../docs/OWNERS.md");

#[test]
fn the_owners_document_works_line_by_line() {
    let typed = walk_through(&Gob::with(Worker::Real), OWNERS, |_| false);
    assert!(typed >= 12, "only {typed} commands");
}

//! Types docs/JOBS.md line by line, with the real binaries.
#![allow(missing_docs, reason = "a test has no interface")]

use gob_tests::walk::walk_through;
use gob_tests::{Gob, Worker};

const JOBS: &str = include_str!("../../docs/JOBS.md");

#[test]
fn the_jobs_document_works_line_by_line() {
    let typed = walk_through(&Gob::with(Worker::Real), JOBS, |_| false);
    assert!(typed >= 17, "only {typed} commands");
}

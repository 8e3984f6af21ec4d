//! The proof of shared lanes and locks in small: supervisors and their database are killed, and the records of the jobs judge (F17).

use gob_tests::Ctl;
use gob_tests::gob::built_binaries;
use gob_tests::require::{Need, skip};
use std::time::Duration;

#[test]
fn no_job_is_lost_or_run_twice_at_once_while_supervisors_and_their_database_die() {
    let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    let mut call = Ctl::new(&built_binaries().join("gob-shared-proof"), vec![path]);
    let said = call
        .args(["--jobs", "60", "--machines", "2", "--width", "4", "--kills", "2"])
        .run_within(Duration::from_secs(100));
    if said.code == 2 {
        return skip(Need::Server("postgresql"), said.stderr.trim());
    }
    assert!(said.code == 0 && said.stdout.contains("60 of 60 jobs done by 2 machines"), "{said}");
    assert!(said.stdout.ends_with("\n0 violations\n"), "{said}");
}

//! The proof of the queue in small: claimants and the supervisor are killed, and an independent check of what each wrote down
//! judges (B4, B6). And that check finds what it is there for.

use gob_tests::Ctl;
use gob_tests::ctl::Output;
use gob_tests::gob::built_binaries;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn harness(args: &[&str]) -> Output {
    let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    let mut call = Ctl::new(&built_binaries().join("gob-faults"), vec![path]);
    call.args(args.iter().copied()).run_within(Duration::from_secs(150))
}

#[test]
fn each_job_is_done_once_at_a_time_while_claimants_and_supervisors_die() {
    let said = harness(&["queue", "--jobs", "200", "--claimants", "12", "--kills", "2"]);
    assert!(said.code == 0 && said.stdout.contains("the supervisor 2 times"), "{said}");
    assert!(said.stdout.ends_with("\n0 violations\n"), "{said}");
}

/// Records of a run, as claimants write them.
struct Run(PathBuf);

impl Run {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("gob-queue-proof-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn write(self, file: &str, text: &str) -> Self {
        fs::write(self.0.join(file), text).unwrap();
        self
    }

    fn jobs(self, jobs: &[Value]) -> Output {
        fs::write(self.0.join("jobs.json"), serde_json::to_string(jobs).unwrap()).unwrap();
        let said = harness(&["queue-check", self.0.to_str().unwrap()]);
        assert!(said.code == 0 || said.code == 1, "{said}");
        said
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        fs::remove_dir_all(Path::new(&self.0)).ok();
    }
}

fn job(id: &str, status: &str, attempt: u32) -> Value {
    let at = "2026-11-20T10:00:00.000Z";
    json!({
        "id": id, "lane": "proof", "command": ["true"], "cwd": "/", "status": status, "attempt": attempt,
        "attempts": attempt, "max_attempts": 4, "priority": 0, "run_at": at, "after": [], "locked_by": null,
        "locked_at": null, "heartbeat_at": null, "error": null, "created_at": at, "started_at": at,
        "finished_at": at, "owner": "cli", "worker": null, "exit": null, "dedupe": null, "schedule": null,
        "description": null,
    })
}

const GOOD: &str = "begun j1 1 100 -\nended j1 1 200 good\nacknowledged j1 1 250 completed\n";

#[test]
fn the_check_of_the_records_is_content_with_good_ones() {
    let killed = "begun j2 1 100 -\n";
    let again = "begun j2 3 180 -\nended j2 3 190 bad\nacknowledged j2 3 195 pending\nbegun j2 4 300 -\nended j2 4 310 good\n";
    let said = Run::new("good")
        .write("1.log", GOOD)
        .write("2.log", killed)
        .write("3.log", again)
        .write("killed", "2 150\n3 400\n");
    let said = said.jobs(&[job("j1", "completed", 1), job("j2", "completed", 4)]);
    assert_eq!(said.stdout, "0 violations\n", "{said}");
}

#[test]
fn the_check_of_the_records_finds_each_broken_promise() {
    let one = job("j1", "completed", 1);
    let two = job("j1", "completed", 2);
    let cases = [
        (
            "overlap",
            "begun j1 1 100 -\n",
            "begun j1 2 180 -\nended j1 2 200 good\n",
            "1 190\n",
            &two,
            "overlap",
        ),
        (
            "again",
            GOOD,
            "begun j1 2 300 -\nended j1 2 310 good\n",
            "",
            &two,
            "after the end of 1 was acknowledged",
        ),
        (
            "twice",
            "begun j1 1 100 -\nended j1 1 110 bad\n",
            "begun j1 1 180 -\nended j1 1 200 good\n",
            "",
            &one,
            "began attempt 1 after 1",
        ),
        (
            "falls",
            "begun j1 2 100 -\nended j1 2 110 bad\n",
            "begun j1 1 180 -\nended j1 1 200 good\n",
            "",
            &two,
            "began attempt 1 after 2",
        ),
        (
            "unlisted",
            GOOD,
            "begun j9 1 100 -\nended j9 1 110 good\n",
            "",
            &one,
            "j9 was claimed and is not listed",
        ),
        ("undone", "begun j1 1 100 -\nended j1 1 110 bad\n", "", "", &one, "no attempt 1 went well"),
        ("otherwise", GOOD, "", "", &job("j1", "failed", 4), "acknowledged as completed and is failed"),
        (
            "early",
            "begun j1 1 100 -\nended j1 1 110 bad\n",
            "",
            "",
            &job("j1", "failed", 1),
            "failed after 1 of 4",
        ),
        ("left", GOOD, "", "", &job("j1", "running", 1), "is running at the end"),
        ("torn", GOOD, "begun j1\n", "", &one, "no record"),
    ];
    for (name, first, second, killed, job, says) in cases {
        let run = Run::new(name).write("1.log", first).write("2.log", second).write("killed", killed);
        let said = run.jobs(std::slice::from_ref(job));
        assert!(said.code == 1 && said.stderr.contains(says), "{name}: {said}");
    }
}

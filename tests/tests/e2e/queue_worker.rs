//! The worker in Python of `docs/examples`, which claims jobs of a lane from outside (B7).

use crate::python::{example, python};
use crate::queue_cli::{add, ctl, has_status, job};
use gob_tests::Gob;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;

/// Starts the worker of the examples on the lane `out`, which is left to it.
fn worker(gob: &Gob, python: &Path, log: &Path) -> Child {
    let mut call = example(gob, python, "queue-worker.py", &["out"]);
    call.env("QUEUE_HEARTBEAT", "0.2").env("PYTHONDONTWRITEBYTECODE", "1");
    let file = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    call.command().stdout(file.try_clone().unwrap()).stderr(file);
    call.spawn()
}

#[test]
fn a_worker_outside_claims_finishes_and_is_replaced_when_it_is_killed() {
    let Some(python) = python() else { return };
    let gob = Gob::new();
    gob.ctl(["queue", "width", "out", "0"]).ok();
    let log = gob.dir().join("worker.log");
    let said = || fs::read_to_string(&log).unwrap_or_default();
    let mut first = worker(&gob, &python, &log);
    let quick = add(&gob, &["out", "--shell", "echo $GOB_JOB_ID $GOB_ATTEMPT > here"]);
    ctl(&gob, ["queue", "wait", &quick]).ok();
    assert_eq!(fs::read_to_string(gob.dir().join("here")).unwrap(), format!("{quick} 1\n"));
    assert!(wait::until(DEADLINE, || said().contains(&format!("{quick} is completed\n"))), "{}", said());
    let outside = ctl(&gob, ["queue", "logs", &quick]).run();
    assert!(outside.stdout.is_empty() && outside.stderr.contains("a worker outside ran it"), "{outside}");

    // Killed with -9: the command dies with it, the claim does not count, and another worker gets the job.
    let long = add(&gob, &["out", "--attempts", "1", "--shell", "echo $$ >> pids; exec sleep 1000"]);
    assert!(has_status(&gob, &long, "running"));
    let pids = || fs::read_to_string(gob.dir().join("pids")).unwrap_or_default();
    assert!(wait::until(DEADLINE, || pids().lines().count() == 1));
    let command = pids().trim().to_owned();
    first.kill().unwrap();
    first.wait().unwrap();
    let is_gone = || !Path::new("/proc").join(&command).join("cmdline").exists();
    assert!(wait::until(DEADLINE, is_gone), "the command outlives its worker");
    assert!(has_status(&gob, &long, "pending"), "{}", job(&gob, &long));
    assert_eq!(
        (job(&gob, &long)["attempt"].clone(), job(&gob, &long)["attempts"].clone()),
        (json!(1), json!(0))
    );
    let mut second = worker(&gob, &python, &log);
    assert!(wait::until(DEADLINE, || pids().lines().count() == 2), "{}", said());
    assert_eq!(job(&gob, &long)["attempt"], 2);

    // The claim outlives the supervisor, and so does the work.
    let instance = gob.status()["instance"].as_str().unwrap().to_owned();
    kill(Pid::from_raw(gob.gobd_pid()), Signal::SIGKILL).unwrap();
    gob.wait_other_instance(&instance);
    let has_beaten = || {
        let job = job(&gob, &long);
        job["status"] == "running" && job["attempt"] == 2 && gob.status()["connections"].as_u64() >= Some(2)
    };
    assert!(wait::until(DEADLINE, has_beaten), "{} {}", job(&gob, &long), said());
    ctl(&gob, ["queue", "cancel", &long]).ok();
    let is_left = wait::until(DEADLINE, || said().contains(&format!("left {long}: ")));
    kill(Pid::from_raw(second.id().cast_signed()), Signal::SIGTERM).unwrap();
    let mut status = None;
    let has_ended = wait::until(DEADLINE, || {
        status = second.try_wait().unwrap();
        status.is_some()
    });
    assert!(is_left && has_ended, "{}", said());
    assert_eq!(status.and_then(|status| status.signal()), Some(Signal::SIGTERM as i32), "{}", said());
    assert_eq!(pids().lines().count(), 2, "no attempt began beside another");
}

//! The keeper goes on with another program, too: the same process, with its locks, its supervisor and the count of its restarts (F3).

use crate::replaced::{OTHER, install, of_other_version};
use gob_tests::Gob;
use gob_tests::process::{self, Handle};
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;

/// The steps at which a keeper of the tests can be killed, in their order.
const STEPS: [&str; 3] = ["keeper-asked", "keeper-tried", "keeper-begun"];

fn keeper_of(gob: &Gob) -> i32 {
    gob.status()["keeper_pid"].as_i64().unwrap() as i32
}

fn words_of(pid: i32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn kill_supervisor(gob: &Gob) {
    let before = gob.status();
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(before["instance"].as_str().unwrap());
}

#[test]
fn the_keeper_goes_on_with_its_new_program_and_all_that_it_knows() {
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    kill_supervisor(&gob);
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    let worker = conn.ok("get", json!({"name": "g"}))["worker"]["pid"].take();
    let (gobd, keeper) = (gob.gobd_pid(), keeper_of(&gob));
    let since = process::start_time(keeper);
    // Again and again: also a keeper that took over is taken over from.
    for (name, version) in [("gobd", OTHER), ("gob-keeper", OTHER), ("gob-keeper", "8.8.8")] {
        let bytes = match version {
            OTHER => of_other_version(&gob, name),
            // Behind its end the kernel reads nothing of a program.
            _longer => [fs::read(gob.bin(name)).unwrap(), version.into()].concat(),
        };
        install(&gob, name, &bytes);
        let done = gob.ctl(["daemon", "upgrade"]).run();
        let both = format!("upgraded gobd (pid {gobd}) and its keeper (pid {keeper}) from ");
        let (told, is_of_both) = (done.stdout.as_str(), done.stdout.starts_with(&both));
        assert!(done.code == 0 && !done.stderr.contains("the keeper"), "{done}");
        assert_eq!(is_of_both, name == "gob-keeper", "{told}");
        assert_eq!((gob.gobd_pid(), keeper_of(&gob)), (gobd, keeper));
        assert_eq!(process::start_time(keeper), since);
    }
    assert_eq!(process::exe(keeper), Some(gob.bin("gob-keeper")));
    assert_eq!(fs::read_to_string(format!("/proc/{keeper}/comm")).unwrap(), "gob-keeper\n");
    let words = words_of(keeper);
    assert_eq!(words.iter().filter(|word| word.starts_with("restart=")).count(), 1, "{words:?}");
    assert!(
        words.contains(&"detached".to_owned()) && !words.iter().any(|word| word.contains("gobd")),
        "{words:?}"
    );
    assert_eq!(conn.ok("get", json!({"name": "g"}))["worker"]["pid"], worker);
    let second = gob_tests::Ctl::new(&gob.bin("gob-keeper"), gob.env()).run();
    assert!(second.code == 0 && second.stderr.contains("already running"), "{second}");
    let again = conn.ok("upgrade", json!({}));
    assert_eq!(again["keeper"], json!({"pid": keeper, "upgraded": false}), "it runs what lies there");

    kill_supervisor(&gob);
    let status = gob.status();
    assert_eq!((&status["version"], &status["keeper_pid"]), (&json!(OTHER), &json!(keeper)));
    assert!(words_of(gob.gobd_pid()).contains(&"--keeper-pid".to_owned()));
    let keeper = Handle::open(keeper).unwrap();
    gob.ctl(["daemon", "stop"]).ok();
    assert!(keeper.wait_gone(DEADLINE));
}

#[test]
fn what_can_not_take_the_keepers_place_is_told_and_the_keeper_goes_on() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let keeper = keeper_of(&gob);
    let ours = fs::read(gob.bin("gob-keeper")).unwrap();
    let mut programs: Vec<(Vec<u8>, &str)> = ["/bin/true", "/bin/false"]
        .map(|path| (fs::read(path).unwrap(), "does not go on for the one that runs"))
        .into();
    // A keeper that does not know how: it refuses the words.
    programs.push((fs::read(gob.bin("gobctl")).unwrap(), "its trial run ended with exit code"));
    programs.push((b"#!/bin/sh\nexit 0\n".to_vec(), "does not go on"));
    programs.push((b"no program".to_vec(), "can't be tried"));
    for (bytes, why) in &programs {
        install(&gob, "gob-keeper", bytes);
        let told = conn.ok("upgrade", json!({}))["keeper"].take();
        assert_eq!((&told["pid"], &told["upgraded"]), (&json!(keeper), &json!(false)), "{told}");
        assert!(told["error"].as_str().is_some_and(|error| error.contains(why)), "{told}");
        assert_eq!(keeper_of(&gob), keeper);
    }
    let noted = gob.ctl(["daemon", "upgrade"]).run();
    assert!(noted.code == 0 && noted.stderr.contains("goes on with its own program: "), "{noted}");
    fs::remove_file(gob.bin("gob-keeper")).unwrap();
    let told = conn.ok("upgrade", json!({}))["keeper"].take();
    assert!(told["error"].is_string(), "{told}");
    install(&gob, "gob-keeper", &ours);
    // The same content is the same program.
    assert_eq!(conn.ok("upgrade", json!({}))["keeper"], json!({"pid": keeper, "upgraded": false}));
    kill_supervisor(&gob);
    assert_eq!(keeper_of(&gob), keeper);
}

#[test]
fn a_keeper_that_is_killed_while_it_goes_on_leaves_nothing_and_another_one_follows() {
    for step in STEPS {
        let gob = Gob::new();
        let mut conn = gob.connect_as("cli");
        conn.ok("start", json!({"graph": "g"}));
        let [worker, gobd] =
            [conn.ok("get", json!({"name": "g"}))["worker"]["pid"].as_i64().unwrap() as i32, gob.gobd_pid()]
                .map(|pid| Handle::open(pid).unwrap());
        let keeper = Handle::open(keeper_of(&gob)).unwrap();
        install(&gob, "gob-keeper", &of_other_version(&gob, "gob-keeper"));
        let fault = gob.state_dir().join("upgrade.fault");
        fs::write(&fault, step).unwrap();
        conn.post("upgrade", json!({}));
        for (what, process) in [("the keeper", keeper), ("the supervisor", gobd), ("a worker", worker)] {
            assert!(process.wait_gone(DEADLINE), "{step}: {what} lives");
        }
        fs::remove_file(fault).unwrap();
        gob.ctl(["start", "g"]).ok();
        assert_eq!((gob.running("gob-keeper").len(), gob.running("gobd").len()), (1, 1), "{step}");
    }
}

#[test]
fn a_keeper_that_is_to_end_while_a_program_is_tried_ends_in_order() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let keeper = Handle::open(keeper_of(&gob)).unwrap();
    let hangs = fs::read(gob_tests::gob::built_binaries().join("gob-rootsleep")).unwrap();
    install(&gob, "gob-keeper", &hangs);
    conn.post("upgrade", json!({}));
    let is_tried =
        || gob.processes().into_iter().any(|pid| words_of(pid).contains(&"--would-go-on".to_owned()));
    assert!(wait::until(DEADLINE, is_tried), "{}", gob.logs());
    keeper.signal(Signal::SIGTERM);
    assert!(keeper.wait_gone(DEADLINE));
    assert!(wait::until(DEADLINE, || gob.processes().is_empty()), "nothing is left of the trial");
}

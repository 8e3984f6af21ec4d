//! Tests that one keeper per user wins: the messages of the losers, and the loss of the locks' files.

use crate::home::{Home, finish, read_to_end};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

/// Reports that it is up and stays until TERM.
const STAYS: &str = "trap 'end 0' TERM; echo '{\"pid\":'$$'}' >&$2; say up $$; stay\n";

fn pid_of(event: &str) -> Pid {
    Pid::from_raw(event.split(' ').nth(1).unwrap().parse().unwrap())
}

#[test]
fn a_second_keeper_leaves_without_an_error() {
    let mut home = Home::new(STAYS);
    home.start();
    let supervisor = pid_of(&home.event());
    let mut command = home.keeper();
    let (second, ready) = home.spawn_with_ready(&mut command);
    let message = format!("gob is already running (pid {supervisor})\n");
    assert_eq!(finish(second), (Some(0), message));
    assert_eq!(read_to_end(ready), "", "the ready pipe ends without a byte");
    assert!(!home.has_event(), "no second supervisor was started");
}

#[test]
fn either_lock_is_enough() {
    let mut home = Home::new(STAYS);
    home.start();
    home.event();
    for (name, value) in [("GOB_RUNTIME_DIR", "run2"), ("GOB_STATE_DIR", "state2")] {
        let mut command = home.keeper();
        let second = home.spawn(command.env(name, home.dir.join(value)));
        let (code, text) = finish(second);
        assert!(code == Some(0) && text.starts_with("gob is already running"), "{name}: {code:?} {text}");
    }
    assert!(!home.dir.join("run2").exists(), "nothing is touched before the state lock is held");
}

#[test]
fn of_many_at_once_one_wins() {
    let mut home = Home::new(STAYS);
    let started: Vec<_> = (0..20)
        .map(|_| {
            let mut command = home.keeper();
            home.spawn(&mut command)
        })
        .collect();
    home.event();
    let mut living = 0;
    let winner = {
        let supervisor = fs::read_to_string(home.lock()).unwrap();
        let supervisor = supervisor.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        crate::home::parent(Pid::from_raw(supervisor)).unwrap()
    };
    for child in started {
        if child.id().cast_signed() == winner {
            living += 1;
        } else {
            assert_eq!(finish(child).0, Some(0));
        }
    }
    assert_eq!(living, 1);
    assert!(!home.has_event());
}

#[test]
fn leftovers_and_garbage_decide_nothing() {
    let mut home = Home::new(STAYS);
    fs::create_dir(home.state()).unwrap();
    fs::write(home.lock(), "{\"pid\":1}").unwrap();
    home.start();
    home.event();
}

#[test]
fn a_lock_that_was_deleted_is_taken_again_with_the_next_supervisor() {
    let mut home = Home::new(STAYS);
    home.start();
    let supervisor = pid_of(&home.event());
    fs::remove_file(home.lock()).unwrap();
    fs::remove_dir_all(home.runtime()).unwrap();
    kill(supervisor, Signal::SIGKILL).unwrap();
    let next = pid_of(&home.event());
    assert_ne!(supervisor, next);
    let mut command = home.keeper();
    let second = home.spawn(&mut command);
    assert_eq!(finish(second), (Some(0), format!("gob is already running (pid {next})\n")));
    assert_eq!(crate::home::mode(&home.runtime()), 0o700);
}

#[test]
fn a_living_supervisor_that_lost_its_files_is_not_given_a_rival() {
    let mut home = Home::new(STAYS);
    home.start();
    let supervisor = pid_of(&home.event());
    let losses = [
        (|home: &Home| fs::remove_file(home.lock()).unwrap()) as fn(&Home),
        // A file with old content does not prove that no supervisor lives.
        |_| {},
        |home| fs::remove_dir_all(home.state()).unwrap(),
    ];
    for lose in losses {
        lose(&home);
        let mut command = home.keeper();
        // A caller with another runtime directory and another path to the state directory.
        command.env("GOB_RUNTIME_DIR", home.dir.join("run2"));
        command.env("GOB_STATE_DIR", home.dir.join("bin/../state"));
        let second = home.spawn(&mut command);
        assert_eq!(finish(second), (Some(0), format!("gob is already running (pid {supervisor})\n")));
        assert!(!home.dir.join("run2").exists());
    }
    let mut command = home.keeper();
    let elsewhere = home.spawn(
        command.env("GOB_RUNTIME_DIR", home.dir.join("run3")).env("GOB_STATE_DIR", home.dir.join("state3")),
    );
    assert_ne!(pid_of(&home.event()), supervisor, "another state directory is another world");
    drop(elsewhere);
}

#[test]
fn a_lock_that_is_something_else_is_refused() {
    for make in [
        (|path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap()) as fn(&std::path::Path),
        |path| {
            let target = path.with_extension("target");
            fs::write(&target, "somebody else's").unwrap();
            std::os::unix::fs::symlink(target, path).unwrap();
        },
        |path| fs::create_dir(path).unwrap(),
    ] {
        let mut home = Home::new(STAYS);
        fs::create_dir(home.state()).unwrap();
        make(&home.lock());
        let mut command = home.keeper();
        let (keeper, ready) = home.spawn_with_ready(&mut command);
        let (code, text) = finish(keeper);
        assert!(code == Some(1) && text.contains("gobd.lock"), "{code:?} {text}");
        assert!(read_to_end(ready).starts_with('E'));
        let target = fs::read_to_string(home.lock().with_extension("target"));
        assert!(target.is_ok_and(|text| text == "somebody else's") || !home.lock().is_symlink());
    }
}

//! Tests of the supervisor's end: the sweep, the next start, or the keeper's own end.

use crate::home::{DEADLINE, Home, children, finish, read_to_end};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn nothing_is_left_of_a_killed_supervisor_and_the_next_one_starts() {
    // Every process that tries to get away holds the leash, and reports before the supervisor does.
    let mut home = Home::new(
        "[ -e $DIR/second ] && { say up $$; stay; }
        exec 9>$DIR/leash
        loop='while :; do sleep 1000; done'
        sh -c \"$loop\" &
        setsid sh -c \"$loop\" &
        (setsid sh -c \"(trap '' TERM HUP INT; $loop) & exit\" &)
        env -i /usr/bin/setsid /bin/sh -c \"$loop\" &
        sh -c 'kill -STOP $$' &
        setsid nohup sh -c \"sh -c '$loop' & $loop\" > /dev/null 2>&1 &
        (while :; do (sleep 0.01 & ) ; sleep 0.01; done) &
        say up $$
        trap '' TERM; while :; do sleep 1000; done\n",
    );
    let leash = home.leash("leash");
    let keeper = home.start();
    let first = home.event();
    fs::write(home.dir.join("second"), "").unwrap();
    let supervisor: i32 = first.split(' ').nth(1).unwrap().parse().unwrap();
    kill(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
    let second = home.event();
    assert!(second.starts_with("up ") && second != first);
    leash.wait();
    assert_eq!(children(keeper).len(), 1, "the new supervisor alone");
}

#[test]
fn a_missing_log_does_not_cost_the_supervisor() {
    let mut home = Home::new(
        "trap 'end 0' TERM
        [ -e $DIR/second ] && { say up $PPID; stay; }
        touch $DIR/second; rm $DIR/state/gobd.log; mkdir $DIR/state/gobd.log
        say up $PPID; kill -9 $$\n",
    );
    let mut command = home.keeper();
    let parent = home.spawn(command.arg("--detach"));
    finish(parent);
    let first = home.event();
    home.adopt(first.split(' ').nth(1).unwrap().parse().unwrap());
    assert_eq!(home.event(), first, "the same keeper has started another one");
    assert!(home.state().join("gobd.log").is_dir(), "what is there was not touched");
}

#[test]
fn ten_restarts_and_then_the_reason() {
    let mut home = Home::new("say $*\nkill -SEGV $$\n");
    let mut command = home.keeper();
    let (keeper, ready) = home.spawn_with_ready(&mut command);
    let (mut starts, begun) = (Vec::new(), Instant::now());
    for _ in 0..11 {
        starts.push(home.event());
    }
    assert!(begun.elapsed() > Duration::from_secs(20), "it pauses between them, five seconds at last");
    let (code, text) = finish(keeper);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("ended 11 times within 60 s, last with SIGSEGV; giving up"), "{text}");
    assert!(!home.has_event());
    assert!(starts[0].contains("--ready-fd"));
    assert!(
        starts[1..].iter().all(|start| !start.contains("--ready-fd")),
        "only the first can be waited for"
    );
    assert_eq!(read_to_end(ready), "", "the keeper does not hold the ready pipe");
}

#[test]
fn a_stop_is_heard_in_the_pause_before_a_restart() {
    let mut home = Home::new("say up\nkill -SEGV $$\n");
    let mut command = home.keeper();
    let keeper = home.spawn(&mut command);
    // The seventh start ends at once too, and three seconds pass before the next one.
    for _ in 0..7 {
        home.event();
    }
    let (pid, begun) = (Pid::from_raw(keeper.id().cast_signed()), Instant::now());
    while !children(pid).is_empty() {
        assert!(begun.elapsed() < DEADLINE);
        std::thread::yield_now();
    }
    kill(pid, Signal::SIGTERM).unwrap();
    let (code, text) = finish(keeper);
    assert_eq!(code, Some(128 + Signal::SIGSEGV as i32), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(3) && !home.has_event(), "{:?}", begun.elapsed());
}

#[test]
fn an_orderly_end_is_the_keepers_end() {
    let mut home = Home::new("say up\nexit 0\n");
    let mut command = home.keeper();
    let keeper = home.spawn(&mut command);
    assert_eq!(finish(keeper), (Some(0), String::new()));
    home.event();
    assert!(!home.has_event());
    assert!(home.lock().exists(), "the lock's file is never unlinked");
}

#[test]
fn a_supervisor_that_must_not_be_restarted_is_not() {
    let mut home = Home::new("say up\nexec 9>$DIR/leash\n(setsid sleep 1000 &)\nexit 78\n");
    let leash = home.leash("leash");
    let mut command = home.keeper();
    let keeper = home.spawn(&mut command);
    assert_eq!(finish(keeper).0, Some(78));
    home.event();
    assert!(!home.has_event());
    leash.wait();
}

#[test]
fn stop_signals_are_passed_on_as_term_and_the_answer_is_passed_back() {
    for (signal, end, code) in [
        (Signal::SIGTERM, "trap 'say term; end 0' TERM", 0),
        (Signal::SIGINT, "trap 'say term; end 3' TERM", 3),
        (Signal::SIGTERM, "trap 'say term; trap - TERM; kill -9 $!; kill $$' TERM", 128 + 15),
    ] {
        let mut home = Home::new(&format!("{end}\nsay up\nstay\n"));
        let mut command = home.keeper();
        let keeper = home.spawn(&mut command);
        assert_eq!(home.event(), "up");
        kill(Pid::from_raw(keeper.id().cast_signed()), signal).unwrap();
        assert_eq!(home.event(), "term");
        assert_eq!(finish(keeper).0, Some(code));
        assert!(!home.has_event(), "who was asked to stop is not started again");
    }
}

#[test]
fn a_supervisor_that_dies_of_the_request_to_stop_is_not_started_again() {
    for (signal, code) in [("TERM", 128 + 15), ("INT", 128 + 2)] {
        let mut home = Home::new(&format!("say up\nkill -{signal} $$\nstay\n"));
        let mut command = home.keeper();
        let keeper = home.spawn(&mut command);
        assert_eq!(home.event(), "up");
        assert_eq!(finish(keeper).0, Some(code));
        assert!(!home.has_event(), "it was asked to stop before it could hear");
    }
}

#[test]
fn hup_is_passed_on() {
    let mut home = Home::new("trap 'say hup; end 0' HUP\nsay up\nstay\n");
    let mut command = home.keeper();
    let keeper = home.spawn(&mut command);
    assert_eq!(home.event(), "up");
    kill(Pid::from_raw(keeper.id().cast_signed()), Signal::SIGHUP).unwrap();
    assert_eq!(home.event(), "hup");
    assert_eq!(finish(keeper).0, Some(0));
}

#[test]
fn a_real_time_signal_is_an_end_like_any_other() {
    let mut home = Home::new("say up $$\nexec sleep 1000\n");
    home.start();
    let pid: i32 = home.event().split(' ').nth(1).unwrap().parse().unwrap();
    // SAFETY: signals a process that this test started.
    unsafe { libc::kill(pid, libc::SIGRTMIN() + 1) };
    assert!(home.event().starts_with("up "));
}

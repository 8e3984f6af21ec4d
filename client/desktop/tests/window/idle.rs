//! A window with nothing to show costs nothing.

use super::*;
use std::time::Duration;

/// Returns the times that the threads of a process went to sleep, or were made to.
fn switches(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_task = |task: std::fs::DirEntry| -> u64 {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
        counts.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum()
    };
    tasks.filter_map(Result::ok).map(of_task).sum()
}

#[test]
fn an_idle_window_draws_nothing_and_hardly_wakes_up() {
    if !has_display("the window's idling is not tried") {
        return;
    }
    let gob = Gob::new();
    gob.ctl(["start", "notes", "other", "--owner", "desktop"]).ok();
    let screen = Screen::open(&gob);
    let window = screen.window(&gob);
    // The last frames of the start: the answer with the runs, the looks for ports of the workers.
    let mut before = window.frames();
    assert!(wait::until(DEADLINE, || {
        wait::while_time_passes(Duration::from_secs(2));
        let now = window.frames();
        now == std::mem::replace(&mut before, now)
    }));
    let slept = switches(window.pid());
    wait::while_time_passes(Duration::from_secs(3));
    let woken = switches(window.pid()) - slept;
    assert_eq!(window.frames(), before, "it was drawn though nothing happened");
    assert!(woken <= 30, "{woken} context switches in 3 s");
    gob.ctl(["stop", "other", "--owner", "desktop"]).ok();
    assert!(wait::until(DEADLINE, || window.frames() > before), "an event is drawn");
}

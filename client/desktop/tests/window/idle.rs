//! A window with nothing to show costs nothing.

use super::*;
use std::collections::BTreeMap;
use std::ffi::OsString;

/// Returns how often each thread of a process went to sleep, or was made to.
fn switches(pid: u32) -> BTreeMap<OsString, u64> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_task = |task: std::fs::DirEntry| {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
        let counts = counts.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok());
        (task.file_name(), counts.sum())
    };
    tasks.filter_map(Result::ok).map(of_task).collect()
}

#[test]
fn an_idle_window_draws_nothing_and_no_thread_wakes_up() {
    if !has_display("the window's idling is not tried") {
        return;
    }
    let gob = Gob::new();
    gob.ctl(["start", "notes", "other", "--owner", "desktop"]).ok();
    let screen = Screen::open(&gob);
    let window = screen.window(&gob);
    // The start has its last frames, and threads that were for it alone end: then there is nothing.
    let mut before = (window.frames(), switches(window.pid()));
    let comes_to_rest = wait::until(DEADLINE, || {
        wait::while_time_passes(Duration::from_secs(3));
        let now = (window.frames(), switches(window.pid()));
        now == std::mem::replace(&mut before, now.clone())
    });
    assert!(comes_to_rest, "{before:?}, and {:?} 3 s later", switches(window.pid()));
    let (before, _) = before;
    gob.ctl(["stop", "other", "--owner", "desktop"]).ok();
    assert!(wait::until(DEADLINE, || window.frames() > before), "an event is drawn");
}

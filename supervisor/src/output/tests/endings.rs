//! The end of streams, of runs, of workers, and of the data plane itself.

use super::*;

#[test]
fn a_run_is_closed_when_both_streams_have_ended_and_all_is_written() {
    let mut plane = Plane::new();
    let key = key("a", 1);
    let Worker { mut out, err, tap } = plane.attach(&key);
    // A descendant holds standard error.
    let held = err.try_clone().unwrap();
    out.write_all(b"last words").unwrap();
    drop((out, err));
    plane.drain(&key);
    assert_eq!(tap.last_lines(), ["last words"]);
    plane.settle();
    assert!(Arc::strong_count(&tap) > 1, "a descendant can still write to it");
    (&held).write_all(b"late\n").unwrap();
    drop(held);
    plane.ended(&tap);
    assert_eq!(plane.text(&key, Stream::Stdout), "last words");
    assert_eq!(plane.text(&key, Stream::Stderr), "late\n");
    assert_eq!(tap.last_lines(), ["last words", "late"]);
    assert!(tap.last_output_at().is_some());
    plane.drain(&key);
}

#[test]
fn a_drain_is_answered_after_everything_was_read() {
    let mut plane = Plane::new();
    for run in 1..50 {
        let key = key("a", run);
        let mut worker = plane.attach(&key);
        worker.out(&"x".repeat(50_000));
        worker.err(&format!("error {run}\n"));
        plane.drain(&key);
        assert_eq!(worker.tap.last_lines().last().unwrap(), &format!("error {run}"));
        plane.ended(&worker.hang_up());
    }
}

#[test]
fn ended_streams_and_other_files_than_pipes_are_closed() {
    let plane = Plane::new();
    let none = key("none", 1);
    plane.ended(&plane.output.attach(none, Pipes::default(), Watches::default()));
    let null = key("null", 1);
    let stdout = Some(OwnedFd::from(File::open("/etc/passwd").unwrap()));
    plane.ended(&plane.output.attach(null, Pipes { stdout, stderr: None }, Watches::default()));
}

#[test]
fn a_forgotten_worker_leaves_nothing() {
    let plane = Plane::new();
    let (mut gone, mut stays) = (plane.attach(&key("gone", 2)), plane.attach(&key("stays", 1)));
    drop(plane.attach(&key("gone", 1)));
    gone.out("x\n");
    stays.out("x\n");
    plane.settle();
    plane.output.forget(key("gone", 1).name);
    plane.settle();
    let left: Vec<_> = fs::read_dir(&plane.config.log_dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["stays"]);
    let mut again = plane.attach(&key("gone", 3));
    again.out("again\n");
    stays.out("y\n");
    plane.settle();
    assert_eq!(plane.text(&key("gone", 3), Stream::Stdout), "again\n");
    assert_eq!(plane.text(&key("stays", 1), Stream::Stdout), "x\ny\n");
}

#[test]
fn the_threads_end_with_the_handle() {
    let plane = Plane::new();
    let mut worker = plane.attach(&key("a", 1));
    worker.out("x");
    plane.settle();
    let exchange = Arc::downgrade(&plane.output.exchange);
    drop(plane);
    // The drain thread closes the pipes at its end, which the pipe shows; the writer ends after it.
    let mut ended =
        [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&worker.out), nix::poll::PollFlags::POLLERR)];
    let limit = nix::poll::PollTimeout::try_from(DEADLINE).unwrap();
    assert_eq!(nix::poll::poll(&mut ended, limit), Ok(1));
    let until = std::time::Instant::now() + DEADLINE;
    while exchange.strong_count() > 0 {
        assert!(std::time::Instant::now() < until);
        std::thread::yield_now();
    }
}

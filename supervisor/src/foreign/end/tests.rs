//! Against a kernel without processes (`sys::fake`), which panics when a signal goes to a process that nobody ends.

use super::*;
use crate::sys::fake::{Call, Fake, World};
use crate::sys::tag::Tags;

/// A machine with workers of a graph that gob did not start.
struct Machine {
    fake: Fake,
    plan: ExaminePlan,
}

/// Starts a worker of the graph, which may be signalled.
fn worker(world: &mut World) -> i32 {
    let pid = world.stranger();
    let run = u64::try_from(pid).unwrap() << 32 | world.calls();
    world.end(run);
    let args = ["/usr/bin/node", "/srv/worker.js", "--repo", "g", "--root-dir", "/r"];
    let process = world.process(pid);
    (process.of, process.args) = (Some(run), args.map(str::to_owned).into());
    pid
}

/// Ends a process and gives its number to another worker of the graph, which nobody has looked at.
fn replace(world: &mut World, pid: i32) {
    world.exit(pid);
    world.set_last_pid(pid - 1);
    assert_eq!(worker(world), pid);
    world.process(pid).of = None;
}

impl Machine {
    fn new() -> Self {
        let command = ["node", "/srv/worker.js", "--repo", "{graph}"].map(str::to_owned).to_vec();
        let plan = ExaminePlan {
            lock_file: None,
            command,
            graph: "g".to_owned(),
            root_dir: "/r".to_owned(),
            health: None,
        };
        Self { fake: Fake::new(100), plan }
    }

    fn worker(&self) -> i32 {
        self.fake.with(worker)
    }

    fn orphans(&self) -> Vec<Orphan> {
        arguments::orphans(&self.fake, &self.plan, Life::none()).unwrap()
    }

    fn hold(&self, orphans: Vec<Orphan>) -> Taken<Fake> {
        take_hold(&self.fake, orphans, &self.plan, Life::none())
    }

    /// Looks, checks and signals, as for a start; returns the processes that were signalled.
    fn end(&self, signal: i32) -> Taken<Fake> {
        let taken = self.hold(self.orphans());
        send_to_all(&self.fake, &taken, signal);
        taken
    }

    fn lives(&self, pid: i32) -> bool {
        self.fake.with(|world| world.get(pid).is_some())
    }

    fn before(&self, call: Call, what: impl FnOnce(&mut World) + 'static) {
        self.fake.before(move |made| made == call, what);
    }
}

#[test]
fn workers_of_the_graph_are_ended_and_others_are_not() {
    let machine = Machine::new();
    let (ours, stranger) = (machine.worker(), machine.fake.with(World::stranger));
    let [another_graph, of_this_life] = [machine.worker(), machine.worker()];
    machine.fake.change(another_graph, |process| process.args[3] = "h".to_owned());
    let tag = Tags::new(7, 1 << 60).next().0;
    machine.fake.change(of_this_life, |process| process.tag = tag);
    let found = arguments::orphans(&machine.fake, &machine.plan, Life::of(tag)).unwrap();
    assert_eq!(found.iter().map(|orphan| orphan.id.pid).collect::<Vec<_>>(), [ours]);
    send_to_all(&machine.fake, &machine.hold(found), libc::SIGTERM);
    assert!(!machine.lives(ours));
    assert!([stranger, another_graph, of_this_life].into_iter().all(|pid| machine.lives(pid)));
}

#[test]
fn a_worker_that_forks_or_goes_on_as_its_child_during_the_scan_is_found() {
    let machine = Machine::new();
    let [first, second, _last] = [machine.worker(), machine.worker(), machine.worker()];
    // The first one was looked at already.
    machine.before(Call::Uid(second), move |world| {
        world.hop(first);
        world.fork(second);
    });
    let found = machine.orphans();
    assert_eq!(found.len(), 5, "the three, and two children: {found:?}");
    let taken = machine.hold(found);
    assert_eq!(taken.len(), 4, "the first is gone: {taken:?}");
    send_to_all(&machine.fake, &taken, libc::SIGTERM);
    // The core looks again until there is nobody.
    machine.end(libc::SIGTERM);
    assert_eq!(machine.orphans(), []);
}

#[test]
fn a_number_that_is_given_again_gets_no_signal_wherever_that_happens() {
    // During the scan, before there is a handle, behind the handle, and before the signal.
    let pid = Machine::new().worker();
    for call in [Call::Arguments(pid), Call::Open(pid), Call::Send(pid, libc::SIGKILL)] {
        let machine = Machine::new();
        assert_eq!(machine.worker(), pid);
        machine.before(call, move |world| replace(world, pid));
        machine.end(libc::SIGKILL);
        assert!(machine.lives(pid), "{call:?}");
    }
    let machine = Machine::new();
    assert_eq!(machine.worker(), pid);
    machine.before(Call::Open(pid), move |world| {
        world.before(move |call| call == Call::Arguments(pid), move |world| replace(world, pid));
    });
    assert!(machine.end(libc::SIGKILL).is_empty());
    assert!(machine.lives(pid));
}

#[test]
fn a_worker_that_came_to_be_another_users_is_left_alone() {
    let machine = Machine::new();
    let pid = machine.worker();
    let found = machine.orphans();
    machine.fake.change(pid, |process| process.uid = 0);
    assert!(machine.hold(found.clone()).is_empty());
    machine.fake.change(pid, |process| process.uid = 1000);
    let taken = machine.hold(found);
    machine.fake.change(pid, |process| process.uid = 0);
    send_to_all(&machine.fake, &taken, libc::SIGKILL);
    assert!(machine.lives(pid), "the kernel refuses the signal");
    assert!(machine.fake.with(|world| world.sent.is_empty()));
}

#[test]
fn a_worker_that_dies_late_is_followed_to_its_end() {
    let machine = Machine::new();
    let pid = machine.worker();
    machine.fake.change(pid, |process| process.dies_late = 20);
    let taken = machine.end(libc::SIGKILL);
    let [(orphan, handle)] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!(orphan.id.pid, pid);
    assert!(!machine.fake.has_ended(handle));
    assert_eq!(machine.orphans().len(), 1, "until then it is there");
    for _ in 0..20 {
        machine.fake.wait_for_any(&[handle], Duration::from_millis(1));
    }
    assert!(machine.fake.has_ended(handle) && machine.orphans().is_empty());
}

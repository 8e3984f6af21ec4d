//! Recovery on this machine's kernel, and on one without processes.

use super::*;
use crate::journal::Leader;
use crate::sys::fake::{Call, Fake, Handle, OWN};
use crate::sys::tag::{Tag, Tags};
use nix::sys::resource::{Resource, setrlimit};
use std::os::unix::process::CommandExt;
use std::process::Command;

#[test]
fn processes_of_this_life_are_not_claimed() {
    let own = Instance {
        instance: "own".to_owned(),
        boot_id: String::new(),
        pid: 1,
        start_time: 0,
        keeper: ProcessId { pid: 1, start_time: 0 },
        tag: 0,
        cgroups: None,
    };
    let home = u32::MAX - 7;
    let (mut earlier, mut now) = (Tags::new(home, 1 << 60), Tags::new(home, 2 << 60));
    let mut claim = Claim::new(Linux::new(), home, &own, Past::default());
    let start = |tag: Tag| {
        let mut command = Command::new("/bin/sleep");
        // SAFETY: between fork and exec nothing is done but one system call.
        unsafe {
            command.pre_exec(move || Ok(setrlimit(Resource::RLIMIT_LOCKS, tag.0, libc::RLIM_INFINITY)?));
        }
        command.arg("1000").spawn().unwrap()
    };
    let (orphan, worker) = (earlier.next(), now.next());
    let mut children = [start(orphan), start(worker)];
    let pids = children.each_ref().map(|child| i32::try_from(child.id()).unwrap());
    let at_the_start = pids.map(|pid| claim.claims(pid, Reads::Tags));
    claim.own = Some(now.given());
    let serving = pids.map(|pid| claim.claims(pid, Reads::Tags));
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(at_the_start, [Some(Proof::Tag(orphan)), Some(Proof::Tag(worker))]);
    assert_eq!(serving, [Some(Proof::Tag(orphan)), None]);
}

/// A state directory, as tags name it.
const HOME: u32 = 7;

/// An instance of these tests, of another life for each number.
fn instance(number: u64, start_time: u64) -> Instance {
    Instance {
        instance: format!("instance-{number}"),
        boot_id: String::new(),
        pid: OWN,
        start_time,
        keeper: ProcessId { pid: 1, start_time: number },
        tag: Tags::new(HOME, number << 60).base(),
        cgroups: None,
    }
}

/// A machine on which a supervisor and its keeper died together, and what they have left word of.
struct After {
    fake: Fake,
    dead: Instance,
    tags: Tags,
    past: Past,
}

impl After {
    fn new() -> Self {
        let fake = Fake::new(100);
        let dead = instance(1, fake.with(|world| world.start_time()));
        let past = Past { instances: vec![dead.clone()], ..Past::default() };
        Self { fake, dead, tags: Tags::new(HOME, 1 << 60), past }
    }

    /// Starts a process of the dead supervisor, with a tag and no variables.
    fn orphan(&mut self) -> i32 {
        let tag = self.tags.next().0;
        self.fake.with(|world| {
            world.end(tag);
            world.orphan(tag, &[])
        })
    }

    /// Starts one whose tag was put back and whose environment is left.
    fn marked(&mut self) -> i32 {
        let (pid, instance) = (self.orphan(), self.dead.instance.clone());
        self.fake.change(pid, |process| {
            process.tag = u64::MAX;
            process.env = [("GOB_INSTANCE", instance.as_str()), ("GOB_NAME", "g")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        });
        pid
    }

    fn recover(&self) -> Recovered<Handle> {
        let own = instance(2, self.fake.with(|world| world.start_time()));
        Claim::new(self.fake.clone(), HOME, &own, self.past.clone()).recover(&own)
    }

    fn lives(&self, pid: i32) -> bool {
        self.fake.with(|world| world.get(pid).is_some())
    }
}

#[test]
fn orphans_are_ended_by_tag_and_strangers_are_not() {
    let mut after = After::new();
    let orphans = [after.orphan(), after.orphan()];
    let child = after.fake.fork(orphans[0]);
    let stranger = after.fake.with(|world| world.stranger());
    // Of a state directory that is not ours.
    let foreign = after.fake.with(|world| world.orphan(Tags::new(HOME + 1, 1 << 60).next().0, &[]));
    let recovered = after.recover();
    assert_eq!((recovered.ended, recovered.left.len()), (3, 0));
    assert!(orphans.into_iter().chain([child]).all(|pid| !after.lives(pid)));
    assert!(after.lives(stranger) && after.lives(foreign));
}

#[test]
fn orphans_are_ended_by_tag_also_when_no_journal_tells_of_them() {
    let mut after = After::new();
    let orphan = after.orphan();
    after.past = Past::default();
    assert_eq!(after.recover().ended, 1);
    assert!(!after.lives(orphan));
}

#[test]
fn orphans_are_ended_by_marker_and_named() {
    let mut after = After::new();
    let marked = after.marked();
    after.fake.change(marked, |process| process.dies_late = u64::MAX);
    let recovered = after.recover();
    let left: Vec<_> = recovered.left.iter().map(|orphan| (orphan.id.pid, orphan.name.clone())).collect();
    assert_eq!(left, [(marked, Some(Name::graph("g").unwrap()))]);
}

#[test]
fn a_marker_on_a_process_that_is_older_than_the_instance_is_not_claimed() {
    let mut after = After::new();
    let marked = after.marked();
    let start_time = after.fake.with(|world| world.process(marked).start_time);
    for (instance, ended) in [(start_time + 1, 0), (start_time, 1)] {
        after.past.instances = vec![Instance { start_time: instance, ..after.dead.clone() }];
        assert_eq!((after.recover().ended, after.lives(marked)), (ended, ended == 0));
    }
}

#[test]
fn a_marker_of_an_instance_that_the_journal_does_not_know_is_not_claimed() {
    let mut after = After::new();
    let marked = after.marked();
    after.fake.change(marked, |process| {
        process.env.insert("GOB_INSTANCE".to_owned(), "another".to_owned());
    });
    assert_eq!(after.recover().ended, 0);
    assert!(after.lives(marked));
}

#[test]
fn this_process_and_its_keeper_are_spared_whatever_they_carry() {
    let mut after = After::new();
    let tag = after.tags.next().0;
    after.fake.change(OWN, |process| process.tag = tag);
    after.fake.change(1, |process| process.tag = tag);
    after.orphan();
    assert_eq!(after.recover().ended, 1);
}

#[test]
fn the_own_life_is_spared_while_it_serves() {
    let mut after = After::new();
    let own = instance(2, 0);
    let mut now = Tags::new(HOME, 2 << 60);
    let mut claim = Claim::new(after.fake.clone(), HOME, &own, after.past.clone());
    let (orphan, worker) = (after.orphan(), now.next().0);
    let worker = after.fake.with(|world| world.orphan(worker, &[]));
    claim.own = Some(now.given());
    let mut found = BTreeMap::new();
    claim.kill(&mut found).unwrap();
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [orphan]);
    assert!(after.lives(worker));
}

#[test]
fn a_number_that_is_given_again_before_the_handle_or_behind_it_gets_no_signal() {
    let instants: [fn(Call, i32) -> bool; 3] = [
        |call, pid| call == Call::Open(pid),
        |call, pid| call == Call::HasEnded(pid),
        |call, pid| call == Call::Send(pid, libc::SIGKILL),
    ];
    for (marked, instant) in [true, false].into_iter().flat_map(|marked| instants.map(|at| (marked, at))) {
        let mut after = After::new();
        let orphan = if marked { after.marked() } else { after.orphan() };
        after.fake.before(
            move |call| instant(call, orphan),
            move |world| {
                world.exit(orphan);
                world.set_last_pid(orphan - 1);
                assert_eq!(world.stranger(), orphan);
            },
        );
        after.recover();
        assert!(after.lives(orphan), "the stranger");
    }
}

#[test]
fn a_marked_orphan_that_slips_through_one_look_is_met_by_the_next() {
    let mut after = After::new();
    let low = after.fake.with(|world| world.stranger());
    let strangers: Vec<i32> = (0..40).map(|_| after.fake.with(|world| world.stranger())).collect();
    let marked = after.marked();
    after.fake.with(|world| world.exit(low));
    let at = *strangers.last().unwrap();
    // Its child has a number that was passed already, far from the newest by the time that those are read.
    after.fake.before(
        move |call| call == Call::Next(at),
        move |world| {
            world.set_last_pid(low - 1);
            world.hop(marked);
            world.set_last_pid(at);
        },
    );
    after.recover();
    assert!(!after.lives(marked) && !after.lives(low));
}

#[test]
fn an_orphan_that_hops_is_met_at_its_newest_number() {
    for every in [7, 10, 30, 100] {
        let mut after = After::new();
        let orphan = after.orphan();
        after.fake.change(orphan, |process| process.hops = Some(every));
        let recovered = after.recover();
        assert!(recovered.ended >= 1 && recovered.left.is_empty(), "every {every}: {recovered:?}");
        let tag = after.tags.given();
        assert!(after.fake.with(|world| world.tagged(|of| tag.has(Tag(of)))).is_empty(), "every {every}");
    }
}

#[test]
fn an_orphan_that_does_not_die_holds_the_start_up_for_two_seconds() {
    let mut after = After::new();
    let (stays, goes) = (after.orphan(), after.orphan());
    after.fake.change(stays, |process| process.dies_late = u64::MAX);
    let before = after.fake.now();
    let recovered = after.recover();
    let took = after.fake.now() - before;
    assert_eq!(recovered.left.iter().map(|orphan| orphan.id.pid).collect::<Vec<_>>(), [stays]);
    assert!(!after.lives(goes) && recovered.ended == 1);
    assert!((PATIENCE..PATIENCE + Duration::from_secs(1)).contains(&took), "{took:?}");
    let kills = after.fake.with(|world| world.sent.iter().filter(|sent| sent.pid == stays).count());
    assert_eq!(kills, 1, "once is enough");
}

#[test]
fn an_orphan_of_another_user_is_told_of() {
    let mut after = After::new();
    let refuses = after.orphan();
    after.fake.change(refuses, |process| process.uid = 0);
    let recovered = after.recover();
    assert_eq!((recovered.ended, recovered.left.len()), (0, 1));
    assert!(after.lives(refuses));
}

#[test]
fn an_orphan_whose_main_thread_has_ended_is_ended() {
    let mut after = After::new();
    let (tagged, marked) = (after.orphan(), after.marked());
    for pid in [tagged, marked] {
        after.fake.with(|world| {
            world.thread(pid);
            world.exit(pid);
        });
    }
    assert_eq!(after.recover().ended, 2);
    assert!(!after.lives(tagged) && !after.lives(marked));
}

#[test]
fn after_an_orderly_end_nothing_is_looked_for() {
    let mut after = After::new();
    after.orphan();
    after.past.ended_in_order = true;
    let (calls, recovered) = after.fake.count(|| after.recover());
    assert_eq!((calls, recovered.ended), (0, 0));
}

#[test]
fn after_a_keeper_that_lives_the_table_is_read_once_and_no_environment() {
    let mut after = After::new();
    let marked = after.marked();
    after.past.instances[0].keeper = instance(2, 0).keeper;
    after.recover();
    let reads = after.fake.with(|world| {
        let count = |meant: fn(&Call) -> bool| world.log.iter().filter(|call| meant(call)).count();
        (count(|call| *call == Call::Pids), count(|call| matches!(call, Call::Variable(_))))
    });
    assert_eq!(reads, (1, 0));
    assert!(after.lives(marked));
}

/// As after `env -i`, with the limit put back: only the inherited lock tells whose it is.
fn unmarked(after: &mut After, path: &str) -> i32 {
    let (pid, taker) = (after.orphan(), after.dead.pid);
    after.fake.change(pid, |process| {
        process.tag = u64::MAX;
        process.locks = vec![(path.to_owned(), taker)];
    });
    pid
}

#[test]
fn an_orphan_that_only_the_lock_of_its_graph_tells_of_is_ended_and_named() {
    let mut after = After::new();
    after.dead.pid = 99;
    after.past.instances = vec![after.dead.clone()];
    let name = Name::graph("g").unwrap();
    let leader = Leader { name: name.clone(), run: 1, pid: 50, start_time: 0, tag: after.tags.next().0 };
    after.past.leaders = vec![leader];
    let (holds, stays) =
        (unmarked(&mut after, "/data/.gob/g.lock"), unmarked(&mut after, "/data/.gob/g.lock"));
    after.fake.change(stays, |process| process.uid = 0);
    let elsewhere = unmarked(&mut after, "/data/other/g.lock");
    // It only has the file open, or another process took its lock.
    let of_another = unmarked(&mut after, "/data/.gob/g.lock");
    after.fake.change(of_another, |process| process.locks[0].1 = 98);
    after.fake.with(|world| world.is_root = true);
    let spared = [elsewhere, of_another];
    after.fake.with(|world| spared.iter().for_each(|pid| world.process(*pid).of = None));
    after.fake.before(move |call| call == Call::Send(stays, libc::SIGKILL), |world| world.is_root = false);
    let recovered = after.recover();
    let left: Vec<_> = recovered.left.iter().map(|orphan| (orphan.id.pid, orphan.name.clone())).collect();
    assert_eq!((recovered.ended, left), (1, vec![(stays, Some(name))]));
    assert!(!after.lives(holds) && spared.iter().all(|pid| after.lives(*pid)));
}

#[test]
fn a_lock_of_a_number_that_is_another_process_by_now_proves_nothing() {
    let mut after = After::new();
    let other = after.fake.with(|world| world.stranger());
    (after.dead.pid, after.dead.start_time) = (other, 1);
    after.past.instances = vec![after.dead.clone()];
    let holds = unmarked(&mut after, "/data/.gob/g.lock");
    after.fake.change(holds, |process| process.of = None);
    assert_eq!(after.recover().ended, 0);
    assert!(after.lives(holds));
}

#[test]
fn an_orphan_that_proc_hides_is_ended_by_its_tag() {
    let mut after = After::new();
    let hidden = after.orphan();
    after.fake.change(hidden, |process| (process.hidden, process.ignores_term) = (true, true));
    let recovered = after.recover();
    assert_eq!((recovered.ended, recovered.left.len()), (1, 0));
    assert!(!after.lives(hidden));
}

#[test]
fn without_locks_of_the_dead_no_descriptors_are_read() {
    let mut after = After::new();
    after.marked();
    after.recover();
    assert!(!after.fake.with(|world| world.log.iter().any(|call| matches!(call, Call::OpenFiles(_)))));
}

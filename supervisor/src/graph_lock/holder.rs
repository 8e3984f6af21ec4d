//! The holder of a graph's lock, which is the answer to a start: told by the note in the file, or by the file's descriptors.

use super::{inode, read_note};
use crate::sys::kernel::{Kernel, OpenFile};
use crate::sys::tag::Tag;
use gob_core::{GraphLock, Holder};
use gob_protocol::{Owner, ProcessId};
use serde::Deserialize;
use std::fs::File;
use std::path::Path;

/// The fields of a note that are read.
#[derive(Debug, Default, Deserialize)]
struct Note {
    #[serde(default)]
    pid: i32,
    #[serde(default)]
    start_time: u64,
    owner: Option<String>,
}

/// Returns the holder of the lock: the process of the note if it is alive, else the oldest process of this
/// user that has the file open, one of a run first.
pub(super) fn holder(kernel: &impl Kernel, file: File, lock: &GraphLock) -> Holder {
    let note: Note = serde_json::from_slice(&read_note(&file)).unwrap_or_default();
    let owner = note.owner.and_then(|owner| Owner::new(&owner).ok()).unwrap_or_else(Owner::unknown);
    let noted = kernel.seen(note.pid).map(|found| found.id);
    let noted = noted.filter(|id| id.pid > 0 && id.start_time == note.start_time);
    let found = noted.or_else(|| {
        let target = file.metadata().map(|found| inode(&found)).ok()?;
        // Our own descriptor must not be found.
        drop(file);
        let name = Path::new(&lock.path).file_name()?;
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let holders = kernel.holding(OpenFile { name, id: target }, own);
        // The run's supervisor has the file open too, and is older than the run that holds the lock.
        let is_of_no_run = |pid: i32| kernel.tag(pid).map(Tag).and_then(Tag::home).is_none();
        holders.into_iter().min_by_key(|id| (is_of_no_run(id.pid), id.start_time))
    });
    let ProcessId { pid, start_time } = found.unwrap_or(ProcessId { pid: 0, start_time: 0 });
    Holder { pid, start_time, owner, path: lock.path.clone(), endpoint: None }
}

#[cfg(test)]
mod tests {
    use super::super::tests::lock_in;
    use super::*;
    use crate::scratch::Scratch;
    use crate::sys::fake::{Call, Fake, World};
    use crate::sys::tag::Tags;
    use serde_json::json;

    /// The lock of a graph that a process holds, on a machine without processes.
    struct Held {
        fake: Fake,
        lock: GraphLock,
        id: (u64, u64),
        /// Keeps the directory of the lock.
        _dir: Scratch,
    }

    impl Held {
        fn new(name: &str) -> Self {
            let dir = Scratch::new(name);
            let lock = lock_in(&dir);
            std::fs::create_dir_all(Path::new(&lock.path).parent().unwrap()).unwrap();
            let id = inode(&File::create(&lock.path).unwrap().metadata().unwrap());
            Self { fake: Fake::new(100), lock, id, _dir: dir }
        }

        /// Starts a process that has the file open.
        fn holder(&self) -> i32 {
            let id = self.id;
            self.fake.with(|world| {
                let pid = world.stranger();
                world.process(pid).opened = vec![("g.lock".to_owned(), id)];
                pid
            })
        }

        /// Writes the note of this process.
        fn note(&self, pid: i32, start_time: u64) {
            let note = json!({"graph": "g", "owner": "desktop", "pid": pid, "start_time": start_time});
            std::fs::write(&self.lock.path, note.to_string()).unwrap();
        }

        fn start_time(&self, pid: i32) -> u64 {
            self.fake.with(|world| world.process(pid).start_time)
        }

        /// Returns the holder by number and start time.
        fn found(&self) -> (i32, u64) {
            let found = holder(&self.fake, File::open(&self.lock.path).unwrap(), &self.lock);
            (found.pid, found.start_time)
        }
    }

    /// Ends a process and gives its number to another one.
    fn replace(world: &mut World, pid: i32) {
        world.exit(pid);
        world.set_last_pid(pid - 1);
        assert_eq!(world.stranger(), pid);
    }

    #[test]
    fn a_note_is_believed_while_its_process_lives() {
        let held = Held::new("noted");
        let (noted, other) = (held.fake.with(World::stranger), held.holder());
        held.note(noted, held.start_time(noted));
        assert_eq!(held.found(), (noted, held.start_time(noted)));
        held.fake.with(|world| replace(world, noted));
        assert_eq!(held.found(), (other, held.start_time(other)), "the number is another process's by now");
    }

    #[test]
    fn a_number_that_is_given_again_during_the_search_is_no_holders() {
        let held = Held::new("again");
        let pid = held.holder();
        held.fake.before(move |call| call == Call::Stat(pid), move |world| replace(world, pid));
        assert_eq!(held.found(), (0, 0));
    }

    /// A machine with many processes took longer to search than a start may wait for a disk.
    #[test]
    fn the_process_that_took_the_lock_and_those_below_it_are_searched_first() {
        let held = Held::new("taker");
        let id = held.id;
        let (other, supervisor) = (held.holder(), held.holder());
        let run = held.fake.with(|world| {
            world.takers.insert(id, supervisor);
            let run = world.fork(supervisor).unwrap();
            world.process(run).opened = vec![("g.lock".to_owned(), id)];
            run
        });
        held.fake.change(run, |process| process.tag = Tags::new(7, 1 << 60).next().0);
        let asked = |pid| held.fake.with(|world| world.log.contains(&Call::HasOpen(pid)));
        assert_eq!(held.found(), (run, held.start_time(run)));
        assert!(!asked(other), "it is neither");
        // The lock outlives the process that took it, whose number may be another one's by now.
        held.fake.with(|world| {
            world.exit(run);
            replace(world, supervisor);
        });
        assert_eq!(held.found(), (other, held.start_time(other)));
    }

    /// The core asks again for a bounded time where there is no holder to name.
    #[test]
    fn a_holder_that_goes_on_as_its_child_is_missed_at_most_once() {
        let held = Held::new("forks");
        let pid = held.holder();
        held.fake.before(move |call| call == Call::HasOpen(pid), move |world| world.hop(pid));
        assert_eq!(held.found(), (0, 0), "the list was read before there was the child");
        let (found, start_time) = held.found();
        assert!(found > pid && start_time == held.start_time(found), "the child has the file too: {found}");
    }

    #[test]
    fn a_run_is_named_before_its_supervisor_and_another_users_process_is_not_seen() {
        let held = Held::new("whose");
        let (supervisor, run) = (held.holder(), held.holder());
        assert_eq!(held.found().0, supervisor, "the older one of two that are alike");
        let tag = Tags::new(7, 1 << 60).next();
        held.fake.change(run, |process| process.tag = tag.0);
        assert_eq!(held.found(), (run, held.start_time(run)));
        for pid in [supervisor, run] {
            held.fake.change(pid, |process| process.uid = 0);
        }
        assert_eq!(held.found(), (0, 0));
    }

    #[test]
    fn a_holder_that_dies_late_is_named_until_it_is_gone() {
        let held = Held::new("late");
        let pid = held.holder();
        held.note(pid, held.start_time(pid));
        held.fake.with(|world| {
            world.thread(pid);
            world.exit(pid);
        });
        assert_eq!(held.found().0, pid, "another thread of it goes on, and with it the lock");
    }
}

//! Tests of the journal that a next supervisor reads, after any end of this one.

use super::*;
use crate::scratch::Scratch;
use std::fs;

fn open(dir: &Path, boot_id: &str) -> (Journal, Past) {
    Journal::open(dir, boot_id, Disks::new())
}

/// Waits until all text is written.
fn written(journal: &Journal) {
    let (done, is_done) = oneshot::channel();
    journal.disks.begin(JOURNAL, Vec::new(), |_| done.send(()).unwrap());
    is_done.blocking_recv().unwrap();
}

fn instance(name: &str) -> Instance {
    let keeper = ProcessId { pid: 6, start_time: 60 };
    Instance {
        instance: name.into(),
        boot_id: "b".into(),
        pid: 7,
        start_time: 70,
        keeper,
        tag: 8 << 18,
        cgroups: None,
    }
}

fn key(run: u64) -> RunKey {
    RunKey { name: Name::graph("g").unwrap(), run }
}

fn id(pid: i32) -> ProcessId {
    ProcessId { pid, start_time: 71 }
}

#[test]
fn the_next_supervisor_reads_the_notes() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Scratch::new("noted");
    let (mut journal, past) = open(&dir, "b");
    assert_eq!(past, Past::default());
    journal.begin(instance("one"), past);
    journal.note(&key(1), id(100), Tag(8));
    journal.note(&key(2), id(101), Tag(9));
    written(&journal);
    assert_eq!(fs::metadata(dir.join(JOURNAL)).unwrap().permissions().mode() & 0o777, 0o600);
    let (mut next, past) = open(&dir, "b");
    assert!(!past.ended_in_order);
    assert_eq!(past.instances, [instance("one")]);
    assert_eq!(past.leaders.iter().map(|leader| leader.pid).collect::<Vec<_>>(), [100, 101]);
    assert_eq!(past.worker_of(Tag(9)), Some(&key(1).name));
    assert_eq!(past.worker_of(Tag(10)), None);
    next.begin(instance("two"), Past::default());
    assert_eq!(open(&dir, "b").1.instances, [instance("two")]);
    assert_eq!(open(&dir, "another boot").1, Past::default());
    next.end().blocking_recv().unwrap();
    assert!(open(&dir, "b").1.ended_in_order);
}

#[test]
fn garbage_and_cut_off_lines_are_passed_over() {
    let dir = Scratch::new("garbage");
    let path = dir.join(JOURNAL);
    let (mut journal, past) = open(&dir, "b");
    journal.begin(instance("one"), past);
    journal.note(&key(1), id(100), Tag(8));
    written(&journal);
    let whole = fs::read(&path).unwrap();
    for end in 0..whole.len() - 1 {
        let past = Past::read(&whole[..end], "b");
        assert!(!past.ended_in_order, "{end}");
        assert!(past.leaders.is_empty() && past.instances.len() <= 1, "{end}");
    }
    let text = [b"\xff\x00{}\n[1]\n".as_slice(), &whole, b"{\"name\":"].concat();
    let past = Past::read(&text, "b");
    assert_eq!((past.instances.len(), past.leaders.len()), (1, 1));
}

#[test]
fn the_journal_is_shrunk_when_it_is_large() {
    let dir = Scratch::new("large");
    let (mut journal, past) = open(&dir, "b");
    journal.begin(instance("one"), past);
    let mut run = 0;
    while !journal.is_large() {
        run += 1;
        journal.note(&key(run), id(100), Tag(run));
    }
    journal.shrink([(&key(run), id(100), Tag(run))].into_iter());
    assert!(!journal.is_large());
    journal.note(&key(run + 1), id(100), Tag(run + 1));
    written(&journal);
    let past = open(&dir, "b").1;
    assert_eq!((past.instances.len(), past.leaders.len()), (1, 2));
}

#[test]
fn a_full_disk_is_counted_and_a_rewrite_has_all_lines() {
    let dir = Scratch::new("full");
    let (mut journal, past) = open(&dir, "b");
    let failures = journal.failures();
    let failed = |journal: &Journal| {
        written(journal);
        failures.load(Ordering::Relaxed)
    };
    journal.begin(instance("one"), past);
    assert_eq!(failed(&journal), 0);
    // Every write to it fails.
    journal.file.lock().unwrap().file = Some(fs::File::options().append(true).open("/dev/full").unwrap());
    journal.note(&key(1), id(100), Tag(8));
    assert_eq!(failed(&journal), 1);
    let live = [(&key(1), id(100), Tag(8)), (&key(2), id(101), Tag(9))];
    journal.heal(live.into_iter());
    assert_eq!((failed(&journal), open(&dir, "b").1.leaders.len()), (1, 2));
}

#[test]
fn a_link_in_the_journals_place_is_not_followed() {
    let dir = Scratch::new("link");
    let target = dir.join("target");
    fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, dir.join(JOURNAL)).unwrap();
    let (mut journal, past) = open(&dir, "b");
    journal.begin(instance("one"), past);
    journal.note(&key(1), id(100), Tag(8));
    written(&journal);
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert_eq!(journal.failures().load(Ordering::Relaxed), 2, "its beginning and a line");
}

#[test]
fn only_the_last_line_means_that_nothing_is_left() {
    let dir = Scratch::new("ended");
    // No journal yet, an emptied one, and one whose writer was killed.
    let (mut journal, past) = open(&dir, "b");
    assert!(!past.ended_in_order && !open(&dir, "b").1.ended_in_order, "nobody has said so");
    fs::write(dir.join(JOURNAL), "").unwrap();
    assert!(!open(&dir, "b").1.ended_in_order);
    journal.begin(instance("one"), past);
    journal.end().blocking_recv().unwrap();
    let (mut next, past) = open(&dir, "b");
    assert!(past.ended_in_order);
    next.begin(instance("two"), Past::default());
    assert!(!open(&dir, "b").1.ended_in_order);
    // A reader never sees half of it: an open file keeps its old content.
    let before = fs::File::open(dir.join(JOURNAL)).unwrap();
    let whole = fs::read(dir.join(JOURNAL)).unwrap();
    next.shrink([(&key(1), id(100), Tag(1))].into_iter());
    written(&next);
    assert_eq!(std::io::read_to_string(before).unwrap().as_bytes(), whole);
    assert_eq!(open(&dir, "b").1.leaders.len(), 1);
}

#[test]
fn a_journal_that_cannot_begin_leaves_no_older_one() {
    let dir = Scratch::new("begin");
    let (mut journal, past) = open(&dir, "b");
    journal.begin(instance("one"), past);
    journal.end().blocking_recv().unwrap();
    // A directory in the way of the new file has the effect of a full disk.
    fs::create_dir(dir.join("journal.new")).unwrap();
    let (mut next, past) = open(&dir, "b");
    assert!(past.ended_in_order);
    next.begin(instance("two"), Past::default());
    assert!(!open(&dir, "b").1.ended_in_order, "two lives, and nothing says what it leaves");
    // A journal of our own is kept when it can't be replaced.
    fs::remove_dir(dir.join("journal.new")).unwrap();
    next.begin(instance("two"), Past::default());
    next.note(&key(1), id(100), Tag(1));
    written(&next);
    fs::create_dir(dir.join("journal.new")).unwrap();
    next.shrink(std::iter::empty());
    next.note(&key(2), id(101), Tag(2));
    written(&next);
    let past = open(&dir, "b").1;
    assert_eq!((past.instances, past.leaders.len()), (vec![instance("two")], 2));
}

#[test]
fn earlier_instances_are_kept_until_nothing_is_left_of_them() {
    let dir = Scratch::new("past");
    let (mut journal, past) = open(&dir, "b");
    journal.begin(instance("one"), past);
    journal.note(&key(1), id(100), Tag(1));
    written(&journal);
    let (mut next, past) = open(&dir, "b");
    next.begin(instance("two"), past);
    for live in [vec![], vec![(&key(2), id(101), Tag(2))]] {
        next.shrink(live.clone().into_iter());
        written(&next);
        let past = open(&dir, "b").1;
        assert_eq!(past.instances, [instance("one"), instance("two")]);
        assert_eq!(past.leaders.len(), 1 + live.len());
    }
    next.past_is_over();
    next.shrink(std::iter::empty());
    written(&next);
    let past = open(&dir, "b").1;
    assert_eq!((past.instances, past.leaders), (vec![instance("two")], vec![]));
}

#[test]
fn a_disk_that_hangs_blocks_no_caller_and_its_queue_is_bounded() {
    let dir = Scratch::new("hung");
    let (mut journal, past) = open(&dir, "b");
    journal.begin(instance("one"), past);
    let (release, hung) = std::sync::mpsc::channel::<()>();
    journal.disks.begin(JOURNAL, Vec::new(), move |_| {
        hung.recv().unwrap_err();
    });
    let mut run = 0;
    while journal.failures.load(Ordering::Relaxed) == 0 {
        run += 1;
        assert!(run < 1_000_000, "it takes everything");
        journal.note(&key(run), id(100), Tag(run));
    }
    assert!(journal.waiting.load(Ordering::Relaxed) <= 2 * WAITING_BYTES);
    assert_eq!(open(&dir, "b").1.leaders, vec![], "the disk hangs");
    drop(release);
    written(&journal);
    let runs: Vec<u64> = open(&dir, "b").1.leaders.iter().map(|leader| leader.run).collect();
    assert!(runs.iter().copied().eq(1..run), "in order, and all but the last");
}

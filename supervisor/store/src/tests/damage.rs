//! Damaged files: moved aside, and what can be read is kept.

use super::*;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

const PAGE: u64 = 4096;

/// Makes a store with many runs, reserves numbers, and returns the number of runs.
fn fill(dir: &Path) -> u64 {
    let mut rig = Rig::new(dir);
    rig.record(defined(definition("web", None)));
    for number in 1..=1500 {
        rig.record(run("web", ended(number, 1, 0)));
        rig.record(changed(entry(number, "web", EventKind::WorkerStopped)));
    }
    rig.record(run("j70", ended(1, 1, 0)));
    assert_eq!(rig.reserve(50), 1);
    rig.finish();
    1500
}

/// Overwrites a page.
fn tear(dir: &Path, page: u64) {
    let store = OpenOptions::new().write(true).open(file(dir)).unwrap();
    store.write_all_at(&[0xA5; 4096], page * PAGE).unwrap();
}

/// Returns the pages of the table of runs, the root first.
fn pages_of_runs(dir: &Path) -> Vec<u64> {
    let db = sqlite(dir);
    let mut select = db.prepare("SELECT pageno FROM dbstat WHERE name = 'run' ORDER BY path").unwrap();
    let pages = select.query_map([], |row| row.get::<_, i64>(0)).unwrap();
    pages.map(|page| u64::try_from(page.unwrap()).unwrap() - 1).collect()
}

/// Returns the files that were moved aside.
fn aside(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.contains(".damaged-")).collect();
    names.sort();
    names
}

#[test]
fn a_file_that_is_no_store_is_moved_aside_as_it_is() {
    let foreign = dir();
    sqlite(foreign.path()).execute_batch("CREATE TABLE mine(x)").unwrap();
    let foreign = fs::read(file(foreign.path())).unwrap();
    for (content, why) in [
        (Vec::new(), "does not begin as a database does"),
        (b"text".to_vec(), "does not begin as a database does"),
        (vec![0; 100_000], "does not begin as a database does"),
        (foreign, "is a database of another program"),
    ] {
        let dir = dir();
        fs::write(file(dir.path()), &content).unwrap();
        let mut rig = Rig::with(dir.path(), |settings| settings.job_floor = 9);
        assert_eq!(rig.reserve(1), 10);
        let names = aside(dir.path());
        assert_eq!(fs::read(dir.path().join(&names[0])).unwrap(), content);
        let said = rig.notices[0].to_string();
        assert!(said.contains(why) && said.contains(&names[0]), "{said}");
        assert_eq!(rig.handle.health().condition, Condition::Open);
    }
}

#[test]
fn a_torn_page_costs_its_rows_and_no_others() {
    let dir = dir();
    let runs = fill(dir.path());
    let pages = pages_of_runs(dir.path());
    assert!(pages.len() > 20);
    tear(dir.path(), pages[pages.len() / 2]);
    let mut rig = Rig::new(dir.path());
    let stats = |rig: &mut Rig| match rig.ask(Question::Stats { name: worker("web") }) {
        Ok(Answer::Stats(stats)) => stats.runs,
        other => panic!("{other:?}"),
    };
    // The index of outcomes is whole; only a walk over the table finds the damage.
    assert_eq!(stats(&mut rig), runs);
    assert_eq!(rig.notices, []);
    let mut before = None;
    loop {
        let question = Question::Runs { name: worker("web"), before, limit: 100 };
        let Ok(Answer::Runs(page)) = rig.ask(question) else { panic!() };
        before = page.items.last().map(|run| run.run);
        if before.is_none() || !page.more {
            break;
        }
    }
    let [Notice::Damaged { kept, .. }] = &rig.notices[..] else { panic!("{:?}", rig.notices) };
    assert!(!kept.is_whole && kept.runs > runs - 100 && kept.runs < runs + 1, "{kept:?}");
    assert_eq!((kept.definitions, kept.entries), (1, runs));
    let kept = kept.runs;
    assert_eq!(stats(&mut rig) + 1, kept, "j70 has one");
    assert_eq!((rig.definitions().len(), rig.reserve(1)), (1, 71));
    rig.finish();
    let mut rig = Rig::new(dir.path());
    assert_eq!((stats(&mut rig) + 1, rig.notices.len()), (kept, 0));
}

#[test]
fn an_idle_store_finds_a_torn_page_before_it_is_asked_for() {
    let dir = dir();
    fill(dir.path());
    let pages = pages_of_runs(dir.path());
    tear(dir.path(), pages[pages.len() / 2]);
    let mut rig = Rig::with(dir.path(), |settings| settings.idle = Duration::ZERO);
    assert_eq!(rig.reserve(1), 51);
    wait_until(|| !rig.handle.is_running(), || format!("{:?}", rig.handle));
    assert_eq!(rig.handle.health().condition, Condition::Closed);
    assert!(!aside(dir.path()).is_empty());
    assert_eq!(rig.reserve(1), 71);
    assert!(matches!(&rig.notices[..], [Notice::Damaged { .. }]), "{:?}", rig.notices);
}

#[test]
fn a_torn_root_costs_its_table() {
    let dir = dir();
    let runs = fill(dir.path());
    tear(dir.path(), pages_of_runs(dir.path())[0]);
    let mut rig = Rig::new(dir.path());
    assert_eq!(rig.definitions().len(), 1);
    let [Notice::Damaged { kept, .. }] = &rig.notices[..] else { panic!("{:?}", rig.notices) };
    assert_eq!((kept.definitions, kept.runs, kept.entries, kept.is_whole), (1, 0, runs, false));
    assert_eq!(rig.reserve(1), 51);
    rig.record(run("web", ended(2000, 1, 0)));
    assert_eq!(rig.runs("web").len(), 1);
}

#[test]
fn a_torn_first_page_costs_all_but_what_is_known_elsewhere() {
    let dir = dir();
    fill(dir.path());
    tear(dir.path(), 0);
    let mut rig = Rig::with(dir.path(), |settings| settings.job_floor = 120);
    assert_eq!((rig.definitions().len(), rig.reserve(1)), (0, 121));
    assert_eq!((rig.notices.len(), aside(dir.path()).len()), (1, 1));
}

#[test]
fn half_a_file_is_read_as_far_as_it_goes() {
    let dir = dir();
    fill(dir.path());
    let store = OpenOptions::new().write(true).open(file(dir.path())).unwrap();
    store.set_len(store.metadata().unwrap().len() / 2 / PAGE * PAGE).unwrap();
    let mut rig = Rig::new(dir.path());
    rig.record(run("web", ended(2000, 1, 0)));
    assert_eq!(rig.runs("web")[0].run, 2000);
    assert!(rig.reserve(1) > 50);
    let [Notice::Damaged { kept, .. }] = &rig.notices[..] else { panic!("{:?}", rig.notices) };
    assert_eq!(kept.definitions, 1);
    assert!(kept.runs > 100, "{kept:?}");
}

#[test]
fn a_log_that_is_cut_off_or_garbage_takes_no_number_back() {
    for cut in [0, 1, 2] {
        let (dir, copy) = (dir(), dir());
        let mut rig = Rig::new(dir.path());
        rig.record(run("web", ended(1, 1, 0)));
        assert_eq!(rig.reserve(50), 1);
        rig.record(run("web", ended(2, 1, 0)));
        assert_eq!(rig.runs("web").len(), 2);
        fs::copy(file(dir.path()), file(copy.path())).unwrap();
        let log = fs::read(dir.path().join("store.sqlite3-wal")).unwrap();
        assert!(log.len() > 4096);
        let log = match cut {
            0 => log[..log.len() / 2].to_vec(),
            1 => log[..20].to_vec(),
            _ => vec![0xA5; log.len()],
        };
        fs::write(copy.path().join("store.sqlite3-wal"), log).unwrap();
        let mut rig = Rig::new(copy.path());
        assert_eq!(rig.reserve(1), 51);
        assert!(!rig.runs("web").is_empty());
        assert_eq!(aside(copy.path()), [""; 0]);
    }
}

#[test]
fn a_log_without_its_store_is_moved_aside() {
    let (dir, copy) = (dir(), dir());
    let mut rig = Rig::new(dir.path());
    assert_eq!(rig.reserve(1), 1);
    let log = fs::read(dir.path().join("store.sqlite3-wal")).unwrap();
    fs::write(copy.path().join("store.sqlite3-wal"), &log).unwrap();
    let mut rig = Rig::new(copy.path());
    assert_eq!(rig.runs("web"), []);
    let names = aside(copy.path());
    assert!(names.len() == 1 && names[0].ends_with("-wal"), "{names:?}");
    let moved = copy.path().join(&names[0]);
    assert_eq!(fs::read(&moved).unwrap(), log);
    assert_eq!(fs::metadata(&moved).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(&rig.notices[..], [Notice::LogAside { .. }]), "{:?}", rig.notices);
}

#[test]
fn the_last_three_damaged_files_are_kept() {
    let dir = dir();
    for round in 0..5_u64 {
        fs::write(file(dir.path()), format!("damage {round}")).unwrap();
        let mut rig = Rig::with(dir.path(), |settings| settings.job_floor = round);
        assert_eq!(rig.reserve(1), round + 1);
        rig.finish();
    }
    let left: Vec<_> = aside(dir.path());
    let contents: Vec<_> =
        left.iter().map(|name| fs::read_to_string(dir.path().join(name)).unwrap()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(
        contents.contains(&"damage 4".to_owned()) && !contents.contains(&"damage 0".to_owned()),
        "{contents:?}"
    );
}

#[test]
fn a_new_store_that_was_cut_off_before_it_had_its_name_is_used() {
    let dir = dir();
    fill(dir.path());
    // As a supervisor leaves it that is killed after it moved a damaged store aside.
    fs::rename(file(dir.path()), dir.path().join("store.sqlite3-new")).unwrap();
    fs::write(dir.path().join("store.sqlite3-making"), "half").unwrap();
    let mut rig = Rig::new(dir.path());
    assert_eq!((rig.reserve(1), rig.runs("j70").len()), (51, 1));
}

//! Stores of other versions.

use super::queue::claim;
use super::*;
use crate::files::Marks;
use crate::read::judge;
use crate::schema::{APPLICATION_ID, STEPS, Step};
use crate::{Reader, Supervisor};
use gob_protocol::queue::{QueueAsk, QueueTold};
use gob_protocol::{QueueStatus, Timestamp};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// Makes the store of version 1 that is kept with these tests.
fn version_1(dir: &Path) {
    let db = sqlite(dir);
    db.execute_batch(include_str!("../../fixtures/version-1.sql")).unwrap();
    db.close().unwrap();
}

/// Makes the store of version 2 that is kept with these tests.
fn version_2(dir: &Path) {
    let db = sqlite(dir);
    db.execute_batch(include_str!("../../fixtures/version-2.sql")).unwrap();
    db.close().unwrap();
}

/// A third version, as an imaginary later gob has it.
fn three_steps() -> &'static [Step] {
    const STEPS_OF_THREE: [Step; 3] =
        [STEPS[0], STEPS[1], |step| step.execute_batch("ALTER TABLE definition ADD COLUMN colour TEXT")];
    &STEPS_OF_THREE
}

fn rig(dir: &Path, steps: &'static [Step]) -> Rig {
    let (post, told) = channel();
    let settings = Settings::new(dir.to_owned(), "first".to_owned());
    let handle = Store::with_steps(settings, steps, move |message| drop(post.send(message)));
    Rig::of(handle, told)
}

#[test]
fn a_store_of_version_1_opens() {
    let dir = dir();
    version_1(dir.path());
    let mut rig = Rig::new(dir.path());
    let definitions = rig.definitions();
    assert_eq!(definitions[0].command, ["cargo", "test", "--", "a b"]);
    assert_eq!(definitions[0].setup.on_last_lease.as_deref(), Some("stop"));
    assert_eq!(definitions[0].setup.readiness.as_ref().unwrap()["pattern"], "ok");
    assert!(definitions[1].setup.shell);
    let runs = rig.runs("j1");
    assert_eq!((runs[0].run, runs[0].outcome), (2, Some(RunOutcome::Failure)));
    assert_eq!(runs[1].exit, Some(Exit::Code { code: 0 }));
    assert!(rig.runs("web")[0].cut, "its supervisor has ended");
    assert_eq!(rig.reserve(1), 65);
    let Ok(Answer::Blame(blame)) = rig.ask(Question::Blame { name: worker("j1"), before: None, limit: 9 })
    else {
        panic!()
    };
    assert_eq!(blame.entries[0].reason.as_deref(), Some("killed by SIGSEGV, core dumped"));
}

#[test]
fn a_store_of_version_2_opens_with_its_queue() {
    let dir = dir();
    version_2(dir.path());
    let mut rig = Rig::new(dir.path());
    let job = rig.job(1);
    assert_eq!((job.status, job.attempt, job.after.len()), (QueueStatus::Completed, 1, 0));
    assert_eq!(job.exit, Some(Exit::Code { code: 0 }));
    let failed = rig.job(2);
    assert_eq!((failed.status, failed.error.as_deref()), (QueueStatus::Failed, Some("exit code 3")));
    assert_eq!(failed.command, ["sh", "-c", "exit 3"]);
    assert_eq!(rig.job(3).error.as_deref(), Some("it comes after j2, which failed"));
    let QueueTold::Claimed { claim: Some(claim), due } = rig.told(claim("ci")) else { panic!() };
    assert_eq!((claim.job.id.as_str(), claim.job.priority), ("j5", 7));
    assert_eq!((claim.env.unwrap().get("PATH"), claim.umask), (Some("/bin"), Some(0o22)));
    assert_eq!(due, Some(Timestamp(4_000_000_000_000)));
    let QueueTold::Schedules(schedules) = rig.told(QueueAsk::ScheduleList { lane: None }) else { panic!() };
    assert_eq!(schedules[0].cron.as_deref(), Some("30 4 * * mon-fri"));
    assert_eq!((schedules.len(), schedules[1].name.as_str()), (2, "ci-2"));
    let QueueTold::Lanes(lanes) = rig.told(QueueAsk::Lanes) else { panic!() };
    assert_eq!((lanes[0].lane.width, lanes[1].lane.paused), (3, true));
    rig.finish();
    super::queue::check(dir.path());
}

#[test]
fn the_tables_of_a_new_store_are_those_of_its_version() {
    let shape = |db: &rusqlite::Connection| {
        let mut select = db.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").unwrap();
        let text = |row: &rusqlite::Row<'_>| {
            let sql: Option<String> = row.get(2)?;
            let words = sql.unwrap_or_default().split_whitespace().collect::<String>();
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, words))
        };
        select.query_map([], text).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    let (new, old) = (dir(), dir());
    Rig::new(new.path()).reserve(1);
    version_1(old.path());
    Rig::new(old.path()).reserve(1);
    assert_eq!(shape(&sqlite(new.path())), shape(&sqlite(old.path())));
    let kept = dir();
    version_2(kept.path());
    assert_eq!(shape(&sqlite(new.path())), shape(&sqlite(kept.path())));
}

#[test]
fn an_older_store_is_changed_and_a_copy_from_before_is_kept() {
    let dir = dir();
    version_2(dir.path());
    let mut rig = rig(dir.path(), three_steps());
    assert_eq!(rig.definitions().len(), 2);
    assert_eq!(rig.runs("j1").len(), 2);
    let copy = dir.path().join("store.sqlite3.v2");
    let expected = Notice::Migrated { from: 2, to: 3, copy: copy.canonicalize().unwrap() };
    assert_eq!(rig.notices, [expected]);
    rig.finish();
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let version = |path: &Path| {
        let db = rusqlite::Connection::open(path).unwrap();
        db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((version(&copy), version(&file(dir.path()))), (2, 3));
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["store.sqlite3", "store.sqlite3.v2"]);
    // The copy is a store of its version.
    fs::rename(&copy, file(dir.path())).unwrap();
    assert_eq!(Rig::new(dir.path()).runs("j1").len(), 2);
}

#[test]
fn a_step_that_fails_changes_nothing() {
    const BROKEN: [Step; 2] =
        [STEPS[0], |step| step.execute_batch("DROP TABLE entry; ALTER TABLE absent ADD COLUMN x TEXT")];
    let dir = dir();
    version_1(dir.path());
    let mut broken = rig(dir.path(), &BROKEN);
    let error = broken.ask(Question::Reserve { count: 1, above: 0 }).unwrap_err();
    assert!(error.to_string().contains("no such table: absent"), "{error}");
    assert_eq!(broken.handle.health().condition, Condition::Failed);
    broken.finish();
    let mut rig = Rig::new(dir.path());
    assert_eq!(rig.runs("j1").len(), 2);
    let Ok(Answer::Blame(blame)) = rig.ask(Question::Blame { name: worker("j1"), before: None, limit: 9 })
    else {
        panic!()
    };
    assert_eq!(blame.entries.len(), 2);
}

#[test]
fn a_store_from_tomorrow_is_refused_by_name_and_stays_as_it_is() {
    let dir = dir();
    version_1(dir.path());
    let db = sqlite(dir.path());
    db.execute_batch("PRAGMA user_version = 7; PRAGMA journal_mode = DELETE").unwrap();
    db.close().unwrap();
    let before = fs::read(file(dir.path())).unwrap();
    let mut rig = Rig::new(dir.path());
    rig.record(run("web", begun(2)));
    let said = rig.ask(Question::Stats { name: worker("web") }).unwrap_err().to_string();
    assert!(said.contains("has version 7") && said.contains("use the newer gob"), "{said}");
    let health = rig.handle.health();
    assert_eq!((health.condition, health.dropped, health.waiting), (Condition::Failed, 1, 0));
    assert_eq!(health.reason, Some(said.clone()));
    rig.finish();
    let error = Reader::open(dir.path(), Supervisor::Gone).unwrap_err();
    assert_eq!(error.to_string(), said);
    assert_eq!(fs::read(file(dir.path())).unwrap(), before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_older_store_is_not_read_before_the_supervisor_has_changed_it() {
    let marks = Marks { version: 1, application: APPLICATION_ID };
    let error = judge(Path::new("/s"), marks, 2).unwrap_err();
    assert!(error.to_string().contains("gobctl ping starts the supervisor"), "{error}");
    assert!(judge(Path::new("/s"), Marks { version: 2, ..marks }, 2).is_ok());
}

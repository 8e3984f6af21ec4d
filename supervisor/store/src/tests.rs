//! The store as a supervisor and a command line use it, on real files.

mod bounds;
mod chance;
mod damage;
mod door;
mod history;
mod lives;
mod migrations;
mod places;
pub(crate) mod queue;
mod trouble;

use crate::files::FILE;
use crate::{
    Answer, Condition, Definition, Handle, Notice, Question, Record, Settings, Setup, Store, StoreError, Told,
};
use gob_protocol::{Actor, Change, EventKind, Exit, Name, Owner, RunOutcome, RunRecord, Timestamp};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Time within which anything must happen.
const DEADLINE: Duration = Duration::from_secs(30);

/// A store in a directory of its own.
struct Rig {
    handle: Handle,
    told: Receiver<Told>,
    notices: Vec<Notice>,
    trimmed: Vec<(Name, u64)>,
    trimmed_jobs: Vec<Name>,
}

impl Rig {
    fn new(dir: &Path) -> Self {
        Self::with(dir, |_| {})
    }

    fn with(dir: &Path, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new(dir.to_owned(), "first".to_owned());
        // A busy disk makes no test fail; those of late answers set a time of their own.
        settings.answer_within = DEADLINE;
        change(&mut settings);
        let (post, told) = channel();
        let handle = Store::spawn(settings, move |message| drop(post.send(message)));
        Self::of(handle, told)
    }

    fn of(handle: Handle, told: Receiver<Told>) -> Self {
        Self { handle, told, notices: Vec::new(), trimmed: Vec::new(), trimmed_jobs: Vec::new() }
    }

    fn record(&self, record: Record) {
        self.handle.record(record).unwrap();
    }

    fn ask(&mut self, question: Question) -> Result<Answer, Arc<StoreError>> {
        self.handle.ask(7, question).unwrap();
        let (ticket, answer) = self.answer();
        assert_eq!(ticket, 7);
        answer
    }

    /// Waits for an answer; keeps notices and trimmed runs that come before it.
    fn answer(&mut self) -> (u64, Result<Answer, Arc<StoreError>>) {
        let until = Instant::now() + DEADLINE;
        loop {
            match self.told.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap() {
                Told::Notice(notice) => self.notices.push(notice),
                Told::Trimmed(gone) => self.trimmed.extend(gone),
                Told::JobsTrimmed(gone) => self.trimmed_jobs.extend(gone),
                Told::Closed => {}
                Told::Answer { ticket, answer } => return (ticket, answer),
            }
        }
    }

    fn runs(&mut self, name: &str) -> Vec<RunRecord> {
        let question = Question::Runs { name: worker(name), before: None, limit: 1000 };
        match self.ask(question) {
            Ok(Answer::Runs(page)) => page.items,
            other => panic!("{other:?}"),
        }
    }

    fn reserve(&mut self, count: u32) -> u64 {
        match self.ask(Question::Reserve { count, above: 0 }) {
            Ok(Answer::Reserved { first, .. }) => first,
            other => panic!("{other:?}"),
        }
    }

    fn reserve_tokens(&mut self, count: u32) -> u64 {
        match self.ask(Question::ReserveTokens { count, above: 0 }) {
            Ok(Answer::Reserved { first, .. }) => first,
            other => panic!("{other:?}"),
        }
    }

    fn definitions(&mut self) -> Vec<Definition> {
        let Ok(Answer::Definitions(found)) = self.ask(Question::Definitions { after: None, limit: 1000 })
        else {
            panic!("no definitions")
        };
        found.known.into_iter().map(|known| known.definition).collect()
    }

    /// Waits until the store is in a condition.
    fn settle(&self, condition: Condition) {
        wait_until(|| self.handle.health().condition == condition, || format!("{:?}", self.handle));
    }

    fn finish(&self) {
        self.handle.finish(DEADLINE).unwrap();
    }
}

fn wait_until(is_so: impl Fn() -> bool, what: impl Fn() -> String) {
    let until = Instant::now() + DEADLINE;
    let (lock, never) = (Mutex::new(()), Condvar::new());
    while !is_so() {
        assert!(Instant::now() < until, "{}", what());
        let waited = never.wait_timeout(lock.lock().unwrap(), Duration::from_millis(5)).unwrap();
        assert!(waited.1.timed_out());
    }
}

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

fn worker(name: &str) -> Name {
    Name::any(name).unwrap()
}

/// A run that lives.
fn begun(run: u64) -> RunRecord {
    RunRecord {
        run,
        pid: Some(4000),
        started_at: Timestamp(crate::tests::now() - 60_000),
        ready_at: None,
        stopped_at: None,
        duration_ms: None,
        exit: None,
        outcome: None,
        cut: false,
        owner: Owner::cli(),
        actor: Actor::Client { owner: Owner::cli(), client: Some("gobctl".to_owned()), pid: Some(99) },
    }
}

/// A run that ended after some time.
fn ended(run: u64, duration_ms: u64, code: i32) -> RunRecord {
    let exit = Exit::Code { code };
    let begun = begun(run);
    RunRecord {
        stopped_at: Some(Timestamp(begun.started_at.0 + i64::try_from(duration_ms).unwrap())),
        duration_ms: Some(duration_ms),
        outcome: Some(RunOutcome::of(&exit, false)),
        exit: Some(exit),
        ..begun
    }
}

fn run(name: &str, run: RunRecord) -> Record {
    Record::Run { name: worker(name), run: Box::new(run) }
}

fn definition(name: &str, number: Option<u64>) -> Definition {
    Definition {
        name: worker(name),
        number,
        command: vec!["sleep".to_owned(), "1 hour".to_owned()],
        cwd: "/home/é".to_owned(),
        description: Some("waits".to_owned()),
        owner: Owner::cli(),
        created_at: Timestamp(5),
        setup: Setup { shell: true, restart: Some("always".to_owned()), ..Setup::default() },
    }
}

fn defined(definition: Definition) -> Record {
    Record::Definition(Box::new(definition))
}

/// Returns a place in the life of the first supervisor.
fn at_first(seq: u64) -> gob_protocol::Cursor {
    gob_protocol::Cursor { instance: "first".to_owned(), seq }
}

fn entry(seq: u64, name: &str, event: EventKind) -> Change {
    Change {
        seq,
        time: Timestamp(now()),
        event,
        name: Some(worker(name)),
        run: Some(1),
        actor: Actor::Supervisor,
        reason: Some("because".to_owned()),
    }
}

fn changed(entry: Change) -> Record {
    Record::Entry(Box::new(entry))
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Opens the file as another program would.
fn sqlite(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(file(dir)).unwrap()
}

/// Variable of the process that runs one test only.
const ALONE: &str = "GOB_TEST_ALONE";

/// Returns whether this process runs `test` alone; otherwise runs it in a process of its own first, which
/// `sh -c script` starts with the program and its arguments in `"$@"`.
fn alone(test: &str, script: &str) -> bool {
    if std::env::var_os(ALONE).is_some_and(|name| name == test) {
        return true;
    }
    let mut again = Command::new("sh");
    again.args(["-c", script, "sh"]).arg(std::env::current_exe().unwrap());
    let done = again.args(["--exact", test, "--nocapture"]).env(ALONE, test).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && out.contains("1 passed"), "{out}\n{err}");
    false
}

/// Says that a test does not happen for want of `need`; fails where everything is required.
pub(crate) fn skip(need: &str, why: &str) {
    let of = |name| std::env::var(name).unwrap_or_default();
    let allowed = of("GOB_TEST_ALLOW").split(',').any(|name| name == need);
    assert!(allowed || of("GOB_TEST_REQUIRE") != "all", "{why}");
    eprintln!("SKIPPED ({need}): {why}");
}

fn is_root(why: &str) -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        skip("root", why);
    }
    is_root
}

/// A small disk of its own, unmounted at the end.
struct Disk(PathBuf);

impl Disk {
    /// Mounts a disk; `None` without the right to.
    fn new(size: &str) -> Option<Self> {
        let path = tempfile::tempdir().unwrap().keep();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "gob-test"]).arg(&path);
        if mount.output().is_ok_and(|done| done.status.success()) {
            return Some(Self(path));
        }
        std::fs::remove_dir(&path).unwrap();
        skip("mounts", "no right to mount a file system");
        None
    }

    fn remount(&self, how: &str) {
        let remount =
            || Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0).output().unwrap();
        // A child that another test of this process starts has the files of the store, too, until its program runs.
        wait_until(|| remount().status.success(), || format!("{:?}", remount()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
        drop(std::fs::remove_dir(&self.0));
    }
}

//! Questions to a store of 10,000 jobs and 100,000 runs, beside an empty one and beside plain SQLite, in one
//! run on one machine: `cargo bench -p gob-store`.
//!
//! A question goes through queue and thread and back. The floor is a prepared SELECT of one run by its key on
//! the same file, in this process. An answer that needed a walk over the history would show as a multiple of
//! the empty store's figure. Times are the median and the 99th percentile of 2,000 questions about workers
//! that are picked at random.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use gob_protocol::{Actor, Change, EventKind, Exit, Name, Owner, RunOutcome, RunRecord, Timestamp};
use gob_store::{
    Answer, Definition, FILE, Handle, Question, Reader, Record, Settings, Setup, Store, Supervisor, Told,
};
use std::error::Error;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const JOBS: u64 = 10_000;
const RUNS: u64 = 100_000;
/// Runs of the one worker that has as many as are kept.
const MOST: u64 = 1000;
const QUESTIONS: usize = 2000;
/// Argument of the process that measures its memory; the directory follows.
const MEMORY: &str = "--memory";
const DEADLINE: Duration = Duration::from_secs(60);

/// Makes a question about a worker.
type Ask = fn(Name) -> Question;

/// Pseudo-random numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

struct Rig {
    handle: Handle,
    answers: Receiver<Told>,
}

impl Rig {
    fn new(dir: &Path, idle: Duration) -> Self {
        let (post, answers) = channel();
        let settings = Settings { idle, ..Settings::new(dir.to_owned(), "bench".to_owned()) };
        Self { handle: Store::spawn(settings, move |told| drop(post.send(told))), answers }
    }

    /// Records, and waits where the queue has no room.
    fn record(&self, record: &Record) -> Result<()> {
        let until = Instant::now() + DEADLINE;
        while self.handle.record(record.clone()).is_err() {
            if Instant::now() > until {
                return Err("the queue stays full".into());
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    fn ask(&self, question: Question) -> Result<Answer> {
        self.handle.ask(0, question)?;
        loop {
            match self.answers.recv_timeout(DEADLINE)? {
                Told::Answer { answer, .. } => return Ok(answer?),
                Told::Trimmed(_) | Told::JobsTrimmed(_) | Told::Notice(_) | Told::Closed => {}
            }
        }
    }
}

/// Returns a place in the life that has filled the store.
fn place(seq: u64) -> gob_protocol::Cursor {
    gob_protocol::Cursor { instance: "bench".to_owned(), seq }
}

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip_while(|arg| arg != MEMORY).skip(1);
    if let Some(dir) = args.next() {
        return memory(Path::new(&dir));
    }
    let (empty, full) = (tempfile::tempdir()?, tempfile::tempdir()?);
    fill(full.path())?;
    println!("{:<34}{:>22}{:>22}", "question, median / p99 in µs", "empty", "10,000 and 100,000");
    let floor = floor(full.path())?;
    println!("{:<34}{:>22}{:>22}", "floor: one run by its key", "", floor);
    let rigs = [Rig::new(empty.path(), DEADLINE), Rig::new(full.path(), DEADLINE)];
    for rig in &rigs {
        rig.ask(Question::Highest { name: None })?;
    }
    let many = || name(0);
    let rows: [(&str, Ask); 6] = [
        ("durations", |name| Question::Durations { name }),
        ("stats (10 runs)", |name| Question::Stats { name }),
        ("runs (10)", |name| Question::Runs { name, before: None, limit: 20 }),
        ("blame (20)", |name| Question::Blame { name, before: None, limit: 20 }),
        ("definitions (100)", |name| Question::Definitions { after: Some(name), limit: 100 }),
        ("since (100)", |_| Question::Since { after: place(RUNS - 100), limit: 100 }),
    ];
    for (title, question) in rows {
        let mut numbers = Numbers(1);
        let times = rigs.each_ref().map(|rig| measure(|| rig.ask(question(name(numbers.below(JOBS))))));
        let [empty, full] = times;
        println!("{title:<34}{:>22}{:>22}", empty?, full?);
    }
    let [_, rig] = &rigs;
    println!("{:<34}{:>44}", "stats (1,000 runs)", measure(|| rig.ask(Question::Stats { name: many() }))?);
    let page = || rig.ask(Question::Runs { name: many(), before: None, limit: 1000 });
    println!("{:<34}{:>44}", "runs (1,000)", measure(page)?);
    println!(
        "{:<34}{:>44}",
        "reserve (64), with the disk",
        measure(|| rig.ask(Question::Reserve { count: 64, above: 0 }))?
    );
    let begun = Record::Run { name: name(1), run: Box::new(run(1_000_000, false)) };
    println!("{:<34}{:>44}", "record (queue only)", measure(|| rig.record(&begun))?);
    for rig in &rigs {
        rig.handle.finish(DEADLINE)?;
    }
    let again = || {
        let rig = Rig::new(full.path(), DEADLINE);
        rig.ask(Question::Stats { name: name(5) })?;
        Ok(rig.handle.finish(DEADLINE)?)
    };
    println!("{:<34}{:>44}", "thread: open, stats, close", measure(again)?);
    println!("{:<34}{:>44}", "first answer of a new life", first_answer(full.path())?);
    println!("{:<34}{:>44}", "read-only door: open, runs, close", measure(|| door(full.path()))?);
    for dir in [&empty, &full] {
        let mut again = std::process::Command::new(std::env::current_exe()?);
        again.arg(MEMORY).arg(dir.path()).status()?;
    }
    Ok(())
}

fn name(job: u64) -> Name {
    Name::numbered(job + 1)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn run(number: u64, has_ended: bool) -> RunRecord {
    let duration = 1000 + number % 7 * 100;
    RunRecord {
        run: number,
        pid: Some(4242),
        started_at: Timestamp(now()),
        ready_at: Some(Timestamp(now())),
        stopped_at: has_ended.then(|| Timestamp(now())),
        duration_ms: has_ended.then_some(duration),
        exit: has_ended.then_some(Exit::Code { code: 0 }),
        outcome: has_ended.then_some(RunOutcome::Success),
        cut: false,
        owner: Owner::cli(),
        actor: Actor::Client { owner: Owner::cli(), client: Some("gobctl".to_owned()), pid: Some(4240) },
    }
}

fn fill(dir: &Path) -> Result<()> {
    let rig = Rig::new(dir, DEADLINE);
    let begun = Instant::now();
    for job in 0..JOBS {
        let definition = Definition {
            name: name(job),
            number: Some(job + 1),
            command: ["cargo", "test", "--workspace"].map(str::to_owned).to_vec(),
            cwd: "/home/user/project".to_owned(),
            description: None,
            owner: Owner::cli(),
            created_at: Timestamp(now()),
            setup: Setup::default(),
        };
        rig.record(&Record::Definition(Box::new(definition)))?;
    }
    let first = (0..MOST).map(|number| (0, number + 1));
    let others = (0..RUNS - MOST).map(|at| (1 + at % (JOBS - 1), 1 + at / (JOBS - 1)));
    for (seq, (job, number)) in (1..).zip(first.chain(others)) {
        rig.record(&Record::Run { name: name(job), run: Box::new(run(number, true)) })?;
        let entry = Change {
            seq,
            time: Timestamp(now()),
            event: EventKind::WorkerStopped,
            name: Some(name(job)),
            run: Some(number),
            actor: Actor::Supervisor,
            reason: None,
        };
        rig.record(&Record::Entry(Box::new(entry)))?;
    }
    rig.handle.finish(DEADLINE)?;
    let seconds = begun.elapsed().as_secs_f64();
    let records = f64::from(u32::try_from(JOBS + 2 * RUNS)?);
    let bytes = std::fs::metadata(dir.join(FILE))?.len();
    println!("written: {:.0} records a second, file of {} KB", records / seconds, bytes / 1024);
    Ok(())
}

fn floor(dir: &Path) -> Result<String> {
    let db = rusqlite::Connection::open(dir.join(FILE))?;
    let mut select = db.prepare("SELECT * FROM run WHERE name = ?1 AND run = 1")?;
    let mut numbers = Numbers(1);
    measure(|| {
        let name = name(numbers.below(JOBS));
        Ok(select.query_row([name.as_str()], |row| row.get::<_, String>(0))?)
    })
}

/// Measures the first answer to a supervisor whose store has been checked by no other; the best of five.
fn first_answer(dir: &Path) -> Result<String> {
    let mut best = Duration::MAX;
    for life in 0..5 {
        let (post, answers) = channel();
        let settings = Settings::new(dir.to_owned(), format!("life-{life}"));
        let begun = Instant::now();
        let handle = Store::spawn(settings, move |told| drop(post.send(told)));
        let rig = Rig { handle, answers };
        rig.ask(Question::Stats { name: name(5) })?;
        best = best.min(begun.elapsed());
        rig.handle.finish(DEADLINE)?;
    }
    Ok(format!("{:.1} ms", best.as_secs_f64() * 1e3))
}

fn door(dir: &Path) -> Result<()> {
    let reader = Reader::open(dir, Supervisor::Gone)?;
    reader.runs(&name(5), None, 20)?;
    Ok(())
}

/// Returns median and 99th percentile in microseconds.
fn measure<T>(mut once: impl FnMut() -> Result<T>) -> Result<String> {
    for _ in 0..QUESTIONS / 10 {
        once()?;
    }
    let mut times = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let begun = Instant::now();
        once()?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let at = |part: usize| times.get(part).copied().unwrap_or_default().as_secs_f64() * 1e6;
    Ok(format!("{:.1} / {:.1}", at(QUESTIONS / 2), at(QUESTIONS * 99 / 100)))
}

/// Shows the memory of a store that is opened, used and closed for idleness.
fn memory(dir: &Path) -> Result<()> {
    let before = pss()?;
    let rig = Rig::new(dir, Duration::from_millis(200));
    let spawned = pss()?;
    for job in 0..200 {
        rig.ask(Question::Stats { name: name(job) })?;
    }
    let open = pss()?;
    let until = Instant::now() + DEADLINE;
    while rig.handle.health().condition != gob_store::Condition::Closed {
        if Instant::now() > until {
            return Err("the store stays open".into());
        }
        std::thread::yield_now();
    }
    println!("PSS in KB: {before}, with a handle {spawned}, open {open}, closed again {}", pss()?);
    Ok(())
}

/// Returns proportional memory, and the part of it that is not of files, as `1907 (312)`.
fn pss() -> Result<String> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let of = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).ok_or("no PSS")?;
        line.trim().trim_end_matches(" kB").parse::<u64>().map_err(Box::<dyn Error>::from)
    };
    Ok(format!("{} ({})", of("Pss:")?, of("Pss_Anon:")?))
}

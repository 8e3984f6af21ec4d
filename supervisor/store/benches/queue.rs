//! The durable queue with 1,000 and with 100,000 jobs that wait, in one run on one machine: `cargo bench -p gob-store --bench queue`.
//!
//! A question goes through queue and thread and back, and each change is on the disk before it is answered. The floor is a write of 4 KiB
//! and an fdatasync on the same disk. Times are the median and the 99th percentile; growth with the number of jobs would show between
//! the columns. Half of the jobs are in one lane, the rest in 100 others; half of these are delayed, and a tenth of all comes after another.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use gob_protocol::queue::{Claimant, Ending, LaneName, NewJob, QueueAsk, QueueEnd, QueueTold};
use gob_protocol::{Name, Owner, Timestamp};
use gob_store::{Answer, FILE, Handle, Question, Settings, Store, Told};
use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SIZES: [u64; 2] = [1_000, 100_000];
const QUESTIONS: u64 = 400;
const NOW: i64 = 1_800_000_000_000;
const DEADLINE: Duration = Duration::from_secs(60);
/// Questions that wait at once, of a client that does not wait for each answer.
const AT_ONCE: u64 = 256;

struct Rig {
    handle: Handle,
    answers: Receiver<Told>,
}

impl Rig {
    fn new(dir: &Path, instance: &str) -> Self {
        let (post, answers) = channel();
        let settings = Settings {
            idle: DEADLINE,
            answer_within: DEADLINE,
            ..Settings::new(dir.to_owned(), instance.to_owned())
        };
        Self { handle: Store::spawn(settings, move |told| drop(post.send(told))), answers }
    }

    fn send(&self, ask: QueueAsk) -> Result<()> {
        Ok(self.handle.ask(0, Question::Queue { now: Timestamp(NOW), ask: Box::new(ask) })?)
    }

    fn answer(&self) -> Result<QueueTold> {
        loop {
            match self.answers.recv_timeout(DEADLINE)? {
                Told::Answer { answer, .. } => {
                    let Answer::Queue(told) = answer? else { return Err("another answer".into()) };
                    if let QueueTold::Refused(refusal) = &*told {
                        return Err(refusal.to_string().into());
                    }
                    return Ok(*told);
                }
                Told::Trimmed(_) | Told::JobsTrimmed(_) | Told::Notice(_) | Told::Closed => {}
            }
        }
    }

    fn ask(&self, ask: QueueAsk) -> Result<QueueTold> {
        self.send(ask)?;
        self.answer()
    }

    /// Claims in the large lane.
    fn claim(&self) -> Result<(Name, u32)> {
        let told = self.ask(QueueAsk::Claim { lane: LaneName::new("large")?, by: us() })?;
        let QueueTold::Claimed { claim: Some(claim), .. } = told else {
            return Err(format!("no claim: {told:?}").into());
        };
        Ok((claim.job.id.clone(), claim.job.attempt))
    }
}

fn us() -> Claimant {
    Claimant::Supervisor("bench".to_owned())
}

fn job(number: u64) -> Result<NewJob> {
    let is_large = number.is_multiple_of(2);
    let lane = if is_large { "large".to_owned() } else { format!("lane-{}", number % 200 / 2) };
    let is_delayed = !is_large && number % 4 == 1;
    let before = number.saturating_sub(10);
    let after =
        if number.is_multiple_of(10) && before > 0 { vec![Name::numbered(before)] } else { Vec::new() };
    Ok(NewJob {
        id: Name::numbered(number),
        lane: LaneName::new(&lane)?,
        command: ["cargo", "test", "--workspace"].map(str::to_owned).to_vec(),
        cwd: "/home/user/project".to_owned(),
        env: Some((0..40).map(|at| (format!("VARIABLE_{at}"), "a value of some length")).collect()),
        umask: Some(0o22),
        owner: Owner::cli(),
        priority: i32::try_from(number % 5)?,
        run_at: Timestamp(if is_delayed { NOW + 3_600_000 } else { NOW }),
        max_attempts: 3,
        after,
        dedupe: None,
        description: None,
    })
}

fn add(number: u64) -> Result<QueueAsk> {
    Ok(QueueAsk::Add(Box::new(job(number)?)))
}

fn main() -> Result<()> {
    let mut columns: Vec<Vec<(&str, String)>> = Vec::new();
    for size in SIZES {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        columns.push(figures(dir.path(), size)?);
    }
    println!("{:<44}{:>22}{:>22}", "median / p99", "1,000 jobs", "100,000 jobs");
    let [few, many] = columns.as_slice() else { return Err("two sizes".into()) };
    for ((title, few), (_, many)) in few.iter().zip(many) {
        println!("{title:<44}{few:>22}{many:>22}");
    }
    Ok(())
}

fn figures(dir: &Path, size: u64) -> Result<Vec<(&'static str, String)>> {
    let mut figures = Vec::new();
    let file = File::create(dir.join("floor"))?;
    let mut place = 0;
    let floor = measure(QUESTIONS, || {
        place += 4096;
        file.write_all_at(&[7; 4096], place)?;
        Ok(file.sync_data()?)
    })?;
    figures.push(("floor: write and fdatasync of 4 KiB", floor));
    let rig = Rig::new(dir, "first");
    let begun = Instant::now();
    fill(&rig, size)?;
    let each = f64::from(u32::try_from(size)?) / begun.elapsed().as_secs_f64();
    figures.push(("add, 256 at once", format!("{each:.0} a second")));
    let mut next = size;
    let adding = measure(QUESTIONS, || {
        next += 1;
        rig.ask(add(next)?)
    })?;
    figures.push(("add, one after the other", adding));
    let mut claimed = Vec::new();
    figures.push((
        "claim",
        measure(QUESTIONS / 2, || {
            claimed.push(rig.claim()?);
            Ok(())
        })?,
    ));
    let mut ends = claimed.clone().into_iter();
    figures.push((
        "finish",
        measure(QUESTIONS / 4, || {
            let (id, attempt) = ends.next().ok_or("nothing to finish")?;
            let end = QueueEnd::Completed;
            rig.ask(QueueAsk::Finish(Box::new(Ending {
                id,
                attempt: Some(attempt),
                by: us(),
                end,
                exit: None,
            })))
        })?,
    ));
    let delayed = LaneName::new("lane-0")?;
    let lane = |lane: &LaneName| QueueAsk::Claim { lane: lane.clone(), by: us() };
    figures.push(("claim where jobs are delayed", measure(QUESTIONS / 4, || rig.ask(lane(&delayed)))?));
    let page = |after| QueueAsk::List { lane: None, status: None, after, limit: 100 };
    figures.push(("list, the first page of 100", measure(QUESTIONS, || rig.ask(page(None)))?));
    let told = rig.ask(QueueAsk::List { lane: None, status: None, after: None, limit: 900 })?;
    let QueueTold::Listed(listed) = told else { return Err(format!("{told:?}").into()) };
    let deep = listed.next;
    figures.push(("list, a later page of 100", measure(QUESTIONS, || rig.ask(page(deep.clone())))?));
    figures.push(("lanes (101)", measure(QUESTIONS, || rig.ask(QueueAsk::Lanes))?));
    rig.handle.finish(DEADLINE)?;
    figures.push(("file", format!("{} KiB", std::fs::metadata(dir.join(FILE))?.len() / 1024)));
    let begun = Instant::now();
    let rig = Rig::new(dir, "second");
    let recover =
        QueueAsk::Recover { except: Vec::new(), error: "ended".to_owned(), retry_at: Timestamp(NOW) };
    rig.ask(recover)?;
    figures.push((
        "recovery of claims at start, with the opening",
        format!("{:.1} ms", begun.elapsed().as_secs_f64() * 1e3),
    ));
    rig.handle.finish(DEADLINE)?;
    Ok(figures)
}

/// Adds jobs, many at once.
fn fill(rig: &Rig, size: u64) -> Result<()> {
    let (mut sent, mut answered) = (0, 0);
    while answered < size {
        while sent < size && sent - answered < AT_ONCE {
            sent += 1;
            rig.send(add(sent)?)?;
        }
        rig.answer()?;
        answered += 1;
    }
    Ok(())
}

/// Returns median and 99th percentile.
fn measure<T>(count: u64, mut once: impl FnMut() -> Result<T>) -> Result<String> {
    let mut times = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        once()?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let at = |part: usize| times.get(part).copied().unwrap_or_default().as_secs_f64() * 1e6;
    Ok(format!("{:.0} / {:.0} µs", at(times.len() / 2), at(times.len() * 99 / 100)))
}

//! Names that exist: asked of the supervisor, else what lies on the disk. Bounded in time, whatever hangs.

use super::Candidate;
use crate::last::LastState;
use crate::{config_file, project, queue};
use gob_client::blocking::{Client, Connector};
use gob_client::call::{List, LockStatus, QueueList, Runs, ScheduleList};
use gob_client::protocol::name::decode_safe;
use gob_client::protocol::queue::{MAX_QUEUE_PAGE, QueueJob};
use gob_client::protocol::{RunOutcome, RunRecord};
use gob_client::{Dirs, Name, Owner, View, screen};
use gob_config::Config;
use gob_config::kind::Kind;
use gob_store::{Reader, Supervisor};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest wait for all answers.
pub(super) const PATIENCE: Duration = Duration::from_millis(150);

/// Share of it for the supervisor. The disk is read meanwhile.
const OF_SUPERVISOR: Duration = Duration::from_millis(120);

/// Limit of names read from a directory.
const MAX_NAMES: usize = 10_000;

/// Runs that are offered, the newest.
const RUNS: u32 = 50;

/// Kinds of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Names {
    Workers,
    /// Workers of commands.
    Jobs,
    Graphs,
    Kinds,
    Owners,
    Lanes,
    QueueJobs,
    Schedules,
    Locks,
    /// Of one worker.
    Runs(String),
    /// Those of the project file.
    ProjectJobs,
}

/// The names that one source tells.
#[derive(Default)]
struct Told {
    workers: Vec<View>,
    others: Vec<Candidate>,
}

/// Returns all names of a kind, as far as they are told in time.
pub(super) fn of(names: &Names) -> Vec<Candidate> {
    let until = Instant::now() + PATIENCE;
    let asked = (*names != Names::ProjectJobs).then(|| beside(names, |names| supervisor(&names)));
    let kept = beside(names, |names| disk(&names));
    let lives = asked.and_then(|asked| asked.recv_timeout(OF_SUPERVISOR).ok().flatten());
    let kept = kept.recv_timeout(until.saturating_duration_since(Instant::now())).ok().flatten();
    let (is_live, live, kept) = (lives.is_some(), lives.unwrap_or_default(), kept.unwrap_or_default());
    // Names that a supervisor has told are newer than those that the last one left.
    let workers = if is_live { live.workers } else { kept.workers };
    let mut all = from_workers(names, &workers);
    all.extend(live.others);
    if !is_live || !matches!(names, Names::Runs(_)) {
        all.extend(kept.others);
    }
    all
}

/// Does work on a thread that nobody has to wait for: it ends with the program.
fn beside<T: Send + 'static>(names: &Names, work: fn(Names) -> Option<T>) -> Receiver<Option<T>> {
    let (done, told) = channel();
    let names = names.clone();
    // Without a thread nothing is told.
    std::thread::Builder::new().spawn(move || done.send(work(names)).ok()).ok();
    told
}

fn from_workers(names: &Names, workers: &[View]) -> Vec<Candidate> {
    let told =
        |worker: &View| Candidate::new(worker.name.as_str(), format!("{}, {}", worker.state, worker.owner));
    let graph =
        |worker: &View| worker.graph.as_deref().map(|graph| Candidate::new(graph, told(worker).about));
    match names {
        Names::Workers => workers.iter().map(told).collect(),
        Names::Jobs => workers.iter().filter(|worker| worker.graph.is_none()).map(told).collect(),
        Names::Graphs => workers.iter().filter_map(graph).collect(),
        Names::Kinds => {
            let kinds = workers.iter().filter(|worker| worker.graph.is_some());
            kinds.map(|worker| Candidate::new(&*worker.kind, "")).collect()
        }
        Names::Owners => workers.iter().map(|worker| Candidate::new(worker.owner.as_str(), "")).collect(),
        Names::Lanes
        | Names::QueueJobs
        | Names::Schedules
        | Names::Locks
        | Names::Runs(_)
        | Names::ProjectJobs => Vec::new(),
    }
}

/// Asks a supervisor that runs; starts none.
fn supervisor(names: &Names) -> Option<Told> {
    let dirs = Dirs::from_env().ok()?;
    let connector = Connector::new(dirs, Owner::cli()).program("gobctl", env!("CARGO_PKG_VERSION"));
    let mut client = connector.autostart(false).hello_timeout(OF_SUPERVISOR).connect().ok()?;
    let (mut workers, mut others) = (Vec::new(), Vec::new());
    match names {
        Names::Workers | Names::Jobs | Names::Graphs | Names::Kinds | Names::Owners => {
            workers = client.list(List::default()).ok()?;
        }
        Names::Locks => {
            let status = client.ask(LockStatus { lock: None }).ok()?;
            let about = |holders: usize| if holders == 0 { "free" } else { "held" };
            let locks = status.locks.iter();
            others =
                locks.map(|lock| Candidate::new(lock.lock.as_str(), about(lock.holders.len()))).collect();
        }
        Names::Lanes | Names::QueueJobs => others = of_queue(&mut client, names)?,
        Names::Schedules => {
            let schedules = client.ask(ScheduleList::default()).ok()?.schedules;
            let told = |schedule: &_| queue::times(schedule);
            others = schedules
                .iter()
                .map(|schedule| Candidate::new(schedule.name.as_str(), told(schedule)))
                .collect();
        }
        Names::Runs(name) => {
            let name = Name::any(name).ok()?;
            let runs = client.ask(Runs { name, before: None, limit: Some(RUNS) }).ok()?.runs;
            others = runs.iter().map(run).collect();
        }
        Names::ProjectJobs => {}
    }
    Some(Told { workers, others })
}

fn of_queue(client: &mut Client, names: &Names) -> Option<Vec<Candidate>> {
    let limit = if *names == Names::Lanes { 1 } else { MAX_QUEUE_PAGE };
    let filter = QueueList { lane: None, status: None, after: None, limit: Some(limit) };
    let data = client.ask(filter).ok()?;
    if *names == Names::Lanes {
        return Some(
            data.lanes.iter().map(|lane| Candidate::new(lane.lane.as_str(), queue::lane(lane))).collect(),
        );
    }
    let about = |job: &QueueJob| format!("{} {}: {}", job.status, job.lane, screen::command(&job.command));
    Some(data.jobs.iter().map(|job| Candidate::new(job.id.as_str(), about(job))).collect())
}

fn run(run: &RunRecord) -> Candidate {
    let outcome = match run.outcome {
        None => "",
        Some(RunOutcome::Success) => ", success",
        Some(RunOutcome::Failure) => ", failure",
        Some(RunOutcome::Killed) => ", killed",
    };
    Candidate::new(run.run.to_string(), format!("{}{outcome}", run.started_at))
}

/// Reads what lies on the disk.
fn disk(names: &Names) -> Option<Told> {
    let dirs = Dirs::from_env().ok()?;
    let config = || config_file::read(&dirs).0;
    let plain =
        |words: &mut dyn Iterator<Item = String>| words.map(|word| Candidate::new(word, "")).collect();
    let (mut workers, mut others) = (Vec::new(), Vec::new());
    let last = || LastState::read(&dirs).map(|last| last.workers).unwrap_or_default();
    match names {
        Names::Workers | Names::Jobs => workers = last(),
        Names::Graphs => {
            workers = last();
            others = graphs(&dirs.data);
            let named = config().graphs.into_keys();
            others.extend(named.map(|graph| Candidate::new(graph, "in the configuration")));
        }
        Names::Kinds => others = kinds(&config()),
        Names::Owners => {
            workers = last();
            let known = ["cli", "desktop", "agent"].map(str::to_owned).into_iter();
            let owners = config().force_owners;
            others = plain(&mut known.chain(owners.iter().map(ToString::to_string)));
        }
        Names::Lanes => others = plain(&mut config().lanes.into_keys()),
        Names::Runs(name) => {
            let reader = Reader::open(&dirs.state, Supervisor::Lives).ok()?;
            let page = reader.runs(&Name::any(name).ok()?, None, RUNS).ok()?;
            others = page.items.iter().map(run).collect();
        }
        Names::ProjectJobs => {
            let jobs = project::find().ok()?.file.jobs;
            others = jobs
                .iter()
                .map(|job| Candidate::new(job.label(), job.description.as_deref().unwrap_or_default()))
                .collect();
        }
        Names::QueueJobs | Names::Schedules | Names::Locks => {}
    }
    Some(Told { workers, others })
}

fn kinds(config: &Config) -> Vec<Candidate> {
    let about = |kind: &Kind| kind.description.as_deref().unwrap_or_default().to_owned();
    config.kinds.iter().map(|(name, kind)| Candidate::new(name, about(kind))).collect()
}

/// Returns the graphs in the data directory, and those of other roots that have a record there.
fn graphs(data: &Path) -> Vec<Candidate> {
    let names = |dir: &Path| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().take(MAX_NAMES).filter_map(Result::ok);
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>()
    };
    let of_records = names(&data.join(".gob"));
    let of_records = of_records.iter().filter_map(|file| file.strip_suffix(".json")?.split('@').next());
    let dirs = names(data);
    let mut found = BTreeSet::new();
    for stem in dirs.iter().map(String::as_str).chain(of_records) {
        let graph = decode_safe(stem).and_then(|name| Name::graph(&name).ok());
        if let Some(graph) = graph {
            found.insert(graph.as_str().to_owned());
        }
    }
    found.into_iter().map(|graph| Candidate::new(graph, "on disk")).collect()
}

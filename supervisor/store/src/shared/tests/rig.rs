//! A server, and machines that use it.

use super::server::Postgres;
use crate::shared::{Address, Failure, Handle, News, Settings, SharedState, State, Told};
use crate::tests::skip;
use gob_protocol::lock::ask::{LockAsk, LockTold};
use gob_protocol::queue::{Claim, Claimant, Ending, NewJob, QueueAsk, QueueEnd, QueueTold, Settled};
use gob_protocol::{LaneName, Name, Owner, QueueJob, Timestamp};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// Time within which anything must happen.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server in a directory of its own.
pub(super) struct Server {
    pub(super) postgres: Postgres,
    pub(super) dir: TempDir,
}

impl Server {
    /// Starts a server; `None` where PostgreSQL is not here.
    pub(super) fn start() -> Option<Self> {
        // The socket's path is short, and another user may have to look at it.
        let dir = tempfile::Builder::new().prefix("gob-pg").tempdir_in("/tmp").unwrap();
        let own = dir.path().join("s");
        std::fs::create_dir(&own).unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
        match Postgres::start(&own).unwrap() {
            Ok(postgres) => Some(Self { postgres, dir }),
            Err(why) => {
                skip("postgresql", &why);
                None
            }
        }
    }

    /// Runs statements as the owner of the database, and returns their rows.
    pub(super) fn psql(&self, sql: &str) -> String {
        let dir = self.postgres.dir().to_string_lossy().into_owned();
        let done = Command::new("psql")
            .args(["-h", &dir, "-U", "gob", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-Atc", sql])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    pub(super) fn address(&self) -> Address {
        Address::new(self.postgres.url(), None, None)
    }

    pub(super) fn settings(&self, machine: &str) -> Settings {
        Settings {
            address: self.address(),
            machine: self.machine(machine),
            instance: format!("{machine}-1"),
            host: machine.to_owned(),
            heartbeat: Duration::from_millis(500),
            lease: Duration::from_secs(20),
            keep_finished: Duration::from_secs(3_600),
            within: Duration::from_secs(2),
        }
    }

    fn machine(&self, machine: &str) -> PathBuf {
        self.dir.path().join(format!("{machine}.id"))
    }

    /// A machine whose connection is up.
    pub(super) fn machine_up(&self, name: &str) -> Machine {
        let mut machine = Machine::new(self.settings(name));
        machine.until(|told| matches!(told, Told::Up).then_some(()));
        machine
    }
}

/// A supervisor's end of the shared store.
pub(super) struct Machine {
    pub(super) handle: Handle,
    told: Receiver<Told>,
    tickets: u64,
}

impl Machine {
    pub(super) fn new(settings: Settings) -> Self {
        Self::after(settings, SharedState::default())
    }

    /// A supervisor that goes on with what another thread has left.
    pub(super) fn after(settings: Settings, left: SharedState) -> Self {
        let (post, told) = channel();
        let handle = Handle::spawn(settings, left, move |message| drop(post.send(message))).unwrap();
        Self { handle, told, tickets: 0 }
    }

    /// Returns the messages of a time.
    pub(super) fn during(&self, time: Duration) -> Vec<Told> {
        let until = Instant::now() + time;
        let next = || self.told.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
        std::iter::from_fn(next).collect()
    }

    /// Waits for a message; others before it are dropped.
    pub(super) fn until<T>(&mut self, mut wanted: impl FnMut(Told) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        loop {
            let told = self.told.recv_timeout(until.saturating_duration_since(Instant::now())).unwrap();
            if let Some(found) = wanted(told) {
                return found;
            }
        }
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask(&mut self, ask: QueueAsk) -> Result<QueueTold, Failure> {
        self.tickets += 1;
        let wanted = self.tickets;
        if let Err(e) = self.handle.ask(wanted, now(), Box::new(ask)) {
            return Err(Failure::Away(e.to_string()));
        }
        self.until(|told| match told {
            Told::Answer { ticket, answer } if ticket == wanted => Some(answer.map(|told| *told)),
            _other => None,
        })
    }

    /// Asks about locks, and waits for the answer.
    pub(super) fn locks(&mut self, ask: LockAsk) -> LockTold {
        self.tickets += 1;
        let wanted = self.tickets;
        self.handle.ask_locks(wanted, now(), Box::new(ask)).unwrap();
        let answer = self.until(|told| match told {
            Told::LockAnswer { ticket, answer } if ticket == wanted => Some(answer),
            _other => None,
        });
        *answer.unwrap()
    }

    pub(super) fn told(&mut self, ask: QueueAsk) -> QueueTold {
        self.ask(ask).unwrap()
    }

    pub(super) fn added(&mut self, lane: &str) -> QueueJob {
        match self.told(QueueAsk::Add(Box::new(new_job(lane)))) {
            QueueTold::Added { job, is_new: true } => *job,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn claimed(&mut self, lane: &str) -> Option<Claim> {
        match self.told(claim(lane)) {
            QueueTold::Claimed { claim, .. } => claim.map(|claim| *claim),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn settled(&mut self, ask: QueueAsk) -> Settled {
        match self.told(ask) {
            QueueTold::Settled(settled) => *settled,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn job(&mut self, id: &Name) -> QueueJob {
        match self.told(QueueAsk::Get { id: id.clone() }) {
            QueueTold::Job(job) => *job,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn news(&mut self) -> News {
        self.until(|told| match told {
            Told::News(news) => Some(*news),
            _other => None,
        })
    }

    pub(super) fn is_away(&self) -> bool {
        matches!(self.handle.health().state, State::Away(_))
    }
}

pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

pub(super) fn new_job(lane: &str) -> NewJob {
    NewJob {
        id: Name::numbered(0),
        lane: LaneName::new(lane).unwrap(),
        command: vec!["make".to_owned(), "é".to_owned()],
        cwd: "/src".to_owned(),
        env: Some([("SECRET", "hunter2-in-the-environment")].into_iter().collect()),
        umask: Some(0o27),
        owner: Owner::cli(),
        priority: 0,
        run_at: now(),
        max_attempts: 3,
        after: Vec::new(),
        dedupe: None,
        description: None,
    }
}

pub(super) fn claim(lane: &str) -> QueueAsk {
    QueueAsk::Claim { lane: LaneName::new(lane).unwrap(), by: Claimant::Supervisor("gobd-1".to_owned()) }
}

pub(super) fn finish(claim: &Claim, end: QueueEnd) -> QueueAsk {
    QueueAsk::Finish(Box::new(Ending {
        id: claim.job.id.clone(),
        attempt: Some(claim.job.attempt),
        by: Claimant::Supervisor("gobd-1".to_owned()),
        end,
        exit: None,
    }))
}

pub(super) fn recover() -> QueueAsk {
    QueueAsk::Recover { except: Vec::new(), error: "it ended".to_owned(), retry_at: now() }
}

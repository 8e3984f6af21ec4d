//! The thread: it connects, answers, renews, listens, and connects again.

use super::failure::Failure;
use super::group;
use super::handle::{End, Shared, State, Told};
use super::lives::{self, Life};
use super::locks;
use super::news;
use super::session::Session;
use gob_protocol::Timestamp;
use gob_protocol::database::{self, MEND};
use gob_protocol::lock::ask::LockAsk;
use gob_protocol::queue::QueueAsk;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

/// Questions that share a transaction.
const GROUP: usize = 64;
/// The first and the longest wait before another attempt to connect.
const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// Time between two looks for jobs that ended long ago.
const TRIM: Duration = Duration::from_secs(60);

/// The result of a wait.
enum Turn {
    Asked(Asked),
    News(String),
    Time,
    Closed,
    End,
}

/// A question.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) ticket: u64,
    pub(super) now: Timestamp,
    pub(super) wanted: Wanted,
    pub(super) deadline: Instant,
}

/// What is asked.
#[derive(Debug)]
pub(super) enum Wanted {
    Queue(Box<QueueAsk>),
    Locks(Box<LockAsk>),
}

impl Wanted {
    fn only_reads(&self) -> bool {
        match self {
            Self::Queue(ask) => ask.only_reads(),
            Self::Locks(ask) => matches!(**ask, LockAsk::Look { .. } | LockAsk::Status { .. }),
        }
    }
}

struct Worker<'r> {
    shared: &'r Shared,
    runtime: &'r Runtime,
    session: Option<Session<'r>>,
    life: Option<Life>,
    /// The reason why the database is away, as it was told last.
    told: Option<String>,
    /// The next attempt to connect, and the wait after it.
    again: (Instant, Duration),
    renew_at: Instant,
    trim_at: Instant,
    end: watch::Receiver<Option<End>>,
}

/// Runs until the end of the supervisor.
pub(super) fn run(shared: &Shared, mut asks: mpsc::Receiver<Asked>) {
    let (life, end) = shared.begins();
    let mut left = None;
    match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let now = Instant::now();
            let mut worker = Worker {
                shared,
                runtime: &runtime,
                session: None,
                life,
                told: None,
                again: (now, AGAIN.0),
                renew_at: now,
                trim_at: now + TRIM,
                end,
            };
            while worker.turn(&mut asks) {}
            left = Some(worker.life.take());
            drop(worker);
            // A look-up of a name may hang in a thread of the runtime.
            runtime.shutdown_background();
        }
        Err(e) => shared.set(State::Away(format!("cannot make a runtime: {e}"))),
    }
    shared.ends(left);
}

impl Worker<'_> {
    /// Does what is due, waits for the next thing and does it; false at the end.
    fn turn(&mut self, asks: &mut mpsc::Receiver<Asked>) -> bool {
        let end = *self.end.borrow_and_update();
        if let Some(end) = end {
            self.finish(end, asks);
            return false;
        }
        self.times(asks);
        match self.wait(asks) {
            Turn::Asked(asked) => self.answer(asked, asks),
            Turn::News(first) => self.news(first, asks),
            Turn::Closed => {
                self.goes_away(&Failure::Away("the database closed the connection".to_owned()), asks)
            }
            Turn::Time => {}
            Turn::End => return false,
        }
        true
    }

    /// Connects, renews, takes back and trims, as each is due.
    fn times(&mut self, asks: &mut mpsc::Receiver<Asked>) {
        if self.life.as_ref().is_some_and(Life::is_over) {
            let lease = self.shared.settings.lease.as_secs();
            self.is_lost(format!(
                "the database could not be told within {lease} s that this supervisor lives"
            ));
        }
        let now = Instant::now();
        if self.session.is_none() && now >= self.again.0 {
            let done = self.connect();
            self.judge(done, asks);
        }
        if self.session.is_some() && (self.life.is_none() || now >= self.renew_at) {
            let done = self.renew();
            self.judge(done, asks);
        }
        if now >= self.trim_at && self.session.is_some() {
            self.trim_at = now + TRIM;
            let done = self.trim();
            self.judge(done, asks);
        }
    }

    fn judge(&mut self, done: Result<(), Failure>, asks: &mut mpsc::Receiver<Asked>) {
        match done {
            Ok(()) => {}
            Err(failure) if failure.is_away() || self.life.is_none() => self.goes_away(&failure, asks),
            // It is tried again, sooner than the next time.
            Err(_) => self.renew_at = Instant::now() + Duration::from_millis(500),
        }
    }

    fn wait(&mut self, asks: &mut mpsc::Receiver<Asked>) -> Turn {
        let mut at = if self.session.is_some() { self.renew_at.min(self.trim_at) } else { self.again.0 };
        // The end of a lease is noticed in time, also while no connection can be made.
        at = at.min(Instant::now() + (self.shared.settings.lease / 16).max(Duration::from_millis(20)));
        let (session, end) = (&mut self.session, &mut self.end);
        let news = async {
            match session {
                Some(session) => session.news.recv().await,
                None => std::future::pending().await,
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                asked = asks.recv() => asked.map_or(Turn::End, Turn::Asked),
                // The next turn is the last.
                Ok(()) = end.changed() => Turn::Time,
                news = news => news.map_or(Turn::Closed, Turn::News),
                () = tokio::time::sleep_until(at.into()) => Turn::Time,
            }
        })
    }

    fn connect(&mut self) -> Result<(), Failure> {
        let settings = &self.shared.settings;
        let config = settings.address.config()?;
        let within = settings.within.min(settings.lease / 4);
        let session = Session::open(self.runtime, &config, within, self.end.clone())?;
        let is_alive = match &mut self.life {
            Some(life) => life.renew(&session)?,
            None => true,
        };
        if !is_alive {
            self.is_given_up();
        }
        self.session = Some(session);
        // A claim of the life before whose answer was lost with the connection is known by that life.
        self.begin_life()
    }

    fn begin_life(&mut self) -> Result<(), Failure> {
        let (settings, Some(session)) = (&self.shared.settings, &self.session) else { return Ok(()) };
        let number = self.shared.next_life().ok_or_else(not_there)?;
        let instance = lives::numbered(&settings.instance, number);
        let machine = lives::machine(&settings.machine, &settings.instance)?;
        let (host, lease) = (settings.host.clone(), settings.lease);
        let mut life = Life { instance, machine, host, lease, renewed: lives::since_boot() };
        life.begin(session)?;
        self.life = Some(life);
        self.renew_at = Instant::now();
        self.shared.set(State::Open);
        self.told = None;
        (self.shared.told)(Told::Up);
        Ok(())
    }

    /// Renews, and takes back what others held that do not.
    fn renew(&mut self) -> Result<(), Failure> {
        let Some(session) = &self.session else { return Ok(()) };
        if session.is_closed() {
            return Err(Failure::Away("the database closed the connection".to_owned()));
        }
        let Some(life) = &mut self.life else { return self.begin_life() };
        self.renew_at = Instant::now() + self.shared.settings.heartbeat.min(self.shared.settings.lease / 4);
        if !life.renew(session)? {
            self.is_given_up();
            return self.begin_life();
        }
        let instance = life.instance.clone();
        while lives::sweep(session, &instance)? {}
        // Everything that a connection is for was done: the next attempt comes soon again.
        self.again.1 = AGAIN.0;
        Ok(())
    }

    fn trim(&mut self) -> Result<(), Failure> {
        if let (Some(session), Some(life)) = (&self.session, &self.life) {
            let gone = lives::trim(session, &life.instance, self.shared.settings.keep_finished)?;
            if !gone.is_empty() {
                (self.shared.told)(Told::Trimmed(gone));
            }
        }
        Ok(())
    }

    fn is_given_up(&mut self) {
        self.is_lost("the other machines have not heard of this supervisor for too long".to_owned());
    }

    fn is_lost(&mut self, why: String) {
        self.life = None;
        self.told = None;
        (self.shared.told)(Told::Lost(why));
    }

    /// The database is away: all that waits is told so, and another attempt is made later.
    fn goes_away(&mut self, failure: &Failure, asks: &mut mpsc::Receiver<Asked>) {
        self.session = None;
        let why = failure.to_string();
        self.shared.set(State::Away(why.clone()));
        self.again = (Instant::now() + self.again.1, (self.again.1 * 2).min(AGAIN.1));
        while let Ok(asked) = asks.try_recv() {
            self.refuse(&asked, Failure::Away(why.clone()));
        }
        // One message for each reason: attempts that fail alike are no news.
        if self.told.as_ref() != Some(&why) {
            self.told = Some(why.clone());
            (self.shared.told)(Told::Away(why));
        }
    }

    /// Answers a question, and those that wait behind it. Questions about the queue share a transaction.
    fn answer(&mut self, first: Asked, asks: &mut mpsc::Receiver<Asked>) {
        let mut next = Some(first);
        while let Some(first) = next.take() {
            if matches!(first.wanted, Wanted::Locks(_)) {
                self.answer_lock(&first, asks);
                continue;
            }
            let mut group = vec![first];
            while let (true, Ok(more)) = (group.len() < GROUP, asks.try_recv()) {
                if matches!(more.wanted, Wanted::Locks(_)) {
                    next = Some(more);
                    break;
                }
                group.push(more);
            }
            self.answer_group(group, asks);
        }
    }

    /// Refuses a change that has waited too long.
    fn is_late(&self, asked: &Asked) -> bool {
        let late = asked.deadline <= Instant::now() && !asked.wanted.only_reads();
        if late {
            self.refuse(asked, Failure::Busy("the question waited too long".to_owned()));
        }
        late
    }

    fn answer_lock(&mut self, asked: &Asked, asks: &mut mpsc::Receiver<Asked>) {
        let Wanted::Locks(ask) = &asked.wanted else { return };
        if self.is_late(asked) {
            return;
        }
        let (Some(session), Some(life)) = (&self.session, &self.life) else {
            return self.refuse(asked, not_there());
        };
        let answer = locks::answer(session, &life.instance, ask);
        let failure = answer.as_ref().err().filter(|failure| failure.is_away()).cloned();
        (self.shared.told)(Told::LockAnswer { ticket: asked.ticket, answer: answer.map(Box::new) });
        if let Some(failure) = failure {
            self.goes_away(&failure, asks);
        }
    }

    fn answer_group(&mut self, mut group: Vec<Asked>, asks: &mut mpsc::Receiver<Asked>) {
        group.retain(|asked| !self.is_late(asked));
        let (Some(session), Some(life)) = (&self.session, &self.life) else {
            return group.iter().for_each(|asked| self.refuse(asked, not_there()));
        };
        let questions: Vec<_> = group
            .iter()
            .filter_map(|asked| match &asked.wanted {
                Wanted::Queue(ask) => Some((asked.now, &**ask)),
                Wanted::Locks(_) => None,
            })
            .collect();
        match group::answer(session, &life.instance, &questions) {
            Ok(answers) => {
                for (asked, answer) in group.iter().zip(answers) {
                    (self.shared.told)(Told::Answer { ticket: asked.ticket, answer: answer.map(Box::new) });
                }
            }
            Err(failure) => {
                let why = failure.to_string();
                let (why, remedy) = database::remedy(&why);
                let remedy = remedy.map(|remedy| format!("{MEND}{remedy}")).unwrap_or_default();
                let unknown = Failure::Away(format!("{why}; what was asked may have been done{remedy}"));
                group.iter().for_each(|asked| self.refuse(asked, unknown.clone()));
                self.goes_away(&failure, asks);
            }
        }
    }

    fn refuse(&self, asked: &Asked, failure: Failure) {
        let ticket = asked.ticket;
        (self.shared.told)(match asked.wanted {
            Wanted::Queue(_) => Told::Answer { ticket, answer: Err(failure) },
            Wanted::Locks(_) => Told::LockAnswer { ticket, answer: Err(failure) },
        });
    }

    fn news(&mut self, first: String, asks: &mut mpsc::Receiver<Asked>) {
        let (Some(session), Some(life)) = (&mut self.session, &self.life) else { return };
        let mut payloads = vec![first];
        while let (true, Ok(more)) = (payloads.len() < GROUP, session.news.try_recv()) {
            payloads.push(more);
        }
        match news::read(session, &life.instance, &payloads) {
            Ok(Some(news)) => (self.shared.told)(Told::News(Box::new(news))),
            Ok(None) => {}
            Err(failure) => self.goes_away(&failure, asks),
        }
    }

    fn finish(&mut self, end: End, asks: &mut mpsc::Receiver<Asked>) {
        while let (true, Ok(asked)) = (Instant::now() < end.until, asks.try_recv()) {
            self.answer(asked, asks);
        }
        if let (true, Some(session), Some(life)) = (end.takes_leave, &self.session, &self.life) {
            // It is taken for dead later otherwise.
            life.end(session).unwrap_or_default();
        }
        // None may wait for ever.
        asks.close();
        while let Ok(asked) = asks.try_recv() {
            self.refuse(&asked, Failure::Away("the supervisor does not wait for the database".to_owned()));
        }
    }
}

fn not_there() -> Failure {
    Failure::Away("the database is not there yet".to_owned())
}

//! The store beside the one in memory that the histories of the core run on: both are asked the same questions, and give the same
//! answers. So does the store that several machines share (`shared/tests/suite.rs`). A difference would make those histories ones of a store that nobody has.

use super::*;
use crate::jobs::{Ask, answer};
use crate::schema::STEPS;
use gob_protocol::queue::{Beat, NewSchedule};
use rusqlite::Connection;

#[path = "../../../../core/src/tests/queue/store/mod.rs"]
mod memory;

/// Histories, and questions in each.
const HISTORIES: u64 = 200;
const QUESTIONS: u64 = 120;

struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

/// A store that is compared with the one in memory.
pub(crate) trait Subject {
    /// Answers a question, all or nothing, as a life of the supervisor.
    fn answer(&mut self, instance: &str, now: Timestamp, ask: &QueueAsk) -> QueueTold;

    /// Returns the life that holds a job.
    fn holder(&mut self, number: i64) -> Option<String>;

    /// Returns whether claims of an earlier life that are left alone are another life's to a finish.
    fn knows_lives(&self) -> bool;
}

/// The store's own tables.
struct File(Connection);

impl File {
    fn new() -> Self {
        let mut db = Connection::open_in_memory().unwrap();
        let steps = db.transaction().unwrap();
        STEPS.iter().for_each(|step| step(&steps).unwrap());
        steps.commit().unwrap();
        Self(db)
    }
}

impl Subject for File {
    fn answer(&mut self, instance: &str, now: Timestamp, ask: &QueueAsk) -> QueueTold {
        let step = self.0.transaction().unwrap();
        let told = answer(&Ask { db: &*step, instance, now }, ask).unwrap();
        if matches!(told, QueueTold::Refused(_)) {
            step.rollback().unwrap();
        } else {
            step.commit().unwrap();
        }
        told
    }

    fn holder(&mut self, number: i64) -> Option<String> {
        let sql = "SELECT instance FROM job WHERE number = ?1";
        self.0.query_row(sql, [number], |row| row.get(0)).unwrap()
    }

    fn knows_lives(&self) -> bool {
        true
    }
}

/// Two stores, and the state of the world around them.
struct Pair<'s> {
    db: &'s mut dyn Subject,
    memory: memory::Store,
    chance: Chance,
    now: i64,
    /// The number of the first job.
    first: u64,
    /// The number of the next job.
    next: u64,
}

impl<'s> Pair<'s> {
    fn new(seed: u64, db: &'s mut dyn Subject, first: u64) -> Self {
        let memory = memory::Store { life: 1, ..memory::Store::default() };
        Self { db, memory, chance: Chance(seed), now: 0, first, next: first }
    }

    /// The answers of the store and of the one in memory.
    fn both(&mut self, ask: &QueueAsk) -> (QueueTold, QueueTold) {
        let instance = self.memory.life.to_string();
        let told = self.db.answer(&instance, at(self.now), ask);
        (told, self.memory.answer(ask, at(self.now)))
    }

    fn same(&mut self, ask: &QueueAsk) -> QueueTold {
        let (told, expected) = self.both(ask);
        assert_eq!(told, expected, "{ask:?}");
        told
    }

    fn lane(&mut self) -> LaneName {
        lane(if self.chance.one_in(2) { "a" } else { "b" })
    }

    fn any_job(&mut self) -> Name {
        job_id(self.first + self.chance.below(self.next - self.first + 1))
    }

    /// A job that is held, if there is one; now and then any other.
    fn claimed(&mut self) -> (Name, u32) {
        let held = self.memory.rows.values().filter(|row| row.held.is_some());
        let named = held.map(|row| row.job.id.clone());
        let held: Vec<_> = named.map(|id| (id.clone(), self.memory.job(id.as_str()).attempt)).collect();
        if held.is_empty() || self.chance.one_in(6) {
            return (self.any_job(), 1 + u32::try_from(self.chance.below(3)).unwrap());
        }
        held[usize::try_from(self.chance.below(held.len() as u64)).unwrap()].clone()
    }

    fn claimant(&mut self) -> Claimant {
        match self.chance.below(3) {
            0 => us(),
            one => outside(&format!("host-{one}")),
        }
    }

    /// The claimant of a job, or any.
    fn claimant_of(&mut self, id: &Name) -> Claimant {
        let held = self.memory.rows.get(&id.number().unwrap()).and_then(|row| row.held.as_ref());
        let its = held.map(|(_, claimant)| claimant.clone());
        its.filter(|_| !self.chance.one_in(6)).unwrap_or_else(|| self.claimant())
    }

    fn new_job(&mut self) -> NewJob {
        let name = self.lane();
        let after = (0..self.chance.below(4)).map(|_| self.any_job()).collect();
        NewJob {
            lane: name,
            after: if self.chance.one_in(2) { after } else { Vec::new() },
            priority: i32::try_from(self.chance.below(3)).unwrap(),
            run_at: at(self.now + i64::try_from(self.chance.below(3) * 50).unwrap()),
            max_attempts: 1 + u32::try_from(self.chance.below(3)).unwrap(),
            dedupe: self.chance.one_in(4).then(|| "key".to_owned()),
            owner: if self.chance.one_in(3) { Owner::new("agent").unwrap() } else { Owner::cli() },
            env: None,
            umask: None,
            ..new_job(self.next, "a")
        }
    }

    fn end(&mut self) -> QueueEnd {
        match self.chance.below(4) {
            0 => failed_again(at(self.now + 100)),
            1 => QueueEnd::Cancelled { reason: "asked".to_owned() },
            _more => QueueEnd::Completed,
        }
    }

    fn of_claim(&mut self) -> QueueAsk {
        let (id, attempt) = self.claimed();
        let by = self.claimant_of(&id);
        let named = (!self.chance.one_in(3)).then_some(attempt);
        match self.chance.below(6) {
            0 => QueueAsk::Heartbeat(vec![Beat { id, attempt: named, by, at: at(self.now) }]),
            1 => QueueAsk::GiveBack { id, attempt },
            2 => QueueAsk::Stale { id, attempt, error: "stale".to_owned(), retry_at: at(self.now + 100) },
            _most => {
                let exit = self.chance.one_in(2).then_some(Exit::Code { code: 3 });
                QueueAsk::Finish(Box::new(Ending { id, attempt: named, by, end: self.end(), exit }))
            }
        }
    }

    fn of_schedules(&mut self) -> QueueAsk {
        let name = self.lane();
        match self.chance.below(4) {
            0 => QueueAsk::ScheduleAdd(Box::new(NewSchedule {
                name: self.chance.one_in(3).then(|| name.schedule(1)),
                lane: name,
                command: vec!["make".to_owned()],
                cwd: "/src".to_owned(),
                env: None,
                umask: None,
                owner: Owner::cli(),
                max_attempts: 2,
                cron: None,
                interval_ms: Some(1_000 + self.chance.below(500)),
                timezone: None,
            })),
            1 if self.chance.one_in(3) => QueueAsk::ScheduleRemove { name: name.schedule(1) },
            2 => QueueAsk::ScheduleList { lane: self.chance.one_in(2).then_some(name) },
            _most => {
                let ids = (0..self.chance.below(3)).map(|more| job_id(self.next + more)).collect();
                QueueAsk::ScheduleDue { ids }
            }
        }
    }

    fn of_lanes(&mut self) -> QueueAsk {
        let lane = self.lane();
        match self.chance.below(8) {
            0 | 1 => QueueAsk::Pause { lane },
            2..=4 => QueueAsk::Resume { lane },
            5 => QueueAsk::Width { lane, width: 3 },
            6 => QueueAsk::Clear { lane, owners: vec![Owner::cli()], reason: "cleared".to_owned() },
            _rest => QueueAsk::Lane { lane },
        }
    }

    /// Another life of the supervisor asks what the last one left.
    fn recover(&mut self) -> QueueAsk {
        if !self.chance.one_in(3) {
            self.memory.life += 1;
        }
        let (id, _) = self.claimed();
        let except = if self.chance.one_in(3) && self.db.knows_lives() { vec![id] } else { Vec::new() };
        QueueAsk::Recover { except, error: "it ended".to_owned(), retry_at: at(self.now + 100) }
    }

    fn question(&mut self) -> QueueAsk {
        match self.chance.below(40) {
            0..=7 => add(self.new_job()),
            8..=16 => QueueAsk::Claim { lane: self.lane(), by: self.claimant() },
            17..=26 => self.of_claim(),
            27..=28 => QueueAsk::Cancel { id: self.any_job(), reason: "asked".to_owned() },
            29..=31 => QueueAsk::Retry { id: self.any_job(), env: None, umask: None },
            32..=33 => self.of_lanes(),
            34..=36 => self.of_schedules(),
            37 => self.recover(),
            38 if self.chance.one_in(30) => QueueAsk::DeleteAll,
            _rest => QueueAsk::Unfinished,
        }
    }

    fn step(&mut self) {
        self.now += i64::try_from(self.chance.below(2) * self.chance.below(200)).unwrap();
        let ask = self.question();
        match self.same(&ask) {
            QueueTold::Added { is_new: true, .. } => self.next += 1,
            QueueTold::Due(due) => self.next += due.fired.len() as u64,
            _other => {}
        }
        for number in self.first..self.next {
            self.same(&QueueAsk::Get { id: job_id(number) });
        }
        self.same(&QueueAsk::Lanes);
        // A claim that the one has forgotten and the other has not.
        for row in self.memory.rows.values() {
            let instance = self.db.holder(i64::try_from(row.job.id.number().unwrap()).unwrap());
            let held = row.held.as_ref().map(|(life, _)| life.to_string());
            assert_eq!(instance, held, "{ask:?}: {row:?}");
        }
    }
}

/// Returns the number in a variable.
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// Asks a store and the one in memory the same questions. `make` returns an empty store; its first job has the number `first`.
pub(crate) fn compare<S: Subject>(histories: u64, first: u64, mut make: impl FnMut() -> S) {
    let seeds = match number("GOB_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=histories,
    };
    for seed in seeds {
        let mut subject = make();
        let mut pair = Pair::new(seed, &mut subject, first);
        let run = std::panic::AssertUnwindSafe(|| (0..QUESTIONS).for_each(|_| pair.step()));
        if std::panic::catch_unwind(run).is_err() {
            panic!("run it again with GOB_SEED={seed}");
        }
    }
}

#[test]
fn the_store_answers_as_the_one_that_the_core_is_tested_with() {
    compare(number("GOB_HISTORIES").unwrap_or(HISTORIES), 1, File::new);
}

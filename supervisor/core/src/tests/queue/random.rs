//! Random histories of the queue: clients, claimants, processes, a store that is slow or fails, and supervisors that are killed.
//! At the end everything settles: no job is lost, and each request is answered.

use super::rig::{World, add, by_job, finish, id, lane, owner};
use crate::restart::Dice;
use crate::{ConnId, Input};
use gob_protocol::request::{
    ByLane, Force, QueueAdd, QueueClaim, QueueHeartbeat, QueueRetry, QueueWidth, Stop,
};
use gob_protocol::{Exit, Name, Request};
use std::boxed::Box;
use std::format;
use std::println;
use std::string::String;
use std::vec::Vec;

const HISTORIES: u64 = 300;
const STEPS: u64 = 150;
const LANES: [&str; 2] = ["a", "out"];

struct Chance(Dice);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.throw() % bound
    }

    /// One of three clients, connected or not.
    fn conn(&mut self, world: &World) -> ConnId {
        let client = self.below(3);
        let is_it = |conn: &&ConnId| conn.0 % 3 == client;
        world.conns.iter().find(is_it).copied().unwrap_or(ConnId(3 * (world.last_id as u64 + 10) + client))
    }

    fn lane(&mut self) -> gob_protocol::queue::LaneName {
        lane(LANES[self.below(2) as usize])
    }

    fn job(&mut self, world: &World) -> Name {
        id(1 + self.below(world.desk.store.rows.len() as u64 + 1))
    }

    fn exit(&mut self) -> Exit {
        match self.below(4) {
            0 => Exit::Code { code: 3 },
            1 => Exit::Signal { signal: "SIGTERM".into(), core_dumped: false },
            _most => Exit::Code { code: 0 },
        }
    }

    fn request(&mut self, world: &World, conn: ConnId) -> Request {
        let worker_id = format!("host-{}", conn.0 % 3);
        match self.below(24) {
            0..6 => {
                let mut new = add(LANES[self.below(2) as usize]);
                new.priority = Some(self.below(3) as i32);
                new.delay_ms = (self.below(4) == 0).then(|| self.below(5_000));
                new.max_attempts = Some(1 + self.below(3) as u32);
                new.dedupe = (self.below(5) == 0).then(|| "k".into());
                if self.below(4) == 0 {
                    new.after.push(self.job(world));
                }
                Request::QueueAdd(Box::new(QueueAdd { ..new }))
            }
            6..11 => {
                let wait_ms = (self.below(2) == 0).then(|| self.below(20_000));
                Request::QueueClaim(QueueClaim { lane: self.lane(), worker_id, wait_ms })
            }
            11..13 => {
                let attempt = (self.below(2) == 0).then_some(1);
                Request::QueueHeartbeat(QueueHeartbeat { job_id: self.job(world), worker_id, attempt })
            }
            13..16 => finish(self.job(world).number().unwrap(), conn, self.below(3) > 0),
            16 => Request::QueueCancel(by_job(self.job(world).number().unwrap())),
            17 => Request::QueueRetry(QueueRetry { job_id: self.job(world), env: None }),
            18 => Request::QueuePause(ByLane { lane: self.lane() }),
            19 => Request::QueueResume(ByLane { lane: self.lane() }),
            20 => Request::QueueWidth(QueueWidth { lane: self.lane(), width: self.below(4) as u32 }),
            21 if self.below(4) == 0 => Request::QueueClear(ByLane { lane: self.lane() }),
            22 => Request::Stop(Stop { name: self.job(world), force: self.below(2) == 0, grace_ms: None }),
            _other => Request::QueueGet(by_job(self.job(world).number().unwrap())),
        }
    }

    fn step(&mut self, world: &mut World) -> Result<(), String> {
        if world.has_ended {
            return world.restarts();
        }
        let process = |chance: &mut Self, world: &World| {
            let all: Vec<Name> = world.processes.keys().cloned().collect();
            let at = chance.below(all.len().max(1) as u64) as usize;
            all.get(at).cloned()
        };
        match self.below(100) {
            0..40 => {
                let conn = self.conn(world);
                if !world.conns.contains(&conn) {
                    return world.joins(conn, owner(conn));
                }
                let request = self.request(world, conn);
                let is_finish = matches!(request, Request::QueueFinish(_));
                let answer = world.ask(conn, request)?;
                if is_finish {
                    // A claimant that was told that its attempt is over does no more about it.
                    world.answers.remove(&answer);
                }
                Ok(())
            }
            40..42 => {
                let conn = self.conn(world);
                if world.conns.contains(&conn) { world.leaves(conn) } else { Ok(()) }
            }
            42..66 => world.store_answers(),
            66..69 => world.store_fails(),
            69..71 => world.store_is_slow(),
            71..76 => process(self, world).map_or(Ok(()), |job| world.spawned(&job)),
            76..86 => {
                let exit = self.exit();
                process(self, world).map_or(Ok(()), |job| world.exits(&job, exit))
            }
            86..94 => world.due(),
            94..97 => {
                world.now = (world.now + self.below(2_000)).min(world.wake.unwrap_or(u64::MAX));
                Ok(())
            }
            97 if self.below(3) == 0 => world.restarts(),
            98 if self.below(6) == 0 => world.feed(Input::Terminate),
            99 if self.below(6) == 0 => {
                let conn = self.conn(world);
                let is_there = world.conns.contains(&conn);
                let shutdown = Request::Shutdown(Force { force: true });
                if is_there { world.ask(conn, shutdown).map(|_| ()) } else { Ok(()) }
            }
            _rest => Ok(()),
        }
    }
}

/// Lets everything come to its end: the store answers, processes exit, claims outside become stale.
fn settle(world: &mut World) -> Result<(), String> {
    world.is_prompt = true;
    if world.has_ended || world.core.cx.leaving.is_on() {
        world.restarts()?;
    }
    let conns: Vec<ConnId> = world.conns.iter().copied().collect();
    conns.into_iter().try_for_each(|conn| world.leaves(conn))?;
    let cli = ConnId(3 * (world.last_id as u64 + 10) + 1);
    world.joins(cli, "cli")?;
    while !world.desk.asked.is_empty() {
        world.store_answers()?;
    }
    for name in LANES {
        world.ask(cli, Request::QueueResume(ByLane { lane: lane(name) }))?;
        world.ask(cli, Request::QueueWidth(QueueWidth { lane: lane(name), width: 3 }))?;
    }
    for _ in 0..3_000 {
        while let Some(job) = world.processes.keys().next().cloned() {
            world.exits(&job, Exit::Code { code: 0 })?;
        }
        if world.wake.is_none() {
            break;
        }
        world.due()?;
    }
    world.desk.check_settled(&world.core)?;
    ensure!(world.owed.is_empty(), "unanswered: {:?}", world.owed);
    Ok(())
}

fn run(seed: u64) -> Result<usize, String> {
    let mut chance = Chance(Dice::new(Dice::new(seed).throw()));
    let mut world = World::new();
    world.is_prompt = false;
    for _ in 0..STEPS {
        chance.step(&mut world)?;
    }
    settle(&mut world)?;
    Ok(world.desk.begun.len())
}

#[test]
fn histories_of_the_queue() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (from, to) = match number("GOB_SEED") {
        Some(seed) => (seed, seed),
        None => (1, number("GOB_HISTORIES").unwrap_or(HISTORIES)),
    };
    let mut begun = 0;
    for seed in from..=to {
        begun += run(seed).unwrap_or_else(|why| panic!("{why}\nrun it again with GOB_SEED={seed}"));
    }
    println!("{begun} jobs began in {} histories", to - from + 1);
    assert!(to == from || begun > 100, "{begun} jobs began");
}

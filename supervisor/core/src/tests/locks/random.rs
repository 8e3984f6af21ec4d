//! Random histories of locks: few clients, few names, kills, slow and full disks, and restarts, with every invariant checked
//! after every step. `GOB_HISTORIES=N` runs so many, `GOB_SEED=S` that one alone.

use super::super::dice::Dice;
use super::super::random::guarded;
use super::super::state::{read, write};
use super::holders::{Held, Holders};
use super::rig::{Rig, lock};
use crate::{ConnId, Input, LocksMark, Now};
use gob_protocol::request::{LockAcquire, LockBreak, LockRelease, LockStatus};
use gob_protocol::{Data, LockMode, Request, Timestamp};
use std::string::String;
use std::vec::Vec;

const HISTORIES: u64 = 2_000;
const STEPS: u64 = 120;
const CLIENTS: u64 = 7;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

struct World {
    rig: Rig,
    dice: Dice,
    holders: Holders,
    /// The connections that a restart made have higher numbers.
    base: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let rig = Rig::after(0, LocksMark::Missing, CLIENTS);
        Self { rig, dice: Dice::new(seed), holders: Holders::default(), base: 0 }
    }

    fn step(&mut self) -> Result<(), String> {
        self.holders.is_told |= self.rig.shell.is_heard;
        let conn = self.base + 1 + self.dice.below(CLIENTS);
        match self.dice.below(100) {
            0..45 => self.acquire(conn),
            45..70 => self.release(),
            70..76 => self.leave(conn)?,
            76..88 => {
                let ms = self.dice.one(&[1, 10, 100, 1_000, 5_000]);
                self.rig.passes(ms);
            }
            88..92 => self.rig.is_slow = !self.rig.is_slow,
            92..94 => self.rig.shell.store = self.dice.below(3) > 0,
            94..95 => self.rig.shell.markable = self.dice.below(3) > 0,
            95..97 => {
                let text = self.dice.one(&NAMES);
                self.rig.breaks(conn, text);
            }
            97 => {
                let all = LockStatus::default();
                self.rig.send(conn, Request::LockStatus(all));
            }
            98 => self.restart(),
            _ => {
                self.rig.tells();
            }
        }
        if self.rig.is_slow && self.dice.below(2) == 0 {
            self.rig.tells();
        }
        self.hear()
    }

    fn acquire(&mut self, conn: u64) {
        let text = self.dice.one(&NAMES);
        let mode = self.dice.one(&[LockMode::Exclusive, LockMode::Exclusive, LockMode::Shared]);
        let mut asked = LockAcquire {
            mode: Some(mode),
            timeout_ms: self.dice.maybe(50, |dice| dice.one(&[0, 1, 50, 3_000, 20_000])),
            priority: self.dice.maybe(40, |dice| dice.one(&[-1, 1, 2])),
            ttl_ms: self.dice.maybe(25, |dice| dice.one(&[1, 200, 6_000])),
            ..LockAcquire::new(lock(text))
        };
        let held: Vec<u64> = self.holders.held.iter().map(|held| held.token).collect();
        if !held.is_empty() && self.dice.below(4) == 0 {
            asked.within = Vec::from([self.dice.one(&held)]);
        }
        // Another one's token, the own one, or one that was never given to anybody.
        let mut tokens = held;
        let Holders { highest, credible, .. } = self.holders;
        tokens.extend([0, 3, highest + 1, credible + 1, self.rig.shell.reserved + 1, u64::MAX]);
        asked.token = self.dice.maybe(8, |dice| dice.one(&tokens));
        self.send(conn, asked);
    }

    fn send(&mut self, conn: u64, asked: LockAcquire) {
        let id = self.rig.ids + 1;
        self.holders.sends(ConnId(conn), id, &asked);
        assert_eq!(self.rig.asks(conn, asked), id);
    }

    fn release(&mut self) {
        if self.holders.held.is_empty() {
            return;
        }
        let Held { conn: ConnId(conn), lock, token, .. } = self.dice.one(&self.holders.held);
        if self.dice.below(8) == 0 {
            // A token that was never given gives nothing back.
            let made_up = LockRelease { lock: lock.clone(), token: self.holders.highest + 1 };
            self.rig.send(conn, Request::LockRelease(made_up));
        }
        let id = self.rig.send(conn, Request::LockRelease(LockRelease { lock, token }));
        assert!(self.rig.answer(conn, id).is_some(), "a release is answered at once");
        self.holders.held.retain(|held| held.token != token);
    }

    fn leave(&mut self, conn: u64) -> Result<(), String> {
        self.rig.leaves(conn);
        self.holders.leaves(ConnId(conn));
        self.hear()?;
        self.rig.joins(conn, "cli");
        Ok(())
    }

    /// The supervisor is killed; some holders claim what they held, from new connections.
    fn restart(&mut self) {
        let mut shell = self.rig.shell.clone();
        let is_marked = shell.mark != LocksMark::Missing;
        // The mark is damaged, or the store is lost or put back. No number survives both, also one after the other.
        match self.dice.below(8) {
            0 if is_marked && shell.reserved >= self.holders.highest => shell.mark = LocksMark::Unreadable,
            1 if shell.mark != LocksMark::Unreadable => {
                shell.reserved = self.dice.below(shell.reserved + 1);
            }
            _ => {}
        }
        self.base += 10_000;
        let mut rig = Rig::with_store(shell.reserved, self.dice.below(8) > 0, shell.mark, 0);
        rig.ids = self.rig.ids;
        for conn in 1..=CLIENTS {
            rig.joins(self.base + conn, "cli");
        }
        self.rig = rig;
        for held in self.holders.restarts(&shell, self.rig.now) {
            let Held { conn: ConnId(conn), lock, token, mode, within } = held;
            if self.dice.below(4) > 0 {
                let (mode, token) = (Some(mode), Some(token));
                let asked = LockAcquire { mode, token, within, ..LockAcquire::new(lock) };
                self.send(self.base + conn % 10_000, asked);
            }
        }
    }

    /// Takes the answers, and the ends that nobody asked for.
    fn hear(&mut self) -> Result<(), String> {
        let ends = std::mem::take(&mut self.rig.events);
        for (conn, id) in self.holders.waiting() {
            match self.rig.answer(conn.0, id) {
                Some(Ok(Data::LockAcquire(data))) => self.holders.is_answered(id, Some(data.token)),
                Some(_refused) => self.holders.is_answered(id, None),
                None => {}
            }
        }
        self.holders.hear(&ends, &self.rig.shell, self.rig.now)
    }

    fn check(&self) -> Result<(), String> {
        let core = &self.rig.core;
        self.holders.check(&core.locks, &core.cx.timers, &self.rig.shell)
    }

    fn reread(&mut self) -> Result<(), String> {
        let core = read(&write(&self.rig.core))?;
        ensure!(core.locks == self.rig.core.locks, "what was read is not what was written");
        Ok(())
    }
}

/// Runs one history; a failed assertion in it is a failure like any other.
fn run(seed: u64) -> Result<u64, String> {
    let mut highest = 0;
    guarded(|| take(seed).map(|granted| highest = granted))?;
    Ok(highest)
}

fn take(seed: u64) -> Result<u64, String> {
    let mut world = World::new(seed);
    for step in 0..STEPS {
        world.step().and_then(|()| world.check()).map_err(|why| std::format!("{why}\nafter step {step}"))?;
    }
    if seed.is_multiple_of(16) {
        world.reread()?;
    }
    // All clients go, and nothing is left of them.
    (world.rig.is_slow, world.rig.shell.store, world.rig.shell.markable) = (false, true, true);
    while world.rig.tells() {}
    for conn in 1..=CLIENTS {
        world.leave(world.base + conn)?;
    }
    world.check()?;
    ensure!(world.holders.held.is_empty(), "{:?} are held by nobody", world.holders.held);
    Ok(world.holders.highest)
}

#[test]
fn random_histories_of_locks() {
    let number = |variable: &str| std::env::var(variable).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("GOB_SEED") {
        run(seed).unwrap_or_else(|why| panic!("{why}"));
        return;
    }
    let histories = number("GOB_HISTORIES").unwrap_or(HISTORIES);
    let granted: u64 = (1..=histories)
        .map(|seed| run(seed).unwrap_or_else(|why| panic!("{why}\nrun it again with GOB_SEED={seed}")))
        .sum();
    assert!(granted > histories * 10, "only {granted} grants");
}

#[test]
fn a_break_of_nothing_and_a_due_of_nothing_do_nothing() {
    let mut rig = Rig::new();
    rig.feed(Input::Due);
    rig.send(1, Request::LockBreak(LockBreak { lock: lock("l") }));
    rig.feed(Input::Disconnected { conn: ConnId(77) });
    let now = Now { mono_ms: rig.now, wall: Timestamp(0) };
    assert!(rig.core.apply(Input::Due, now).is_empty());
}

//! Random histories of locks: few clients, few names, kills, slow and full disks, and restarts, with every invariant checked
//! after every step. `GOB_HISTORIES=N` runs so many, `GOB_SEED=S` that one alone.

use super::super::dice::Dice;
use super::super::random::guarded;
use super::rig::{Rig, lock};
use crate::{ConnId, Core, Input, LocksMark, Now};
use gob_protocol::limits::{LOCK_CLAIM_MS, LOCK_PASSES};
use gob_protocol::request::{LockAcquire, LockBreak, LockRelease, LockStatus};
use gob_protocol::{Data, LockMode, Request, Timestamp};
use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

const HISTORIES: u64 = 2_000;
const STEPS: u64 = 120;
const CLIENTS: u64 = 7;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A request that was sent and is not answered.
#[derive(Debug, Clone)]
struct Sent {
    conn: u64,
    text: &'static str,
    mode: LockMode,
    is_claim: bool,
    passed: u32,
}

/// A lock as its holder believes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    conn: u64,
    text: &'static str,
    token: u64,
    mode: LockMode,
    has_ttl: bool,
}

struct World {
    rig: Rig,
    dice: Dice,
    sent: BTreeMap<i64, Sent>,
    /// What the answers said, until a release, a loss or an event of another end.
    held: Vec<Held>,
    /// The connections that a restart made have higher numbers.
    base: u64,
    /// The highest token that was granted.
    highest: u64,
    /// When the claims are over, if the supervisor before the present one left its mark.
    claims_until: Option<u64>,
    /// The highest token that a claim may have, by the mark and the store.
    credible: u64,
    /// The mark has told it, or the store before this step; else every claim is credible.
    is_told: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let rig = Rig::after(0, LocksMark::Missing, CLIENTS);
        let (sent, held) = (BTreeMap::new(), Vec::new());
        let dice = Dice::new(seed);
        Self { rig, dice, sent, held, base: 0, highest: 0, claims_until: None, credible: 0, is_told: true }
    }

    fn step(&mut self) {
        self.is_told |= self.rig.is_heard;
        let conn = self.base + 1 + self.dice.below(CLIENTS);
        match self.dice.below(100) {
            0..45 => self.acquire(conn),
            45..70 => self.release(),
            70..76 => self.leave(conn),
            76..88 => {
                let ms = self.dice.one(&[1, 10, 100, 1_000, 5_000]);
                self.rig.passes(ms);
            }
            88..92 => self.rig.is_slow = !self.rig.is_slow,
            92..94 => self.rig.store = self.dice.below(3) > 0,
            94..95 => self.rig.markable = self.dice.below(3) > 0,
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
        self.hear();
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
        let held: Vec<u64> = self.held.iter().map(|held| held.token).collect();
        if !held.is_empty() && self.dice.below(4) == 0 {
            asked.within = Vec::from([self.dice.one(&held)]);
        }
        // Another one's token, the own one, or one that was never given to anybody.
        let mut tokens = held;
        tokens.extend([0, 3, self.highest + 1, self.credible + 1, self.rig.reserved + 1, u64::MAX]);
        asked.token = self.dice.maybe(8, |dice| dice.one(&tokens));
        self.send(conn, text, asked);
    }

    fn send(&mut self, conn: u64, text: &'static str, asked: LockAcquire) {
        let mode = asked.mode.unwrap_or_default();
        let sent = Sent { conn, text, mode, is_claim: asked.token.is_some(), passed: 0 };
        let id = self.rig.ids + 1;
        self.sent.insert(id, sent);
        assert_eq!(self.rig.asks(conn, asked), id);
    }

    fn release(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let Held { conn, text, token, .. } = self.dice.one(&self.held);
        if self.dice.below(8) == 0 {
            // A token that was never given gives nothing back.
            let made_up = LockRelease { lock: lock(text), token: self.highest + 1 };
            self.rig.send(conn, Request::LockRelease(made_up));
        }
        let release = Request::LockRelease(LockRelease { lock: lock(text), token });
        let id = self.rig.send(conn, release);
        assert!(self.rig.answer(conn, id).is_some(), "a release is answered at once");
        self.held.retain(|held| held.token != token);
    }

    fn leave(&mut self, conn: u64) {
        self.rig.leaves(conn);
        self.sent.retain(|_, sent| sent.conn != conn);
        self.held.retain(|held| held.conn != conn);
        self.hear();
        self.rig.joins(conn, "cli");
    }

    /// The supervisor is killed; some holders claim what they held, from new connections.
    fn restart(&mut self) {
        let before = std::mem::take(&mut self.held);
        let old = &self.rig;
        let (mut reserved, mut mark) = (old.reserved, old.mark);
        let is_marked = mark != LocksMark::Missing;
        // The mark is damaged, or the store is lost or put back. No number survives both, also one after the other.
        match self.dice.below(8) {
            0 if is_marked && reserved >= self.highest => mark = LocksMark::Unreadable,
            1 if mark != LocksMark::Unreadable => reserved = self.dice.below(reserved + 1),
            _ => {}
        }
        self.base += 10_000;
        let mut rig = Rig::with_store(reserved, self.dice.below(8) > 0, mark, 0);
        (self.credible, self.is_told) = (reserved.max(rig.number()), mark != LocksMark::Unreadable);
        rig.ids = old.ids;
        for conn in 1..=CLIENTS {
            rig.joins(self.base + conn, "cli");
        }
        self.sent.clear();
        self.rig = rig;
        self.claims_until = is_marked.then(|| self.rig.now + LOCK_CLAIM_MS);
        for Held { conn, text, token, mode, .. } in before {
            if self.dice.below(4) > 0 {
                let asked =
                    LockAcquire { mode: Some(mode), token: Some(token), ..LockAcquire::new(lock(text)) };
                self.send(self.base + conn % 10_000, text, asked);
            }
        }
    }

    /// Takes the answers, and the ends that nobody asked for.
    fn hear(&mut self) {
        let ends = std::mem::take(&mut self.rig.events);
        let ended =
            |token: u64| ends.iter().any(|event| event.reason.is_some() && event.token == Some(token));
        let answered: Vec<i64> = self
            .sent
            .iter()
            .filter(|(id, sent)| self.rig.answer(sent.conn, **id).is_some())
            .map(|(id, _)| *id)
            .collect();
        let mut granted: Vec<(u64, i64, Sent)> = Vec::new();
        for id in answered {
            let Some(sent) = self.sent.remove(&id) else { continue };
            if let Some(Ok(Data::LockAcquire(data))) = self.rig.answer(sent.conn, id).cloned() {
                granted.push((data.token, id, sent));
            }
        }
        granted.sort_by_key(|(token, id, _)| (*token, *id));
        self.held.retain(|held| !ended(held.token));
        for (token, id, sent) in granted {
            let Sent { conn, text, mode, is_claim, .. } = sent;
            let is_renewed = self.held.iter().any(|held| held.token == token);
            if is_claim {
                let is_credible = (1..=self.credible).contains(&token) || !self.is_told;
                assert!(is_renewed || is_credible, "{token} is believed, above {}", self.credible);
            } else {
                assert!(token > self.highest, "{token} after {}", self.highest);
                assert!(token <= self.rig.number(), "{token} is given, marked is {:?}", self.rig.mark);
                assert!(!is_renewed, "{token} is held twice");
                self.highest = token;
                assert!(
                    self.claims_until.is_none_or(|until| self.rig.now >= until),
                    "granted before the claims"
                );
                for other in self.sent.iter_mut().filter(|(other, sent)| **other < id && sent.text == text) {
                    other.1.passed += u32::from(!other.1.is_claim);
                    assert!(other.1.passed <= LOCK_PASSES, "{other:?} was passed too often");
                }
            }
            if !ended(token) && !is_renewed {
                self.held.push(Held { conn, text, token, mode, has_ttl: false });
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        let core = &self.rig.core;
        core.locks.check(self.rig.owes(), &core.cx.timers)?;
        for (at, one) in self.held.iter().enumerate() {
            for other in self.held.iter().skip(at + 1).filter(|other| other.text == one.text) {
                ensure!(one.mode.goes_with(other.mode), "{one:?} and {other:?} hold one lock");
            }
        }
        let (sent, waits) = (self.sent.len(), core.locks.unanswered());
        ensure!(sent == waits, "{sent} are not answered, and {waits} wait: {:?}", self.sent);
        ensure!(
            self.held.is_empty() || self.rig.mark != LocksMark::Missing,
            "locks are held and nothing says so"
        );
        Ok(())
    }

    fn reread(&mut self) -> Result<(), String> {
        let mut bytes = Vec::new();
        ciborium::into_writer(&self.rig.core, &mut bytes).map_err(|why| std::format!("{why}"))?;
        let core: Core = ciborium::from_reader(&*bytes).map_err(|why| std::format!("{why}"))?;
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
        world.step();
        world.check().map_err(|why| std::format!("{why}\nafter step {step}"))?;
    }
    if seed.is_multiple_of(16) {
        world.reread()?;
    }
    // All clients go, and nothing is left of them.
    (world.rig.is_slow, world.rig.store, world.rig.markable) = (false, true, true);
    while world.rig.tells() {}
    for conn in 1..=CLIENTS {
        world.leave(world.base + conn);
    }
    world.check()?;
    ensure!(world.held.is_empty(), "{:?} are held by nobody", world.held);
    Ok(world.highest)
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

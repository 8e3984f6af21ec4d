//! Answers of the database about locks that several machines share: requests that have theirs, holders that have them no more.

use super::Locks;
use super::claims::Claim;
use super::requests;
use super::shared::{answer, ask};
use super::table::Asking;
use super::tell_grant;
use crate::chronicle::{NoAnswer, Stored};
use crate::conns::actor_of;
use crate::cx::{Cx, LockNews};
use crate::ids::ConnId;
use crate::lock_asks::{LockAsking, LockThen};
use crate::refusals;
use crate::timers::{Alarm, Timer};
use crate::underway::Underway;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use gob_protocol::answer::LockStatusData;
use gob_protocol::lock::ask::{LockAsk, LockTold, is_shared_lock};
use gob_protocol::{Actor, Data, EventKind, Id, Lock, LockEnd, LockName, LockParty};

/// Time after which the database is compared with the table where a question failed.
const AGAIN_MS: u64 = 2_000;

impl Locks {
    /// The database has answered, or does not.
    pub(crate) fn shared_told(
        &mut self,
        asking: LockAsking,
        answer: Result<Stored, NoAnswer>,
        underway: &mut Underway,
        cx: &mut Cx,
    ) {
        match answer {
            Ok(Stored::Lock(told)) => {
                // A list of all machines tells nothing of this one's parties alone.
                let is_shown = matches!(asking.then, LockThen::Show(_) | LockThen::Judge(_));
                let ended = if is_shown { Vec::new() } else { self.learn(&told, &asking.actor, cx) };
                self.goes_on(asking, &told, &ended, underway, cx);
            }
            Ok(_) => self.unanswered_shared(asking, &NoAnswer::Silent, cx),
            Err(why) => self.unanswered_shared(asking, &why, cx),
        }
    }

    /// Takes in what the database says of locks: requests that have theirs, and holders that have them no more.
    fn learn(&mut self, told: &LockTold, actor: &Actor, cx: &mut Cx) -> Vec<u64> {
        for row in &told.own {
            let waits = self.table.waits.get(&row.number).is_some_and(|wait| wait.asking.lock == row.lock);
            if let (Some(token), true) = (row.token, waits) {
                self.grant(row.number, token, cx);
            }
        }
        let held: BTreeSet<u64> = told.own.iter().filter_map(|row| row.token).collect();
        let mut lost = Vec::new();
        for (lock, parties) in told.parties.iter().filter(|(lock, _)| is_shared_lock(lock)) {
            let Some(named) = self.table.named.get(lock) else { continue };
            lost.extend(named.holders.iter().filter(|token| !held.contains(token)).copied());
            let holders = parties.iter().filter(|party| party.token.is_some()).cloned().collect();
            if named.line.is_empty() {
                self.shared.holders.remove(lock);
            } else {
                self.shared.holders.insert(lock.clone(), holders);
            }
        }
        for token in &lost {
            self.end(*token, LockEnd::Broken, actor.clone(), cx);
        }
        lost
    }

    fn goes_on(
        &mut self,
        asked: LockAsking,
        told: &LockTold,
        ended: &[u64],
        underway: &mut Underway,
        cx: &mut Cx,
    ) {
        let LockAsking { client, actor, then } = asked;
        match then {
            LockThen::Learn => {}
            LockThen::Enter(number) => self.entered(number, cx),
            LockThen::Adopt { number, token, lock } => match self.shared.adopting.remove(&number) {
                Some(claim) if told.is_done => {
                    tell_grant(self.table.adopt(claim.asking, token, cx.now), token, cx);
                }
                Some(Claim { asking: Asking { conn, id, .. }, .. }) => {
                    cx.reply(conn, id, Err(refusals::lock_not_held(&lock, token)));
                }
                None => self.shared.owed.push(LockAsk::End { token, lock }),
            },
            LockThen::Show(here) => answer(client, Ok(joined(*here, told)), cx),
            LockThen::Judge(lock) => self.judge(client, actor, lock, told, underway, cx),
            LockThen::Broken(broken) => answer(client, Ok(requests::broken(broken)), cx),
            LockThen::Sync { holds, waits } => {
                let own: BTreeSet<u64> = told.own.iter().filter_map(|row| row.token).collect();
                let lost = holds.into_iter().filter(|token| !own.contains(token) && !ended.contains(token));
                lost.for_each(|token| self.end(token, LockEnd::Broken, Actor::Supervisor, cx));
                let there: BTreeSet<u64> = told.own.iter().map(|row| row.number).collect();
                for number in waits.into_iter().filter(|number| !there.contains(number)) {
                    let why = "the place in the line is lost";
                    self.refuse_shared(number, refusals::shared_away(why), cx);
                }
                // Locks that were given up are no loss to be told again.
                self.shared.owed.clear();
            }
        }
    }

    /// A request stands in line, unless it has its lock or was one that only tries.
    fn entered(&mut self, number: u64, cx: &mut Cx) {
        if let Some(wait) = self.table.waits.get(&number) {
            let asking = wait.asking.clone();
            self.waits_shared(number, asking, cx);
        }
    }

    fn waits_shared(&mut self, number: u64, asking: Asking, cx: &mut Cx) {
        let Asking { conn, id, lock, since, timeout_ms, who, .. } = asking;
        self.contentions += 1;
        self.table.contend(number);
        if timeout_ms == Some(0) {
            cx.timers.cancel(&Timer::LockWait(number));
            self.table.take_back(number);
            return cx.reply(conn, id, Err(self.timed_out(&lock, since, cx)));
        }
        let waiter = self.table.waiter(number, cx.now, &cx.setup.host).map(Box::new);
        let news = LockNews { waiter, ..LockNews::of(lock) };
        cx.publish_lock(EventKind::LockWaiting, actor_of(&who), news);
    }

    fn judge(
        &mut self,
        client: Option<(ConnId, Option<Id>)>,
        actor: Actor,
        lock: LockName,
        told: &LockTold,
        underway: &mut Underway,
        cx: &mut Cx,
    ) {
        let broken = told.holders(&lock);
        if broken.is_empty() {
            return answer(client, Err(refusals::lock_is_free(&lock)), cx);
        }
        if let Actor::Client { owner, .. } = &actor
            && let Err(error) = requests::may_break(&lock, &broken, owner, cx)
        {
            return answer(client, Err(error), cx);
        }
        let tokens = broken.iter().filter_map(|holder| holder.token).collect();
        let asking = LockAsking { client, actor, then: LockThen::Broken(broken) };
        ask(LockAsk::Break { lock, tokens }, asking, underway, cx);
    }

    /// The database did not answer.
    fn unanswered_shared(&mut self, asked: LockAsking, why: &NoAnswer, cx: &mut Cx) {
        let error = match why {
            NoAnswer::Away(why) | NoAnswer::Failed(why) => refusals::shared_away(why),
            NoAnswer::Full => refusals::shared_away("too many requests wait for it"),
            NoAnswer::Silent => refusals::shared_away("it does not answer"),
        };
        match asked.then {
            LockThen::Show(here)
                if asked.client.is_some() && here.locks.iter().all(|lock| !is_shared_lock(&lock.lock)) =>
            {
                answer(asked.client, Ok(Data::LockStatus(*here)), cx);
            }
            LockThen::Show(_) | LockThen::Judge(_) | LockThen::Broken(_) => {
                answer(asked.client, Err(error), cx)
            }
            LockThen::Enter(number) => self.refuse_shared(number, error, cx),
            LockThen::Adopt { number, .. } => {
                if let Some(Claim { asking: Asking { conn, id, .. }, .. }) =
                    self.shared.adopting.remove(&number)
                {
                    cx.reply(conn, id, Err(error));
                }
            }
            LockThen::Learn | LockThen::Sync { .. } => {}
        }
        if self.shared.away.is_none() {
            cx.arm(Timer::Queue(Alarm::SharedLocks), AGAIN_MS);
        }
    }
}

/// Puts the parties of the database into what is shown; what was counted of its locks is this supervisor's.
fn joined(mut here: LockStatusData, told: &LockTold) -> Data {
    let mut all: BTreeMap<&LockName, &Vec<LockParty>> =
        told.parties.iter().map(|(lock, parties)| (lock, parties)).collect();
    let split = |parties: &Vec<LockParty>| parties.iter().cloned().partition(|party| party.token.is_some());
    for lock in here.locks.iter_mut().filter(|lock| is_shared_lock(&lock.lock)) {
        (lock.holders, lock.waiters) = all.remove(&lock.lock).map(split).unwrap_or_default();
    }
    for (lock, parties) in all {
        let (holders, waiters) = split(parties);
        let lock = lock.clone();
        let (acquired, contended, broken, waits, longest_wait_ms) = (0, 0, 0, 0, 0);
        here.locks.push(Lock { lock, holders, waiters, acquired, contended, broken, waits, longest_wait_ms });
    }
    here.locks.sort_by(|one, other| one.lock.cmp(&other.lock));
    Data::LockStatus(here)
}

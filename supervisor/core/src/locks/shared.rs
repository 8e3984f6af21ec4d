//! Locks that several machines share: the database decides who is next, and the parties of this machine are in the table as those of
//! its own locks are.
//!
//! A change here is told to the database, and its answers are taken in the order of the questions. One that fails leaves the two apart until
//! they are compared: at each connection, and a little later.

use super::Locks;
use super::claims::Claim;
use super::requests::asking;
use super::table::{Asking, Wait};
use crate::chronicle::Question;
use crate::conns::Caller;
use crate::cx::Cx;
use crate::ids::ConnId;
use crate::lock_asks::{LockAsking, LockThen};
use crate::refusals;
use crate::timers::{Alarm, Timer};
use crate::underway::{Asker, Underway};
use alloc::boxed::Box;
use alloc::vec::Vec;
use gob_protocol::limits::{LOCK_CLAIM_MS, MAX_LOCK_PARTIES};
use gob_protocol::lock::ask::{LockAsk, LockEntry, is_shared_lock};
use gob_protocol::request::{LockAcquire, LockStatus};
use gob_protocol::{Actor, Data, Id, LockEnd, LockName, LockParty, Request, WireError};

/// Time limit of the answer to a request that only tries.
const TRY_MS: u64 = 6_000;

impl Locks {
    /// Takes a request about such locks; returns any other.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are about this machine's locks")]
    pub(super) fn shared_request(
        &mut self,
        caller: &Caller,
        request: Request,
        underway: &mut Underway,
        cx: &mut Cx,
    ) -> Option<Request> {
        match request {
            Request::LockAcquire(asked) if is_shared_lock(&asked.lock) => {
                self.acquire_shared(caller, *asked, underway, cx);
            }
            Request::LockStatus(asked) if self.shows(asked.lock.as_ref(), cx) => {
                self.show_shared(caller, asked, underway, cx);
            }
            Request::LockBreak(asked) if is_shared_lock(&asked.lock) => {
                let ask = LockAsk::Status { lock: Some(asked.lock.clone()) };
                match self.usable(&asked.lock, cx) {
                    Ok(()) => ask_for(caller, ask, LockThen::Judge(asked.lock), underway, cx),
                    Err(error) => cx.answer(caller, Err(error)),
                }
            }
            other => return Some(other),
        }
        None
    }

    /// Tells whether the database has a part in what is shown; that of all locks is shown without it where it is away.
    fn shows(&self, lock: Option<&LockName>, cx: &Cx) -> bool {
        match lock {
            Some(lock) => is_shared_lock(lock),
            None => cx.setup.settings.shared.is_some() && self.shared.away.is_none(),
        }
    }

    fn usable(&self, lock: &LockName, cx: &Cx) -> Result<(), Box<WireError>> {
        if cx.setup.settings.shared.is_none() {
            return Err(refusals::lock_without_database(lock));
        }
        self.shared.away.as_deref().map_or(Ok(()), |why| Err(refusals::shared_away(why)))
    }

    fn acquire_shared(&mut self, caller: &Caller, asked: LockAcquire, underway: &mut Underway, cx: &mut Cx) {
        let token = asked.token;
        let asking = asking(caller, asked, cx);
        if let Some(token) = token
            && self.renews(caller, &asking, token, cx)
        {
            return;
        }
        if let Err(error) = self.usable(&asking.lock, cx) {
            return cx.answer(caller, Err(error));
        }
        if self.table.waits.len() + self.shared.adopting.len() >= MAX_LOCK_PARTIES {
            return cx.answer(caller, Err(refusals::lock_busy("waiters")));
        }
        let number = self.table.next_number();
        let entry = Box::new(entry(number, &asking, cx));
        if let Some(token) = token {
            let lock = asking.lock.clone();
            self.shared.adopting.insert(number, Claim { token, asking });
            let then = LockThen::Adopt { number, token, lock };
            return ask_for(caller, LockAsk::Adopt { token, entry }, then, underway, cx);
        }
        let timeout_ms = asking.timeout_ms;
        let tries = timeout_ms == Some(0);
        if self.stand(number, asking, cx) {
            if let Some(ms) = timeout_ms {
                cx.arm(Timer::LockWait(number), if tries { TRY_MS } else { ms });
            }
            ask_for(caller, LockAsk::Enter { entry, tries }, LockThen::Enter(number), underway, cx);
        }
    }

    fn show_shared(&self, caller: &Caller, asked: LockStatus, underway: &mut Underway, cx: &mut Cx) {
        if let Some(Err(error)) = asked.lock.as_ref().map(|lock| self.usable(lock, cx)) {
            return cx.answer(caller, Err(error));
        }
        let here = Box::new(self.shown(&asked, cx));
        ask_for(caller, LockAsk::Status { lock: asked.lock }, LockThen::Show(here), underway, cx);
    }

    /// Takes a waiter out of its line, also in the database.
    pub(super) fn withdraw(&mut self, number: u64) -> Option<Wait> {
        let wait = self.table.leave(number)?;
        let lock = wait.asking.lock.clone();
        if is_shared_lock(&lock) {
            self.shared.owed.push(LockAsk::Leave { number, lock });
        }
        Some(wait)
    }

    /// A connection is gone: its claims are decided for nobody.
    pub(super) fn abandons(&mut self, conn: ConnId) {
        self.shared.adopting.retain(|_, claim| claim.asking.conn != conn);
    }

    /// The holders of a lock, as far as they are known here.
    pub(super) fn known_holders(&self, lock: &LockName, cx: &Cx) -> Vec<LockParty> {
        let told = self.shared.holders.get(lock).filter(|_| is_shared_lock(lock));
        told.cloned().unwrap_or_else(|| self.table.holders(lock, cx.now, &cx.setup.host))
    }

    /// Tells the database what it is owed. While it is away it need not hear: it is compared with the table when it is back.
    pub(crate) fn tell_database(&mut self, underway: &mut Underway, cx: &mut Cx) {
        for ask in core::mem::take(&mut self.shared.owed) {
            if self.shared.away.is_none() && cx.setup.settings.shared.is_some() {
                ask_own(ask, LockThen::Learn, underway, cx);
            }
        }
    }

    /// Another database is being connected with: questions wait for it.
    pub(crate) fn database_is_new(&mut self) {
        self.shared.away = None;
    }

    /// The database answers from now on.
    pub(crate) fn database_is_up(&mut self, underway: &mut Underway, cx: &mut Cx) {
        self.shared.away = None;
        self.compare(underway, cx);
    }

    /// Has the database hold what is held here, and nothing else. Soon after a start holders may still have to claim.
    pub(crate) fn compare(&self, underway: &mut Underway, cx: &mut Cx) {
        if self.shared.away.is_some() {
            return;
        }
        let shared = |lock: &LockName| is_shared_lock(lock);
        let holds: Vec<u64> = self
            .table
            .grants
            .iter()
            .filter(|(_, grant)| shared(&grant.asking.lock))
            .map(|(token, _)| *token)
            .collect();
        let waits: Vec<u64> = self
            .table
            .waits
            .iter()
            .filter(|(_, wait)| shared(&wait.asking.lock))
            .map(|(number, _)| *number)
            .collect();
        let spares = cx.uptime_ms() < LOCK_CLAIM_MS;
        if spares {
            cx.arm(Timer::Queue(Alarm::SharedLocks), LOCK_CLAIM_MS);
        }
        // A claim that is asked by now is decided before, and may be true.
        let claimed = self.shared.adopting.values().map(|claim| claim.token);
        let holds_or_claims = holds.iter().copied().chain(claimed).collect();
        let ask = LockAsk::Sync { holds: holds_or_claims, waits: waits.clone(), spares };
        ask_own(ask, LockThen::Sync { holds, waits }, underway, cx);
    }

    /// The database is away, for this reason. Nobody waits for it; and where what is held there is `lost`, nobody holds anything.
    pub(crate) fn database_is_away(&mut self, why: &str, lost: bool, cx: &mut Cx) {
        self.shared.away = Some(why.into());
        self.shared.holders.clear();
        let waits = self.table.waits.iter().filter(|(_, wait)| is_shared_lock(&wait.asking.lock));
        for number in waits.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.refuse_shared(number, refusals::shared_away(why), cx);
        }
        let grants = self.table.grants.iter().filter(|(_, grant)| lost && is_shared_lock(&grant.asking.lock));
        for token in grants.map(|(token, _)| *token).collect::<Vec<_>>() {
            self.end(token, LockEnd::Ttl, Actor::Supervisor, cx);
        }
    }

    pub(super) fn refuse_shared(&mut self, number: u64, error: Box<WireError>, cx: &mut Cx) {
        if let Some(Wait { asking: Asking { conn, id, .. }, .. }) = self.table.leave(number) {
            cx.timers.cancel(&Timer::LockWait(number));
            cx.reply(conn, id, Err(error));
        }
    }

    /// Other machines have changed these locks, or any.
    pub(crate) fn others_changed(
        &self,
        locks: &[LockName],
        is_all: bool,
        underway: &mut Underway,
        cx: &mut Cx,
    ) {
        let has_part = |lock: &&LockName| self.table.named.contains_key(*lock);
        let locks: Vec<LockName> = if is_all {
            self.table.named.keys().filter(|lock| is_shared_lock(lock)).cloned().collect()
        } else {
            locks.iter().filter(has_part).cloned().collect()
        };
        if !locks.is_empty() {
            ask_own(LockAsk::Look { locks }, LockThen::Learn, underway, cx);
        }
    }
}

pub(super) fn ask(ask: LockAsk, asking: LockAsking, underway: &mut Underway, cx: &mut Cx) {
    let effect = underway.asks(Asker::Lock(Box::new(asking)), Question::Lock(Box::new(ask)));
    cx.push(effect);
}

fn ask_own(asked: LockAsk, then: LockThen, underway: &mut Underway, cx: &mut Cx) {
    ask(asked, LockAsking::own(then), underway, cx);
}

fn ask_for(caller: &Caller, asked: LockAsk, then: LockThen, underway: &mut Underway, cx: &mut Cx) {
    let client = Some((caller.conn, caller.id.clone()));
    ask(asked, LockAsking { client, actor: caller.actor(), then }, underway, cx);
}

pub(super) fn answer(
    client: Option<(ConnId, Option<Id>)>,
    result: Result<Data, Box<WireError>>,
    cx: &mut Cx,
) {
    if let Some((conn, id)) = client {
        cx.reply(conn, id, result);
    }
}

/// The request as the database keeps it.
fn entry(number: u64, asking: &Asking, cx: &Cx) -> LockEntry {
    let party = LockParty { age_ms: 0, ..asking.party(cx.now, &cx.setup.host) };
    LockEntry { number, lock: asking.lock.clone(), party }
}

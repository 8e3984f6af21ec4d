//! Circles of parties that wait for each other. One is found when the request that would close it begins to wait.
//!
//! A connection is one party, and so is what it holds with what is waited for within its tokens. A waiter waits for the holders
//! that its mode does not go with, and for those before it in the line; each of them goes on once all that its connection
//! waits for is granted.

use super::table::{Asking, Table};
#[cfg(test)]
use alloc::collections::BTreeSet;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use gob_protocol::{LockLink, LockMode, LockName};

/// A lock's line, and the parts of it that were looked at already, so that a long one is walked once.
#[derive(Debug, Default)]
struct Looked {
    /// For each waiter, how many of those before it are in its way: up to the last exclusive one for one that is shared.
    before: BTreeMap<u64, usize>,
    line: usize,
    holders: bool,
}

/// The wait from which each one was found, and the party in its way.
type From<'a> = BTreeMap<u64, Option<(u64, &'a Asking)>>;

impl Table {
    /// The circle that a request has closed which was just put into its line. A party that takes again what it holds waits
    /// for itself, whatever the modes.
    pub(super) fn circle(&self, number: u64) -> Option<Vec<LockLink>> {
        let wait = self.waits.get(&number)?;
        let goal = &wait.parties;
        let held = goal.iter().filter_map(|conn| self.held.get(conn)).flatten();
        let held = held.filter_map(|token| self.grants.get(token)).map(|grant| &grant.asking);
        if let Some(again) = held.clone().find(|asking| asking.lock == wait.asking.lock) {
            return Some(Vec::from([link(&wait.asking.lock, again)]));
        }
        let own = self.waiting.get(&wait.asking.conn)?;
        if own.len() == 1 && !self.is_waited_for(number, held.map(|asking| &asking.lock)) {
            return None;
        }
        let mut looked = BTreeMap::new();
        let mut from: From<'_> = own.iter().map(|own| (*own, None)).collect();
        let mut next: VecDeque<u64> = own.iter().copied().collect();
        while let Some(at) = next.pop_front() {
            for blocker in self.blockers(at, &mut looked) {
                if goal.contains(&blocker.conn) {
                    return Some(path(&from, at, blocker, self));
                }
                for found in self.waiting.get(&blocker.conn).into_iter().flatten() {
                    from.entry(*found).or_insert_with(|| {
                        next.push_back(*found);
                        Some((at, blocker))
                    });
                }
            }
        }
        None
    }

    /// Tells whether another request may wait for the party of this one, which holds these locks.
    fn is_waited_for<'a>(&self, number: u64, mut held: impl Iterator<Item = &'a LockName>) -> bool {
        let Some(wait) = self.waits.get(&number) else { return false };
        let line = |lock: &LockName| self.named.get(lock).map(|named| &named.line);
        let is_last = line(&wait.asking.lock).is_some_and(|line| line.back() == Some(&number));
        let waits_elsewhere = wait
            .parties
            .iter()
            .filter_map(|conn| self.waiting.get(conn))
            .any(|waits| waits.iter().any(|other| *other != number));
        !is_last || waits_elsewhere || held.any(|lock| line(lock).is_some_and(|line| !line.is_empty()))
    }

    /// The parties in the way of a wait, but for those that were found before.
    fn blockers<'a>(&'a self, number: u64, looked: &mut BTreeMap<&'a LockName, Looked>) -> Vec<&'a Asking> {
        let Some(wait) = self.waits.get(&number) else { return Vec::new() };
        let Some(named) = self.named.get(&wait.asking.lock) else { return Vec::new() };
        let seen = looked.entry(&wait.asking.lock).or_insert_with(|| self.line_of(&wait.asking.lock));
        let until = seen.before.get(&number).copied().unwrap_or_default();
        let begin = seen.line.min(until);
        let mode = if until > 0 { LockMode::Exclusive } else { wait.asking.mode };
        let holders = named.holders.iter().filter(|_| !seen.holders);
        let holders = holders.filter_map(|token| self.grants.get(token)).map(|grant| &grant.asking);
        let line = named.line.iter().skip(begin).take(until - begin);
        let line = line.filter_map(|number| self.waits.get(number)).map(|wait| &wait.asking);
        let found = holders.filter(|holder| !holder.mode.goes_with(mode)).chain(line).collect();
        seen.line = seen.line.max(until);
        seen.holders |= mode == LockMode::Exclusive;
        found
    }

    /// A line of which nothing was looked at.
    fn line_of(&self, lock: &LockName) -> Looked {
        let mut looked = Looked::default();
        // A shared request waits for the last exclusive one before it, which waits for all before that.
        let mut exclusive = 0;
        for (place, number) in self.named.get(lock).into_iter().flat_map(|named| &named.line).enumerate() {
            let mode = self.waits.get(number).map(|wait| wait.asking.mode);
            let is_exclusive = mode == Some(LockMode::Exclusive);
            looked.before.insert(*number, if is_exclusive { place } else { exclusive });
            exclusive = if is_exclusive { place + 1 } else { exclusive };
        }
        looked
    }

    /// The connections that wait for each other without end; none, as long as each circle is found at its begin.
    #[cfg(test)]
    pub(super) fn stuck(&self) -> BTreeSet<u64> {
        let mut stuck: BTreeSet<u64> = self.waits.keys().copied().collect();
        // Each round, those go on in whose way are only parties that go on.
        loop {
            let is_stuck = |conn| self.waiting.get(&conn).is_some_and(|waits| !waits.is_disjoint(&stuck));
            let free = stuck.iter().copied().find(|number| {
                self.blockers(*number, &mut BTreeMap::new()).iter().all(|blocker| !is_stuck(blocker.conn))
            });
            let Some(free) = free else { return stuck };
            stuck.remove(&free);
        }
    }
}

fn link(lock: &LockName, of: &Asking) -> LockLink {
    LockLink { lock: lock.clone(), owner: of.who.owner.clone(), process: of.process.clone(), pid: of.who.pid }
}

/// The way from the first wait to the party that closes the circle.
fn path(from: &From<'_>, last: u64, closing: &Asking, table: &Table) -> Vec<LockLink> {
    let (mut links, mut at, mut blocker) = (Vec::new(), last, closing);
    loop {
        let lock = table.waits.get(&at).map(|wait| &wait.asking.lock);
        links.extend(lock.map(|lock| link(lock, blocker)));
        let Some(Some((before, other))) = from.get(&at) else { break };
        (at, blocker) = (*before, other);
    }
    links.reverse();
    links
}

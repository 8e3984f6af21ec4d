//! Named locks that several machines share: each question is one transaction, and one at a time in the whole database.
//!
//! A party is a row, a holder one with a token. Which waiter is next is decided by the rule of the supervisor's own locks
//! (`gob_protocol::lock::ask`). Whoever changes a line gives the lock to its head in the same transaction, whichever machine that is of.

use super::failure::Failure;
use super::lives::{NOW, supervisor_of};
use super::news::Notice;
use super::session::{Beside, Session};
use crate::jobs::sql::cells;
use crate::rows::unsigned;
use gob_protocol::lock::ask::{LockAsk, LockEntry, LockRow, LockTold, place};
use gob_protocol::{LockMode, LockName, LockParty, Owner};
use std::collections::BTreeSet;

/// The lock of each change of a line. It is taken after that of the queue.
const LINES: i64 = 0x676F_6273_0003;
/// Parties that a lock may have.
const MAX_PARTIES: i64 = 10_000;

/// Returns a number as the tables have it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns the lives of the machine of which `?1` is one.
const OURS: &str = "instance IN (
    SELECT l.instance FROM life l WHERE l.machine = (SELECT m.machine FROM life m WHERE m.instance = ?1))";

/// Answers a question of this life.
pub(super) fn answer(session: &Session<'_>, life: &str, ask: &LockAsk) -> Result<LockTold, Failure> {
    if let LockAsk::Status { lock } = ask {
        return Ok(LockTold { parties: parties(session, lock.as_ref())?, ..LockTold::default() });
    }
    if let LockAsk::Look { locks } = ask {
        return told(session, life, &locks.iter().cloned().collect(), false);
    }
    session.begin(Beside::Others)?;
    let done = in_transaction(session, life, ask);
    if done.is_err() {
        session.roll_back();
    }
    done
}

fn in_transaction(session: &Session<'_>, life: &str, ask: &LockAsk) -> Result<LockTold, Failure> {
    session.simple(&format!("SELECT pg_advisory_xact_lock({LINES})"))?;
    if session.rows("SELECT 1 FROM life WHERE instance = ?1 AND dead = 0", cells![life])?.is_empty() {
        return Err(Failure::Busy("this supervisor was not heard of for too long".to_owned()));
    }
    let mut touched = BTreeSet::new();
    let mut is_done = false;
    match ask {
        LockAsk::Enter { entry, .. } => {
            enter(session, life, entry)?;
            touched.insert(entry.lock.clone());
        }
        LockAsk::Leave { number, lock } => {
            let sql = format!("DELETE FROM lock_party WHERE number = ?2 AND lock = ?3 AND {OURS}");
            is_done = session.change(&sql, cells![life, signed(*number), lock.as_str()])? > 0;
            touched.insert(lock.clone());
        }
        LockAsk::End { token, lock } => {
            let sql = format!("DELETE FROM lock_party WHERE token = ?2 AND {OURS}");
            is_done = session.change(&sql, cells![life, signed(*token)])? > 0;
            touched.insert(lock.clone());
        }
        LockAsk::Adopt { token, entry } => {
            let sql = format!(
                "UPDATE lock_party SET instance = ?1, number = ?3, process = ?4, pid = ?5 WHERE token = ?2 AND lock = ?6 AND {OURS}"
            );
            let LockParty { process, pid, .. } = &entry.party;
            let values = cells![
                life,
                signed(*token),
                signed(entry.number),
                process.as_ref(),
                pid.map(i64::from),
                entry.lock.as_str()
            ];
            is_done = session.change(&sql, values)? > 0;
        }
        LockAsk::Break { lock, tokens } => {
            for token in tokens {
                let sql = "DELETE FROM lock_party WHERE token = ?1 AND lock = ?2";
                is_done |= session.change(sql, cells![signed(*token), lock.as_str()])? > 0;
            }
            touched.insert(lock.clone());
        }
        LockAsk::Sync { holds, waits, spares } => {
            touched = only(session, life, (holds, waits), *spares)?;
        }
        LockAsk::Look { .. } | LockAsk::Status { .. } => {}
    }
    let mut notice = Notice::of(life);
    for lock in &touched {
        advance(session, lock)?;
        notice.lock(lock);
    }
    let mut all = touched;
    if let LockAsk::Adopt { entry, .. } = ask {
        all.insert(entry.lock.clone());
    }
    let mut answer = told(session, life, &all, matches!(ask, LockAsk::Sync { .. }))?;
    answer.is_done = is_done;
    if let LockAsk::Enter { entry, tries: true } = ask {
        let waits = |row: &LockRow| row.number == entry.number && row.token.is_none();
        if answer.own.iter().any(waits) {
            // It passed nobody.
            let sql = "UPDATE lock_party SET passed = passed - 1 WHERE lock = ?3 AND token IS NULL
                AND pos > (SELECT pos FROM lock_party WHERE instance = ?1 AND number = ?2 AND lock = ?3)";
            session.change(sql, cells![life, signed(entry.number), entry.lock.as_str()])?;
            let sql = "DELETE FROM lock_party WHERE instance = ?1 AND number = ?2 AND lock = ?3";
            session.change(sql, cells![life, signed(entry.number), entry.lock.as_str()])?;
            notice = Notice::of(life);
        }
    }
    session.simple(&format!("{}COMMIT", notice.statement()))?;
    Ok(answer)
}

/// Puts a request into its line.
fn enter(session: &Session<'_>, life: &str, entry: &LockEntry) -> Result<(), Failure> {
    let LockEntry { number, lock, party } = entry;
    let sql = "SELECT pos, priority, passed FROM lock_party WHERE lock = ?1 AND token IS NULL ORDER BY pos LIMIT ?2";
    let rows = session.rows(sql, cells![lock.as_str(), MAX_PARTIES])?;
    let mut line = Vec::with_capacity(rows.len());
    for row in rows {
        let (pos, priority, passed): (i64, i64, i64) = (row.sure(0)?, row.sure(1)?, row.sure(2)?);
        let priority = i32::try_from(priority).unwrap_or_default();
        line.push((pos, (priority, u32::try_from(passed).unwrap_or(u32::MAX))));
    }
    if i64::try_from(line.len()).is_ok_and(|len| len >= MAX_PARTIES) {
        return Err(Failure::Busy(format!("there are too many waiters for {lock}")));
    }
    let at = place(line.iter().map(|(_, waiter)| *waiter), party.priority);
    let pos = match line.get(at) {
        Some((pos, _)) => {
            let sql = "UPDATE lock_party SET pos = pos + 1, passed = passed + 1 WHERE lock = ?1 AND token IS NULL AND pos >= ?2";
            session.change(sql, cells![lock.as_str(), *pos])?;
            *pos
        }
        None => line.last().map_or(0, |(pos, _)| pos + 1),
    };
    let sql = format!(
        "INSERT INTO lock_party(lock, instance, number, pos, exclusive, priority, process, pid, host, owner, since)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, {NOW})"
    );
    let exclusive = i64::from(party.mode == LockMode::Exclusive);
    let values = cells![
        lock.as_str(),
        life,
        signed(*number),
        pos,
        exclusive,
        i64::from(party.priority),
        party.process.as_ref(),
        party.pid.map(i64::from),
        &party.host,
        party.owner.as_str()
    ];
    session.change(&sql, values).map(drop)
}

/// Gives a lock to the waiters that are next, as far as they go with its holders.
pub(super) fn advance(session: &Session<'_>, lock: &LockName) -> Result<(), Failure> {
    loop {
        let sql = "UPDATE lock_party SET token = nextval('lock_token'), since = (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT
             WHERE id = (SELECT id FROM lock_party WHERE lock = ?1 AND token IS NULL ORDER BY pos LIMIT 1)
             AND NOT EXISTS (SELECT 1 FROM lock_party h WHERE h.lock = ?1 AND h.token IS NOT NULL
                             AND (h.exclusive = 1 OR lock_party.exclusive = 1))";
        if session.change(sql, cells![lock.as_str()])? == 0 {
            return Ok(());
        }
    }
}

/// Takes back what this machine held or waited for, but for this, and has the present life hold the rest. Returns the locks of which
/// something was taken back.
fn only(
    session: &Session<'_>,
    life: &str,
    (holds, waits): (&[u64], &[u64]),
    spares: bool,
) -> Result<BTreeSet<LockName>, Failure> {
    let sql = format!("SELECT id, lock, instance, number, token FROM lock_party WHERE {OURS} ORDER BY id");
    let mut touched = BTreeSet::new();
    for row in session.rows(&sql, cells![life])? {
        let (id, lock, instance): (i64, String, String) = (row.sure(0)?, row.sure(1)?, row.sure(2)?);
        let number = unsigned(row.sure(3)?);
        let is_own = supervisor_of(&instance) == supervisor_of(life);
        let stays = match row.get::<i64>(4).map(unsigned) {
            Some(token) => holds.contains(&token) || (is_own && waits.contains(&number)),
            None => is_own && waits.contains(&number),
        };
        if stays {
            session.change("UPDATE lock_party SET instance = ?1 WHERE id = ?2", cells![life, id])?;
        } else if is_own || !spares || row.get::<i64>(4).is_none() {
            session.change("DELETE FROM lock_party WHERE id = ?1", cells![id])?;
            touched.extend(LockName::new(&lock).ok());
        }
    }
    Ok(touched)
}

/// Gives up what dead lives held and waited for.
pub(super) fn bury(session: &Session<'_>, notice: &mut Notice) -> Result<(), Failure> {
    session.simple(&format!("SELECT pg_advisory_xact_lock({LINES})"))?;
    let sql = "DELETE FROM lock_party USING life
         WHERE life.instance = lock_party.instance AND life.dead = 1 RETURNING lock_party.lock";
    let rows = session.rows(sql, &[])?;
    let locks: BTreeSet<_> =
        rows.iter().filter_map(|row| LockName::new(&row.get::<String>(0)?).ok()).collect();
    for lock in &locks {
        advance(session, lock)?;
        notice.lock(lock);
    }
    Ok(())
}

/// Tells of these locks, and where it is `all`, of each of which this life has a part.
fn told(
    session: &Session<'_>,
    life: &str,
    locks: &BTreeSet<LockName>,
    all: bool,
) -> Result<LockTold, Failure> {
    let mut answer = LockTold::default();
    // What an earlier life of this supervisor has is its own until the two are compared.
    let sql = format!("SELECT lock, number, token, instance FROM lock_party WHERE {OURS} ORDER BY id");
    for row in session.rows(&sql, cells![life])? {
        let Ok(lock) = LockName::new(&row.sure::<String>(0)?) else { continue };
        let is_own = supervisor_of(&row.sure::<String>(3)?) == supervisor_of(life);
        if is_own && (all || locks.contains(&lock)) {
            let token = row.get::<i64>(2).map(unsigned);
            answer.own.push(LockRow { lock, number: unsigned(row.sure(1)?), token });
        }
    }
    for lock in locks {
        let found = parties(session, Some(lock))?.pop();
        answer.parties.push((lock.clone(), found.map(|(_, parties)| parties).unwrap_or_default()));
    }
    Ok(answer)
}

/// Returns the parties of a lock, or of all: holders first, then the line.
fn parties(
    session: &Session<'_>,
    lock: Option<&LockName>,
) -> Result<Vec<(LockName, Vec<LockParty>)>, Failure> {
    let sql = format!(
        "SELECT lock, token, exclusive, priority, process, pid, host, owner, greatest({NOW} - since, 0) FROM lock_party
         WHERE lock = coalesce(?1, lock) ORDER BY lock, token NULLS LAST, pos LIMIT ?2"
    );
    let of = lock.map(|lock| lock.as_str().to_owned());
    let mut all: Vec<(LockName, Vec<LockParty>)> = Vec::new();
    for row in session.rows(&sql, cells![of.as_ref(), MAX_PARTIES])? {
        let (name, exclusive, priority): (String, i64, i64) = (row.sure(0)?, row.sure(2)?, row.sure(3)?);
        let (Ok(name), Ok(owner)) = (LockName::new(&name), Owner::new(&row.sure::<String>(7)?)) else {
            continue;
        };
        let party = LockParty {
            process: row.get(4),
            pid: row.get::<i64>(5).and_then(|pid| i32::try_from(pid).ok()),
            host: row.sure(6)?,
            owner,
            mode: if exclusive == 1 { LockMode::Exclusive } else { LockMode::Shared },
            priority: i32::try_from(priority).unwrap_or_default(),
            age_ms: unsigned(row.sure(8)?),
            token: row.get::<i64>(1).map(unsigned),
            expires_at: None,
        };
        match all.last_mut().filter(|(last, _)| *last == name) {
            Some((_, parties)) => parties.push(party),
            None => all.push((name, vec![party])),
        }
    }
    Ok(all)
}

/// Leaves all lines, at the end of a life.
pub(super) fn leave(session: &Session<'_>, life: &str) -> Result<(), Failure> {
    session.begin(Beside::Others)?;
    let left = || -> Result<Notice, Failure> {
        session.simple(&format!("SELECT pg_advisory_xact_lock({LINES})"))?;
        let sql = "DELETE FROM lock_party WHERE instance = ?1 AND token IS NULL RETURNING lock";
        let rows = session.rows(sql, cells![life])?;
        let locks: BTreeSet<_> =
            rows.iter().filter_map(|row| LockName::new(&row.get::<String>(0)?).ok()).collect();
        let mut notice = Notice::of(life);
        for lock in &locks {
            advance(session, lock)?;
            notice.lock(lock);
        }
        Ok(notice)
    };
    let done = left().and_then(|notice| session.simple(&format!("{}COMMIT", notice.statement())).map(drop));
    if done.is_err() {
        session.roll_back();
    }
    done
}

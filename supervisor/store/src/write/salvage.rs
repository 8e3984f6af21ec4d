//! A damaged store: moved aside, and what can be read of it is kept.

use super::create;
use super::open::{Place, now_ms};
use super::records;
use super::told::Notice;
use crate::error::StoreError;
use crate::files::{COMPANIONS, DAMAGED, FILE, JOURNAL, beside, examine, uri};
use crate::rows;
use gob_protocol::{Name, Timestamp};
use rusqlite::{Connection, OpenFlags, Row, params};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Damaged stores that are kept; the oldest goes first.
const KEPT_ASIDE: usize = 3;
/// Time limit of reading a damaged store.
const READING: Duration = Duration::from_secs(30);

/// Rows that were read from a damaged store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Definitions of jobs.
    pub definitions: u64,
    /// Runs.
    pub runs: u64,
    /// Changes.
    pub entries: u64,
    /// Jobs of the queue.
    pub queued: u64,
    /// Schedules.
    pub schedules: u64,
    /// Every page of these could be read.
    pub is_whole: bool,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { definitions, runs, entries, queued, schedules, is_whole } = self;
        if queued + schedules > 0 {
            write!(f, "{queued} jobs of the queue, {schedules} schedules, ")?;
        }
        write!(f, "{definitions} jobs, {runs} runs and {entries} changes of it were kept")?;
        f.write_str(if *is_whole { "" } else { "; the rest can't be read" })
    }
}

/// Puts a new store in the place of a damaged one, with the rows that can be read.
///
/// The new one is whole before the damaged one is moved, and numbers of jobs go on above all that is found.
pub(super) fn replace(place: &Place, why: String) -> Result<Notice, StoreError> {
    let kept = create::make(place, |new| {
        let mut kept = Kept::default();
        if let Some(damaged) = open_damaged(&place.path) {
            kept = rescue(&damaged, new).map_err(|e| StoreError::of(&place.path, e))?;
        }
        records::raise_job(new, place.floor).map_err(|e| StoreError::of(&place.path, e))?;
        Ok(kept)
    })?;
    let aside = move_aside(&place.path)?;
    create::put_in_place(&place.path)?;
    forget_oldest(&place.path);
    Ok(Notice::Damaged { aside, why, kept })
}

/// Opens a damaged store for reading: with its log, else without it.
fn open_damaged(path: &Path) -> Option<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    ["?mode=ro", "?mode=ro&immutable=1"].into_iter().find_map(|query| {
        let db = Connection::open_with_flags(uri(path, query), flags).ok()?;
        // Otherwise a file that is shorter than it says is not read at all.
        db.execute_batch("PRAGMA writable_schema=ON").ok()?;
        let readable = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
        readable.is_ok_and(|objects| objects > 0).then_some(db)
    })
}

/// Moves a store and its log to a name that tells the time, and returns that; the index of the log is of no
/// use without them and goes.
pub(super) fn move_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let time = Timestamp(now_ms()).to_string();
    let time: String = time.chars().filter(char::is_ascii_digit).collect();
    let names = (1..1000).map(|number| match number {
        1 => beside(path, &format!("{DAMAGED}{time}")),
        _ => beside(path, &format!("{DAMAGED}{time}-{number}")),
    });
    let [log, index] = COMPANIONS;
    let is_free = |name: &PathBuf| {
        fs::symlink_metadata(name).is_err() && fs::symlink_metadata(beside(name, log)).is_err()
    };
    let aside = names.into_iter().find(is_free).unwrap_or_else(|| beside(path, DAMAGED));
    for suffix in ["", log, JOURNAL] {
        match fs::rename(beside(path, suffix), beside(&aside, suffix)) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(StoreError::io("move aside", &beside(path, suffix))(e)),
        }
        if let Ok(Some(held)) = examine(&beside(&aside, suffix)) {
            held.make_private().map_err(StoreError::io("change the rights of", &aside))?;
        }
    }
    create::remove(&beside(path, index))?;
    Ok(aside)
}

/// Removes the oldest of the damaged stores.
fn forget_oldest(path: &Path) {
    let Some(Ok(found)) = path.parent().map(fs::read_dir) else { return };
    let prefix = format!("{FILE}{DAMAGED}");
    let names = found.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let stem = |name: String| {
        let [log, _] = COMPANIONS;
        let name = name.strip_prefix(&prefix)?;
        Some(name.strip_suffix(log).or_else(|| name.strip_suffix(JOURNAL)).unwrap_or(name).to_owned())
    };
    let stems: BTreeSet<String> = names.filter_map(stem).collect();
    let old = stems.len().saturating_sub(KEPT_ASIDE);
    for stem in stems.into_iter().take(old) {
        let aside = beside(path, &format!("{DAMAGED}{stem}"));
        for suffix in ["", COMPANIONS[0], JOURNAL] {
            // One that stays is tried again after the next damage.
            drop(fs::remove_file(beside(&aside, suffix)));
        }
    }
}

/// A table of a damaged store: its rows from both ends up to a page that can't be read.
pub(super) struct Table {
    pub(super) columns: String,
    pub(super) table: &'static str,
    pub(super) key: &'static [&'static str],
}

impl Table {
    /// Calls `keep` for each row; returns whether all could be read.
    pub(super) fn walk(
        &self,
        from: &Connection,
        until: Instant,
        mut keep: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<bool> {
        for direction in ["ASC", "DESC"] {
            let order: Vec<_> = self.key.iter().map(|column| format!("{column} {direction}")).collect();
            let sql = format!("SELECT {} FROM {} ORDER BY {}", self.columns, self.table, order.join(", "));
            let Ok(mut select) = from.prepare(&sql) else { continue };
            let Ok(mut rows) = select.query([]) else { continue };
            loop {
                match rows.next() {
                    Ok(Some(row)) if Instant::now() < until => keep(row)?,
                    Ok(None) => return Ok(true),
                    Ok(Some(_)) | Err(_) => break,
                }
            }
        }
        Ok(false)
    }
}

/// Copies all rows that can be read and understood.
fn rescue(from: &Connection, to: &Connection) -> rusqlite::Result<Kept> {
    let until = Instant::now() + READING;
    let table = |table, key, columns: &str| Table { columns: columns.to_owned(), table, key };
    let mut kept = Kept::default();
    let text =
        |row: &Row<'_>, at: usize| row.get::<_, String>(at).ok().and_then(|name| Name::any(&name).ok());
    let number = |row: &Row<'_>, at: usize| row.get::<_, i64>(at).ok();
    let counters = table("counter", &["name"], "name, next").walk(from, until, |row| {
        let (Ok(name), Some(next)) = (row.get::<_, String>(0), number(row, 1)) else { return Ok(()) };
        records::raise(to, &name, rows::unsigned(next).saturating_sub(1))
    })?;
    let lives = table("life", &["id"], "id, instance, began_at, lost_seq").walk(from, until, |row| {
        let (Some(id), Ok(instance)) = (number(row, 0), row.get::<_, String>(1)) else { return Ok(()) };
        let (began_at, lost) = (number(row, 2).unwrap_or_default(), number(row, 3).unwrap_or(i64::MAX));
        let sql = "INSERT OR IGNORE INTO life(id, instance, began_at, lost_seq) VALUES (?1, ?2, ?3, ?4)";
        to.execute(sql, params![id, instance, began_at, lost]).map(drop)
    })?;
    let workers = table("worker", &["name"], "name, last_run").walk(from, until, |row| {
        let (Some(name), Some(run)) = (text(row, 0), number(row, 1)) else { return Ok(()) };
        records::raise_run(to, &name, rows::unsigned(run))
    })?;
    let definitions = table("definition", &["rowid"], rows::DEFINITION).walk(from, until, |row| {
        let Some(definition) = rows::definition(row) else { return Ok(()) };
        // Two of one number are damage, too.
        kept.definitions += u64::from(records::put_definition(to, &definition).is_ok());
        Ok(())
    })?;
    let columns = format!("name, life, {}", rows::RUN);
    let runs = table("run", &["name", "run"], &columns).walk(from, until, |row| {
        let (Some(name), Some(life), Some(run)) = (text(row, 0), number(row, 1), rows::run(row, 2)) else {
            return Ok(());
        };
        kept.runs += 1;
        records::put_run(to, life, &name, &run)?;
        records::number_of(&name).map_or(Ok(()), |number| records::raise_job(to, number))
    })?;
    let columns = format!("life, {}", rows::ENTRY);
    let entries = table("entry", &["life", "seq"], &columns).walk(from, until, |row| {
        let (Some(life), Some(entry)) = (number(row, 0), rows::entry(row, 1)) else { return Ok(()) };
        kept.entries += 1;
        records::put_entry(to, life, &entry)
    })?;
    let queue = super::rescue::rescue(from, to, until)?;
    (kept.queued, kept.schedules) = (queue.jobs, queue.schedules);
    kept.is_whole = counters && lives && workers && definitions && runs && entries && queue.is_whole;
    if !(lives && entries) {
        mark_gaps(to)?;
    }
    Ok(kept)
}

/// Gives rows of unknown lives one, so that no later life gets their number, and marks that changes are lost.
fn mark_gaps(to: &Connection) -> rusqlite::Result<()> {
    to.execute_batch(
        "INSERT OR IGNORE INTO life(id, instance, began_at)
         SELECT life, 'lost-' || life, 0 FROM (SELECT life FROM run UNION SELECT life FROM entry);
         UPDATE life SET lost_seq = 9223372036854775807;",
    )
}

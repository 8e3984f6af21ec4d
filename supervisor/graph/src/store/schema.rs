//! Tables, their migrations, and how connections are set up.
//!
//! `user_version` is the version of the format, `application_id` marks the file as a graph of gob. A client's
//! SQL should use the views `nodes` and `edges`; the tables below them may change with the format.

use super::held::Place;
use super::place::{self, COMPANIONS, Examined, beside};
use super::{StoreError, Synchronous, create};
use crate::limits::BUSY_TIMEOUT;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::path::Path;

/// `gobg` in ASCII.
const APPLICATION_ID: i64 = 0x676F_6267;

/// SQLite's code for a file that is no database.
const NOT_A_DATABASE: i32 = 26;
/// Bytes of marks at the beginning of a database.
const HEADER_BYTES: usize = 100;

/// One step per version; the position in the list is the version that it starts from. Steps are never
/// changed.
const MIGRATIONS: &[&str] = &[r#"
CREATE TABLE node (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    label TEXT,
    properties TEXT NOT NULL
) STRICT;
CREATE TABLE edge (
    source INTEGER NOT NULL REFERENCES node(key),
    type TEXT NOT NULL,
    target INTEGER NOT NULL REFERENCES node(key),
    properties TEXT NOT NULL,
    PRIMARY KEY (source, type, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_target ON edge(target, type, source);
CREATE VIRTUAL TABLE node_text USING fts5(
    id, label, text, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2'
);
CREATE VIEW nodes(id, label, properties) AS SELECT id, label, properties FROM node;
CREATE VIEW edges(source, target, type, properties) AS
    SELECT s.id, t.id, e.type, e.properties
    FROM edge e JOIN node s ON s.key = e.source JOIN node t ON t.key = e.target;
"#];

/// Page cache of the writer, 16 MiB.
pub(super) const WRITER_CACHE: &str = "PRAGMA cache_size=-16384";
/// The index that a large import drops and makes again.
pub(super) const MAKE_EDGE_TARGET: &str = "CREATE INDEX edge_target ON edge(target, type, source)";

/// Opens the connection that writes, making or migrating the file, and holds the opened files.
pub(super) fn open_writer(path: &Path, synchronous: Synchronous) -> Result<(Connection, Place), StoreError> {
    for suffix in COMPANIONS.iter().chain(&["-journal"]) {
        place::examine(&beside(path, suffix))?;
    }
    let sqlite = |source: rusqlite::Error| of_sqlite(path, source);
    if place::examine(path)?.is_none() {
        create::create(path)?;
    }
    let io = |source| StoreError::Io { path: path.to_owned(), source };
    let Some(examined) = place::examine(path)? else { return Err(io(io::ErrorKind::NotFound.into())) };
    refuse_unless_graph(&examined, path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut writer = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    let found = examine(&writer, path, sqlite)?;
    // The file is known to be a graph now. SQLite gives its log and shared memory the mode of the file.
    examined.make_private().map_err(io)?;
    set_up_writer(&writer, synchronous).and_then(|()| migrate(&mut writer, found)).map_err(sqlite)?;
    writer.query_row("SELECT count(*) FROM node WHERE key = 0", [], |_| Ok(())).map_err(sqlite)?;
    for suffix in COMPANIONS {
        if let Some(companion) = place::examine(&beside(path, suffix))? {
            companion.make_private().map_err(io)?;
        }
    }
    let place = Place::hold(path, examined)?;
    // SQLite opened the path a moment after it was examined.
    place.check().map_err(|gone| StoreError::Moved(gone.to_string()))?;
    Ok((writer, place))
}

/// Adds the file's path to an error of SQLite.
pub(super) fn of_sqlite(path: &Path, source: rusqlite::Error) -> StoreError {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::Damaged { path: path.to_owned(), source }
        }
        Some(_) | None => StoreError::Sqlite { path: path.to_owned(), source },
    }
}

/// Refuses a file whose first bytes show that it is no graph, before SQLite opens it: SQLite would merge the
/// log of any database.
fn refuse_unless_graph(examined: &Examined, path: &Path) -> Result<(), StoreError> {
    if examined.len() == 0 {
        return Err(StoreError::Empty(path.to_owned()));
    }
    let mut header = [0; HEADER_BYTES];
    let read = examined.open(OpenOptions::new().read(true)).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => header = [0; HEADER_BYTES],
        Err(source) => return Err(StoreError::Io { path: path.to_owned(), source }),
    }
    if !header.starts_with(b"SQLite format 3\0") {
        let source = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(NOT_A_DATABASE), None);
        return Err(of_sqlite(path, source));
    }
    let number = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
        i64::from(u32::from_be_bytes(bytes))
    };
    let (version, application) = (number(60), number(68));
    // A graph whose making was cut off in an earlier version has both marks in its log alone.
    if application != APPLICATION_ID && (application, version) != (0, 0) {
        return Err(refusal(path, version, application).unwrap_or(StoreError::Foreign(path.to_owned())));
    }
    Ok(())
}

/// Opens a connection that reads.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(path, flags)?;
    reader.busy_timeout(BUSY_TIMEOUT)?;
    reader.execute_batch("PRAGMA query_only=ON; PRAGMA cache_size=-8192; PRAGMA trusted_schema=OFF")?;
    reader.set_prepared_statement_cache_capacity(32);
    Ok(reader)
}

/// Reads the file's version; writes nothing before the file is known to be a graph.
fn examine(
    writer: &Connection,
    path: &Path,
    sqlite: impl Fn(rusqlite::Error) -> StoreError,
) -> Result<usize, StoreError> {
    writer.busy_timeout(BUSY_TIMEOUT).map_err(&sqlite)?;
    let ask = |sql: &str| writer.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(&sqlite);
    let objects = ask("SELECT count(*) FROM sqlite_schema")?;
    let version = ask("PRAGMA user_version")?;
    let application = ask("PRAGMA application_id")?;
    let new = objects == 0 && version == 0 && application == 0;
    if !new && let Some(refused) = refusal(path, version, application) {
        return Err(refused);
    }
    Ok(usize::try_from(version).unwrap_or_default())
}

/// Returns the reason why a file with these marks is not served, if there is one.
fn refusal(path: &Path, version: i64, application: i64) -> Option<StoreError> {
    if application != APPLICATION_ID {
        return Some(StoreError::Foreign(path.to_owned()));
    }
    match usize::try_from(version) {
        Ok(known) if known <= MIGRATIONS.len() => None,
        Ok(_) | Err(_) => {
            let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
            Some(StoreError::Newer { path: path.to_owned(), found: version, known })
        }
    }
}

fn set_up_writer(writer: &Connection, synchronous: Synchronous) -> rusqlite::Result<()> {
    let synchronous = match synchronous {
        Synchronous::Normal => "NORMAL",
        Synchronous::Full => "FULL",
    };
    writer.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
    // The log is cut back to 64 MiB after a large import.
    writer.execute_batch(&format!(
        "PRAGMA synchronous={synchronous}; PRAGMA foreign_keys=ON; {WRITER_CACHE};
         PRAGMA journal_size_limit=67108864; PRAGMA trusted_schema=OFF;"
    ))?;
    // `writing` merges the log, between two checks of both files.
    writer.query_row("PRAGMA wal_autocheckpoint=0", [], |_| Ok(()))?;
    writer.set_prepared_statement_cache_capacity(32);
    Ok(())
}

pub(super) fn migrate(writer: &mut Connection, found: usize) -> rusqlite::Result<()> {
    for (from, step) in MIGRATIONS.iter().enumerate().skip(found) {
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.execute_batch(&format!(
            "PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={};",
            from + 1
        ))?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_graph_is_made_once_and_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("graph.sqlite");
        for _ in 0..2 {
            let (writer, _place) = open_writer(&path, Synchronous::Normal).unwrap();
            writer.execute("INSERT INTO node(id, properties) VALUES (random(), '{}')", []).unwrap();
        }
        let reader = open_reader(&path).unwrap();
        let nodes: i64 = reader.query_row("SELECT count(*) FROM nodes", [], |row| row.get(0)).unwrap();
        assert_eq!(nodes, 2);
        assert!(reader.execute("DELETE FROM node", []).is_err());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_no_graph_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("graph.sqlite");
        let said = || open_writer(&path, Synchronous::Normal).unwrap_err();
        std::fs::write(&path, "not a database, whatever it may be called").unwrap();
        assert!(matches!(said(), StoreError::Damaged { .. }));
        std::fs::remove_file(&path).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE mine(x)").unwrap();
        assert!(matches!(said(), StoreError::Foreign(_)));
        other
            .execute_batch("DROP TABLE mine; PRAGMA application_id=0x676F6267; PRAGMA user_version=99")
            .unwrap();
        assert!(matches!(said(), StoreError::Newer { found: 99, .. }));
    }
}

//! Connections for a client's own SQL: they read this one graph and nothing else.
//!
//! Three walls, each enough by itself for the file: it is opened read-only, `query_only` is on, and an
//! authorizer allows only reading. The authorizer also refuses statements that don't write: `ATTACH`,
//! `PRAGMA`, transactions, temporary tables, loading extensions.

use super::schema;
use crate::limits::{MAX_QUERY_BYTES, MAX_VALUE_BYTES};
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use std::path::Path;

/// Opens a connection for a client's own SQL. The memory bound is the one of the whole process.
pub(crate) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = schema::open_reader(path)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
    // Sorted rows stay in memory, so that no query fills a disk.
    connection.execute_batch("PRAGMA temp_store=MEMORY")?;
    connection.query_row(&format!("PRAGMA hard_heap_limit={MAX_QUERY_BYTES}"), [], |_| Ok(()))?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    // A worker thread would run on after the statement was interrupted.
    connection.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)?;
    connection.authorizer(Some(allow))?;
    Ok(connection)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is not known to be a read is denied")]
fn allow(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Function { function_name } if !function_name.eq_ignore_ascii_case("load_extension") => {
            Authorization::Allow
        }
        // The full-text index needs this pragma itself.
        AuthAction::Pragma { pragma_name: "data_version", .. } => Authorization::Allow,
        _ => Authorization::Deny,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Synchronous;

    #[test]
    fn only_reads_are_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("graph.sqlite");
        let (writer, _place) = schema::open_writer(&path, Synchronous::Normal).unwrap();
        writer.execute("INSERT INTO node(id, properties) VALUES ('a', '{\"x\":1}')", []).unwrap();
        writer.execute("INSERT INTO node_text(rowid, id) VALUES (1, 'a')", []).unwrap();
        let sandbox = open(&path).unwrap();
        let one = |sql: &str| sandbox.query_row(sql, [], |row| row.get::<_, i64>(0));
        assert_eq!(one("SELECT properties ->> 'x' FROM nodes").unwrap(), 1);
        assert_eq!(one("SELECT rowid FROM node_text WHERE node_text MATCH 'a'").unwrap(), 1);
        assert_eq!(
            one("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 9) SELECT max(i) FROM n")
                .unwrap(),
            9
        );
        for bad in [
            "INSERT INTO node(id, properties) VALUES ('b', '{}')",
            "DELETE FROM node",
            "UPDATE nodes SET label = 'x'",
            "DROP TABLE node",
            "CREATE TEMP TABLE t(x)",
            "CREATE TEMP VIEW v AS SELECT 1",
            "ATTACH ':memory:' AS other",
            "ATTACH '' AS other",
            "VACUUM INTO '/dev/null'",
            "PRAGMA query_only=OFF",
            "PRAGMA user_version",
            "SELECT * FROM pragma_table_info('node')",
            "BEGIN",
            "SAVEPOINT s",
            "REINDEX",
            "ANALYZE",
            "SELECT load_extension('x')",
            "INSERT INTO node_text(node_text) VALUES ('rebuild')",
            "SELECT 1; DELETE FROM node",
            "SELECT writefile('x', 'y')",
        ] {
            assert!(sandbox.prepare(bad).and_then(|mut s| s.query([])?.next().map(drop)).is_err(), "{bad}");
        }
        assert!(sandbox.is_autocommit());
    }
}

//! `stats`: the size of the graph.

use super::{Context, Refusal};
use crate::limits::{MAX_STATS_NAMES, READ_DEADLINE};
use crate::store::Reading;
use rusqlite::Connection;
use serde::Serialize;
use std::fs;
use std::path::Path;

#[derive(Serialize)]
struct Stats {
    nodes: i64,
    edges: i64,
    file_bytes: u64,
    wal_bytes: u64,
    /// The most frequent ones; null counts nodes without a label.
    labels: Vec<Frequency>,
    types: Vec<Frequency>,
    /// The graph has more labels or types than are listed.
    truncated: bool,
}

#[derive(Serialize)]
struct Frequency {
    name: Option<String>,
    count: i64,
}

/// Answers `stats`.
pub(super) fn stats(context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    let store = &context.shared.store;
    let mut reader = store.reader(Reading::Long)?;
    let stats = context.cancel(READ_DEADLINE).guard(&mut reader, |reader| {
        let transaction = reader.transaction()?;
        let (labels, more_labels) = frequencies(&transaction, "label", "node")?;
        let (types, more_types) = frequencies(&transaction, "type", "edge")?;
        let count = |table: &str| {
            transaction.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))
        };
        Ok(Stats {
            nodes: count("node")?,
            edges: count("edge")?,
            file_bytes: size(store.path()),
            wal_bytes: size(&store.path().with_extension("sqlite-wal")),
            labels,
            types,
            truncated: more_labels || more_types,
        })
    })?;
    drop(reader);
    context.data(&stats)
}

fn frequencies(db: &Connection, column: &str, table: &str) -> Result<(Vec<Frequency>, bool), Refusal> {
    let sql = format!(
        "SELECT {column}, count(*) AS n FROM {table} GROUP BY 1 ORDER BY n DESC, 1 LIMIT {}",
        MAX_STATS_NAMES + 1
    );
    let mut statement = db.prepare(&sql)?;
    let rows = statement.query_map([], |row| Ok(Frequency { name: row.get(0)?, count: row.get(1)? }))?;
    let mut names = rows.collect::<Result<Vec<_>, _>>()?;
    let more = names.len() > MAX_STATS_NAMES;
    names.truncate(MAX_STATS_NAMES);
    Ok((names, more))
}

/// Returns the size of a file; 0 where there is none.
fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

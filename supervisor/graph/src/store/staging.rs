//! A file that gathers the lines of one import until all have come.
//!
//! An import may take minutes and may break off at any line, so its lines go to a database file of their own,
//! seen by this import alone: readers and writers of the graph go on meanwhile, a client that dies leaves
//! nothing, and memory stays constant. At the end all rows move into the graph in one transaction, sorted,
//! which is also the fastest way in. The file is removed when the import is dropped, or at the next start
//! after a kill.

use super::schema;
use super::write::{Counts, MissingEnd, Writer};
use crate::input::{Edge, Node};
use crate::log;
use crate::requests::Refusal;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const PREFIX: &str = "import-";
const SUFFIX: &str = ".tmp";
/// Page cache of the writer while it imports; the sorter takes as much again before it spills to a file.
const IMPORT_CACHE: &str = "PRAGMA cache_size=-65536";
/// Edges of an import below which the index is kept up edge by edge.
const BULK_EDGES: u64 = 10_000;
/// Rows between two reports of progress.
const REPORT_ROWS: u64 = 4096;

/// The phase of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Putting nodes.
    Nodes,
    /// Finding the ends of edges and sorting.
    Sort,
    /// Putting edges.
    Edges,
    /// Making the index again.
    Index,
}

/// The reason why the lines were not put.
#[derive(Debug)]
pub(crate) enum ApplyError {
    /// An edge names a node that is neither in the graph nor among the lines.
    Missing {
        /// The edge's line.
        line: u64,
        /// The missing end.
        end: MissingEnd,
        /// The node's id.
        node: String,
    },
    /// SQLite failed.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for ApplyError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The lines of one import.
#[derive(Debug)]
pub(crate) struct Staging {
    /// Closed before the file is attached elsewhere.
    connection: Option<Connection>,
    path: PathBuf,
    counts: Counts,
}

impl Staging {
    /// Makes an empty file in the graph's directory.
    pub(super) fn create(directory: &Path) -> rusqlite::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{PREFIX}{number}{SUFFIX}"));
        // Follows no link, and fails where a file exists.
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        if let Err(e) = made {
            log::line(format_args!("cannot make {}: {e}", path.display()));
            return Err(rusqlite::Error::InvalidPath(path));
        }
        let connection = Connection::open(&path)?;
        let mut staging = Self { connection: None, path, counts: Counts::default() };
        // The file need not survive a crash, so it has no journal.
        connection.query_row("PRAGMA journal_mode=OFF", [], |_| Ok(()))?;
        connection.execute_batch(
            "PRAGMA synchronous=OFF;
             CREATE TABLE node_line(line INTEGER PRIMARY KEY, id, label, properties, text);
             CREATE TABLE edge_line(line INTEGER PRIMARY KEY, source, target, type, properties);
             BEGIN;",
        )?;
        staging.connection = Some(connection);
        Ok(staging)
    }

    /// Returns the numbers of nodes and edges so far.
    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    /// Adds the node of a line.
    pub(crate) fn add_node(&mut self, line: u64, node: &Node<'_>) -> Result<(), Refusal> {
        let label = node.label.as_ref().map(|label| label.as_str());
        let sql = "INSERT INTO node_line VALUES (?1, ?2, ?3, ?4, ?5)";
        let values =
            params![line.cast_signed(), node.id.as_str(), label, node.properties.json, node.properties.text];
        self.open()?.prepare_cached(sql)?.execute(values)?;
        self.counts.nodes += 1;
        Ok(())
    }

    /// Adds the edge of a line.
    pub(crate) fn add_edge(&mut self, line: u64, edge: &Edge<'_>) -> Result<(), Refusal> {
        let sql = "INSERT INTO edge_line VALUES (?1, ?2, ?3, ?4, ?5)";
        let (from, to) = (edge.from.as_str(), edge.to.as_str());
        let values = params![line.cast_signed(), from, to, edge.edge_type.as_str(), edge.properties.json];
        self.open()?.prepare_cached(sql)?.execute(values)?;
        self.counts.edges += 1;
        Ok(())
    }

    fn open(&self) -> rusqlite::Result<&Connection> {
        self.connection.as_ref().ok_or(rusqlite::Error::InvalidQuery)
    }

    /// Puts all lines into the graph, all or none. Reports its progress every few thousand rows.
    pub(crate) fn apply(
        &mut self,
        writer: &mut Connection,
        report: &mut dyn FnMut(Phase, u64),
    ) -> Result<Counts, ApplyError> {
        if let Some(connection) = self.connection.take() {
            connection.execute_batch("COMMIT")?;
            connection.close().map_err(|(_, e)| e)?;
        }
        let path = self.path.to_str().ok_or(rusqlite::Error::InvalidPath(self.path.clone()))?;
        // A database left attached by a failure would block all later imports; mostly there is none.
        drop(writer.execute_batch("DETACH staging"));
        writer.execute("ATTACH ?1 AS staging", [path])?;
        let applied = writer.execute_batch(IMPORT_CACHE).map_err(ApplyError::from).and_then(|()| {
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            self.put_all(&transaction, report)?;
            Ok(transaction.commit()?)
        });
        // Statements of the attached file must be gone before it can be detached.
        writer.flush_prepared_statement_cache();
        let put_away =
            writer.execute_batch(&format!("DETACH staging; {}; PRAGMA shrink_memory", schema::WRITER_CACHE));
        if let Err(e) = put_away {
            log::line(format_args!("cannot put an import away: {e}"));
        }
        applied.map(|()| self.counts)
    }

    fn put_all(&self, graph: &Transaction<'_>, report: &mut dyn FnMut(Phase, u64)) -> Result<(), ApplyError> {
        let mut writer = Writer::new(graph)?;
        report(Phase::Nodes, 0);
        put_nodes(graph, &mut writer, report)?;
        if self.counts.edges == 0 {
            return Ok(());
        }
        let bulk = self.counts.edges >= BULK_EDGES && {
            // The limit makes this quick however many edges there are.
            let sql = "SELECT count(*) FROM (SELECT 1 FROM edge LIMIT ?1)";
            let limit = self.counts.edges.cast_signed();
            graph.query_row(sql, [limit], |row| row.get::<_, i64>(0))? < limit
        };
        if bulk {
            graph.execute_batch("DROP INDEX edge_target")?;
        }
        report(Phase::Sort, 0);
        put_edges(graph, &mut writer, report)?;
        if bulk {
            report(Phase::Index, 0);
            graph.execute_batch(schema::MAKE_EDGE_TARGET)?;
        }
        Ok(())
    }
}

fn put_nodes(
    graph: &Transaction<'_>,
    writer: &mut Writer<'_>,
    report: &mut dyn FnMut(Phase, u64),
) -> Result<(), ApplyError> {
    let mut lines =
        graph.prepare("SELECT id, label, properties, text FROM staging.node_line ORDER BY line")?;
    let mut rows = lines.query([])?;
    let mut done = 0;
    while let Some(row) = rows.next()? {
        let text = |at: usize| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_str()?);
        let label = row.get_ref(1)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        writer.put_node_parts(text(0)?, label, text(2)?, text(3)?)?;
        done += 1;
        if done % REPORT_ROWS == 0 {
            report(Phase::Nodes, done);
        }
    }
    Ok(())
}

/// Puts the edges in the order of the table's key, so that each row lands beside the previous one. Of several
/// lines for one edge, the last line wins.
fn put_edges(
    graph: &Transaction<'_>,
    writer: &mut Writer<'_>,
    report: &mut dyn FnMut(Phase, u64),
) -> Result<(), ApplyError> {
    let mut lines = graph.prepare(
        "SELECT s.key, e.type, t.key, e.properties
         FROM staging.edge_line e LEFT JOIN node s ON s.id = e.source LEFT JOIN node t ON t.id = e.target
         ORDER BY s.key, e.type, t.key, e.line",
    )?;
    let mut rows = lines.query([])?;
    let mut done = 0;
    while let Some(row) = rows.next()? {
        let (Some(source), Some(target)) = (row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(2)?)
        else {
            return Err(first_missing(graph)?);
        };
        let text = |at: usize| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_str()?);
        writer.put_edge_of_keys(source, text(1)?, target, text(3)?)?;
        done += 1;
        if done % REPORT_ROWS == 0 {
            report(Phase::Edges, done);
        }
    }
    Ok(())
}

/// Finds the first line that can't be put. Only failed imports pay for this second pass.
fn first_missing(graph: &Transaction<'_>) -> rusqlite::Result<ApplyError> {
    let sql = "SELECT e.line, s.key IS NULL, e.source, e.target
         FROM staging.edge_line e LEFT JOIN node s ON s.id = e.source LEFT JOIN node t ON t.id = e.target
         WHERE s.key IS NULL OR t.key IS NULL ORDER BY e.line LIMIT 1";
    let found = graph.query_row(sql, [], |row| {
        let (end, column) = if row.get(1)? { (MissingEnd::From, 2) } else { (MissingEnd::To, 3) };
        let line = row.get::<_, i64>(0)?.cast_unsigned();
        Ok(ApplyError::Missing { line, end, node: row.get(column)? })
    });
    found.optional().map(|found| found.unwrap_or(ApplyError::Sqlite(rusqlite::Error::QueryReturnedNoRows)))
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.connection = None;
        if let Err(e) = fs::remove_file(&self.path) {
            log::line(format_args!("cannot remove {}: {e}", self.path.display()));
        }
    }
}

/// Removes the files of a killed worker. The graph must be locked.
pub(super) fn remove_left_over(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let ours =
            entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX) && name.contains(SUFFIX));
        if ours && let Err(e) = fs::remove_file(entry.path()) {
            log::line(format_args!("cannot remove {}: {e}", entry.path().display()));
        }
    }
}

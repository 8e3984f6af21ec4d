//! `export`: the whole graph as lines that an import takes, as of one moment.
//!
//! Nodes are ordered by id, edges by from, type and to: the same graph always gives the same lines.

use super::{Context, Refusal, append_id};
use crate::connection;
use crate::limits::{EXPORT_CHUNK_BYTES, EXPORT_DEADLINE};
use crate::output;
use crate::store::{Counts, Reading};
use gob_protocol::{ErrorCode, Id, WireError};
use rusqlite::{Connection, Row};
use std::os::unix::net::UnixStream;

/// The order of the joins is fixed, so that the index on ids gives the order and nothing large is sorted.
const EDGES: &str = "SELECT s.id, t.id, e.type, e.properties
    FROM node s CROSS JOIN edge e ON e.source = s.key CROSS JOIN node t ON t.key = e.target
    ORDER BY s.id, e.type, t.id";

/// Answers `export`.
pub(super) fn export(context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    let mut reader = context.shared.store.reader(Reading::Export)?;
    let mut chunks = Chunks { peer: context.peer, id: context.id, frame: Vec::new() };
    let counts = context.cancel(EXPORT_DEADLINE).guard(&mut reader, |reader| {
        // One read transaction sees one moment, however slow the client is.
        let moment = reader.transaction()?;
        let nodes = "SELECT id, label, properties FROM node ORDER BY id";
        let nodes = chunks.send(&moment, nodes, "node", |out, row| output::node_of(out, row, 0))?;
        let edges = chunks.send(&moment, EDGES, "edge", output::edge_of)?;
        chunks.finish()?;
        Ok(Counts { nodes, edges })
    })?;
    drop(reader);
    context.data(&counts)
}

/// Gathers lines into frames.
struct Chunks<'a> {
    peer: &'a UnixStream,
    id: Option<&'a Id>,
    frame: Vec<u8>,
}

impl Chunks<'_> {
    fn send(
        &mut self,
        db: &Connection,
        sql: &str,
        kind: &str,
        append: impl Fn(&mut Vec<u8>, &Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<u64, Refusal> {
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        let mut sent = 0;
        while let Some(row) = rows.next()? {
            if self.frame.is_empty() {
                self.frame.extend_from_slice(b"{\"event\":\"export_chunk\",\"id\":");
                append_id(&mut self.frame, self.id);
                self.frame.extend_from_slice(b",\"lines\":[");
            }
            output::comma(&mut self.frame);
            self.frame.extend_from_slice(b"{\"");
            self.frame.extend_from_slice(kind.as_bytes());
            self.frame.extend_from_slice(b"\":");
            append(&mut self.frame, row)?;
            self.frame.push(b'}');
            sent += 1;
            if self.frame.len() >= EXPORT_CHUNK_BYTES {
                self.finish()?;
            }
        }
        Ok(sent)
    }

    fn finish(&mut self) -> Result<(), Refusal> {
        if self.frame.is_empty() {
            return Ok(());
        }
        self.frame.extend_from_slice(b"]}\n");
        let written = connection::write_all(self.peer, &self.frame);
        self.frame.clear();
        written.map_err(|e| {
            Refusal::from(WireError::new(ErrorCode::Busy, format!("the client takes no more lines: {e}")))
        })
    }
}

//! Puts and deletes nodes and edges inside the caller's transaction, and keeps the search's text in step.

use crate::input::{Edge, EdgeKey, Node};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};
use serde::Serialize;

/// Numbers of nodes and edges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Nodes.
    pub(crate) nodes: u64,
    /// Edges.
    pub(crate) edges: u64,
}

/// The prepared statements of one transaction.
pub(crate) struct Writer<'c> {
    find_node: CachedStatement<'c>,
    add_node: CachedStatement<'c>,
    change_node: CachedStatement<'c>,
    put_text: CachedStatement<'c>,
    find_key: CachedStatement<'c>,
    put_edge: CachedStatement<'c>,
    connection: &'c Connection,
}

/// An edge's end that is not in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingEnd {
    /// The edge's beginning.
    From,
    /// The edge's end.
    To,
}

impl MissingEnd {
    /// Returns the one of two ids that is missing.
    pub(crate) const fn of<'a>(self, from: &'a str, to: &'a str) -> &'a str {
        match self {
            Self::From => from,
            Self::To => to,
        }
    }

    /// Returns the field that names the end.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
        }
    }
}

impl<'c> Writer<'c> {
    /// Prepares the statements for an open transaction.
    pub(crate) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            find_node: connection
                .prepare_cached("SELECT key, label IS ?2 AND properties = ?3 FROM node WHERE id = ?1")?,
            add_node: connection
                .prepare_cached("INSERT INTO node(id, label, properties) VALUES (?1, ?2, ?3)")?,
            change_node: connection
                .prepare_cached("UPDATE node SET label = ?2, properties = ?3 WHERE key = ?1")?,
            put_text: connection.prepare_cached(
                "INSERT OR REPLACE INTO node_text(rowid, id, label, text) VALUES (?1, ?2, ?3, ?4)",
            )?,
            find_key: connection.prepare_cached("SELECT key FROM node WHERE id = ?1")?,
            put_edge: connection.prepare_cached(
                "INSERT INTO edge(source, type, target, properties) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET properties = excluded.properties",
            )?,
            connection,
        })
    }

    /// Puts a node in place of its former self.
    pub(crate) fn put_node(&mut self, node: &Node<'_>) -> rusqlite::Result<()> {
        let label = node.label.as_ref().map(|label| label.as_str());
        self.put_node_parts(node.id.as_str(), label, node.properties.json, &node.properties.text)
    }

    /// Puts a node whose parts were checked before.
    pub(crate) fn put_node_parts(
        &mut self,
        id: &str,
        label: Option<&str>,
        properties: &str,
        text: &str,
    ) -> rusqlite::Result<()> {
        let found = self
            .find_node
            .query_row(params![id, label, properties], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let key: i64 = match found {
            Some((_, true)) => return Ok(()),
            Some((key, false)) => {
                self.change_node.execute(params![key, label, properties])?;
                key
            }
            None => self.add_node.insert(params![id, label, properties])?,
        };
        self.put_text.execute(params![key, id, label, text])?;
        Ok(())
    }

    /// Puts an edge; returns the missing end where there is one.
    pub(crate) fn put_edge(&mut self, edge: &Edge<'_>) -> rusqlite::Result<Result<(), MissingEnd>> {
        let Some(source) = self.key_of(edge.from.as_str())? else { return Ok(Err(MissingEnd::From)) };
        let Some(target) = self.key_of(edge.to.as_str())? else { return Ok(Err(MissingEnd::To)) };
        self.put_edge_of_keys(source, edge.edge_type.as_str(), target, edge.properties.json)?;
        Ok(Ok(()))
    }

    /// Puts an edge between existing nodes.
    pub(crate) fn put_edge_of_keys(
        &mut self,
        source: i64,
        edge_type: &str,
        target: i64,
        properties: &str,
    ) -> rusqlite::Result<()> {
        self.put_edge.execute(params![source, edge_type, target, properties]).map(drop)
    }

    /// Deletes a node and its edges; does nothing where it does not exist.
    pub(crate) fn delete_node(&mut self, id: &str, deleted: &mut Counts) -> rusqlite::Result<()> {
        let Some(key) = self.key_of(id)? else { return Ok(()) };
        for sql in ["DELETE FROM edge WHERE source = ?1", "DELETE FROM edge WHERE target = ?1"] {
            deleted.edges += self.connection.prepare_cached(sql)?.execute([key])? as u64;
        }
        self.connection.prepare_cached("DELETE FROM node_text WHERE rowid = ?1")?.execute([key])?;
        deleted.nodes +=
            self.connection.prepare_cached("DELETE FROM node WHERE key = ?1")?.execute([key])? as u64;
        Ok(())
    }

    /// Deletes an edge; does nothing where it does not exist.
    pub(crate) fn delete_edge(&mut self, edge: &EdgeKey<'_>, deleted: &mut Counts) -> rusqlite::Result<()> {
        let (source, target) = (self.key_of(edge.from.as_str())?, self.key_of(edge.to.as_str())?);
        let sql = "DELETE FROM edge WHERE source = ?1 AND type = ?2 AND target = ?3";
        let mut delete = self.connection.prepare_cached(sql)?;
        deleted.edges += delete.execute(params![source, edge.edge_type.as_str(), target])? as u64;
        Ok(())
    }

    fn key_of(&mut self, id: &str) -> rusqlite::Result<Option<i64>> {
        self.find_key.query_row([id], |row| row.get(0)).optional()
    }
}

//! Code that `neighbors` and `path` share: the edges of one node, and the output.

use super::{Refusal, no_node};
use crate::output;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row};
use serde::Deserialize;

/// The direction in which edges are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    /// Along the edges.
    #[default]
    Out,
    /// Against them.
    In,
    /// Either way.
    Both,
}

impl Direction {
    /// Returns the direction of the same edges, seen from the other end.
    pub(super) const fn reversed(self) -> Self {
        match self {
            Self::Out => Self::In,
            Self::In => Self::Out,
            Self::Both => Self::Both,
        }
    }
}

/// An edge by the keys of its ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Link {
    /// The node where it begins.
    pub(super) source: i64,
    /// The edge's type.
    pub(super) edge_type: String,
    /// The node where it ends.
    pub(super) target: i64,
}

/// The prepared statements that list the edges of a node.
pub(super) struct Edges<'c> {
    outward: Option<CachedStatement<'c>>,
    inward: Option<CachedStatement<'c>>,
    edge_type: Option<&'c str>,
}

impl<'c> Edges<'c> {
    /// Prepares the statements for edges of one direction, and of one type if given.
    pub(super) fn new(
        db: &'c Connection,
        direction: Direction,
        edge_type: Option<&'c str>,
    ) -> rusqlite::Result<Self> {
        let by_type = if edge_type.is_some() { " AND type = ?2" } else { "" };
        let outward = format!("SELECT type, target FROM edge WHERE source = ?1{by_type}");
        let inward = format!("SELECT type, source FROM edge WHERE target = ?1{by_type}");
        let when = |wanted: bool, sql: &str| wanted.then(|| db.prepare_cached(sql)).transpose();
        Ok(Self {
            outward: when(direction != Direction::In, &outward)?,
            inward: when(direction != Direction::Out, &inward)?,
            edge_type,
        })
    }

    /// Visits the edges of a node: the type, the other end, and whether the edge leads away from the node. A visit
    /// that returns false is the last one.
    pub(super) fn each(
        &mut self,
        node: i64,
        mut visit: impl FnMut(&str, i64, bool) -> bool,
    ) -> rusqlite::Result<()> {
        for (statement, away) in [(&mut self.outward, true), (&mut self.inward, false)] {
            let Some(statement) = statement else { continue };
            let mut rows = match self.edge_type {
                Some(edge_type) => statement.query((node, edge_type))?,
                None => statement.query([node])?,
            };
            while let Some(row) = rows.next()? {
                if !visit(row.get_ref(0)?.as_str()?, row.get(1)?, away) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Returns the key of a node that must exist.
pub(super) fn key_of(db: &Connection, field: &str, id: &str) -> Result<i64, Refusal> {
    let found = db
        .prepare_cached("SELECT key FROM node WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    found.ok_or_else(|| no_node(field, id))
}

/// Appends the fields of a node by its key, without braces.
pub(super) fn append_node(db: &Connection, key: i64, out: &mut Vec<u8>) -> rusqlite::Result<()> {
    let mut find = db.prepare_cached("SELECT id, label, properties FROM node WHERE key = ?1")?;
    find.query_row([key], |row: &Row<'_>| {
        let label = row.get_ref(1)?.as_str_or_null()?;
        output::node_fields(out, row.get_ref(0)?.as_str()?, label, row.get_ref(2)?.as_str()?);
        Ok(())
    })
}

/// Appends an edge by its keys.
pub(super) fn append_edge(db: &Connection, link: &Link, out: &mut Vec<u8>) -> rusqlite::Result<()> {
    let mut find = db.prepare_cached(
        "SELECT s.id, t.id, e.type, e.properties
         FROM edge e JOIN node s ON s.key = e.source JOIN node t ON t.key = e.target
         WHERE e.source = ?1 AND e.type = ?2 AND e.target = ?3",
    )?;
    find.query_row((link.source, &link.edge_type, link.target), |row| output::edge_of(out, row))
}

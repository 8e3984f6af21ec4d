//! `put` and `delete`: one batch, one transaction.

use super::{Context, Refusal, no_node};
use crate::input::{Edge, EdgeKey, Node, NodeId};
use crate::limits::READ_DEADLINE;
use crate::store::{Counts, Writer};
use rusqlite::TransactionBehavior;
use serde::Deserialize;

/// Payload of `put`: nodes first, then edges, so that a batch may bring both.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Put<'a> {
    /// Nodes; each replaces its former self.
    #[serde(borrow, default)]
    nodes: Vec<Node<'a>>,
    /// Edges between existing nodes, or nodes of this batch.
    #[serde(borrow, default)]
    edges: Vec<Edge<'a>>,
}

/// Payload of `delete`: edges first, then nodes with all their edges.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delete<'a> {
    /// Nodes by id.
    #[serde(borrow, default)]
    nodes: Vec<NodeId<'a>>,
    /// Edges.
    #[serde(borrow, default)]
    edges: Vec<EdgeKey<'a>>,
}

/// Answers `put`.
pub(super) fn put(put: &Put<'_>, context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    let mut connection = context.shared.store.writer()?;
    let done = context.cancel(READ_DEADLINE).guard(&mut connection, |connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writer = Writer::new(&transaction)?;
        for node in &put.nodes {
            writer.put_node(node)?;
        }
        for (at, edge) in put.edges.iter().enumerate() {
            if let Err(end) = writer.put_edge(edge)? {
                let node = end.of(edge.from.as_str(), edge.to.as_str());
                return Err(no_node(&format!("payload.edges[{at}].{}", end.field()), node));
            }
        }
        drop(writer);
        Ok(transaction.commit()?)
    });
    connection.confirm(done)?;
    context.data(&Counts { nodes: put.nodes.len() as u64, edges: put.edges.len() as u64 })
}

/// Answers `delete`.
pub(super) fn delete(delete: &Delete<'_>, context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    let mut connection = context.shared.store.writer()?;
    let mut deleted = Counts::default();
    let done = context.cancel(READ_DEADLINE).guard(&mut connection, |connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writer = Writer::new(&transaction)?;
        for edge in &delete.edges {
            writer.delete_edge(edge, &mut deleted)?;
        }
        for id in &delete.nodes {
            writer.delete_node(id.as_str(), &mut deleted)?;
        }
        drop(writer);
        Ok(transaction.commit()?)
    });
    connection.confirm(done)?;
    context.data(&deleted)
}

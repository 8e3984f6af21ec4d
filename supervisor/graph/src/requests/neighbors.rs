//! `neighbors`: the surroundings of a node, nearest first.

use super::walk::{Direction, Edges, Link, append_edge, append_node, key_of};
use super::{Context, Refusal};
use crate::cancel::Cancel;
use crate::input::{Label, NodeId};
use crate::limits::{
    DEFAULT_NEIGHBORS, EDGES_PER_NEIGHBOR, MAX_NEIGHBOR_DEPTH, MAX_NEIGHBORS, MAX_RESULT_BYTES, READ_DEADLINE,
};
use crate::output;
use crate::store::Reading;
use rusqlite::Connection;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// Payload of `neighbors`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Neighbors<'a> {
    /// The first node.
    #[serde(borrow)]
    id: NodeId<'a>,
    /// The direction of edges to follow.
    #[serde(default)]
    direction: Direction,
    /// The type of edges to follow; any when absent.
    #[serde(borrow, default, rename = "type")]
    edge_type: Option<Label<'a>>,
    /// The largest distance, in edges.
    #[serde(default)]
    depth: Option<usize>,
    /// Most nodes in the answer.
    #[serde(default)]
    limit: Option<usize>,
}

/// The nodes and edges found, in that order.
#[derive(Debug, Default)]
struct Found {
    nodes: Vec<(i64, usize)>,
    edges: Vec<Link>,
    truncated: bool,
}

/// Answers `neighbors`.
pub(super) fn neighbors(request: &Neighbors<'_>, context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    let depth = super::bounded("payload.depth", request.depth, 1, MAX_NEIGHBOR_DEPTH)?;
    let limit = super::bounded("payload.limit", request.limit, DEFAULT_NEIGHBORS, MAX_NEIGHBORS)?;
    let edge_type = request.edge_type.as_ref().map(|label| label.as_str());
    let mut reader = context.shared.store.reader(Reading::Long)?;
    let cancel = context.cancel(READ_DEADLINE);
    let out = &mut *context.out;
    cancel.guard(&mut reader, |reader| {
        let moment = reader.transaction()?;
        let start = key_of(&moment, "payload.id", request.id.as_str())?;
        let edges = Edges::new(&moment, request.direction, edge_type)?;
        let found = explore(edges, start, depth, limit, &cancel)?;
        Ok(write(&moment, &found, out)?)
    })
}

fn explore(
    mut edges: Edges<'_>,
    start: i64,
    depth: usize,
    limit: usize,
    cancel: &Cancel,
) -> Result<Found, Refusal> {
    let mut found = Found::default();
    let mut depths = HashMap::from([(start, 0)]);
    let mut seen = HashSet::new();
    let mut frontier = vec![start];
    for level in 1..=depth {
        let mut next = Vec::new();
        for node in frontier {
            cancel.check()?;
            edges.each(node, |edge_type, other, away| {
                let new = !depths.contains_key(&other);
                if (new && found.nodes.len() == limit) || found.edges.len() >= limit * EDGES_PER_NEIGHBOR {
                    found.truncated = true;
                    return false;
                }
                if new {
                    depths.insert(other, level);
                    found.nodes.push((other, level));
                    next.push(other);
                }
                let (source, target) = if away { (node, other) } else { (other, node) };
                let link = Link { source, edge_type: edge_type.to_owned(), target };
                if seen.insert(link.clone()) {
                    found.edges.push(link);
                }
                true
            })?;
            if found.truncated {
                return Ok(found);
            }
        }
        frontier = next;
    }
    Ok(found)
}

fn write(db: &Connection, found: &Found, out: &mut Vec<u8>) -> rusqlite::Result<()> {
    let start = out.len();
    let mut truncated = found.truncated;
    out.extend_from_slice(b"{\"nodes\":[");
    for (key, depth) in &found.nodes {
        output::comma(out);
        out.push(b'{');
        append_node(db, *key, out)?;
        out.extend_from_slice(b",\"depth\":");
        output::number(out, depth);
        out.push(b'}');
        if out.len() - start > MAX_RESULT_BYTES {
            truncated = true;
            break;
        }
    }
    out.extend_from_slice(b"],\"edges\":[");
    for link in &found.edges {
        if out.len() - start > MAX_RESULT_BYTES {
            truncated = true;
            break;
        }
        output::comma(out);
        append_edge(db, link, out)?;
    }
    out.extend_from_slice(b"],\"truncated\":");
    output::number(out, truncated);
    out.push(b'}');
    Ok(())
}

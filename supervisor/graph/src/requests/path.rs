//! `path`: a shortest way between two nodes, searched from both ends at once.

use super::walk::{Direction, Edges, Link, append_edge, append_node, key_of};
use super::{Context, Refusal};
use crate::cancel::Cancel;
use crate::input::{Label, NodeId};
use crate::limits::{DEFAULT_PATH_DEPTH, MAX_PATH_DEPTH, MAX_PATH_VISITS, READ_DEADLINE};
use crate::output;
use crate::store::Reading;
use rusqlite::Connection;
use serde::Deserialize;
use std::collections::HashMap;

/// Payload of `path`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Path<'a> {
    /// The first node.
    #[serde(borrow)]
    from: NodeId<'a>,
    /// The last node.
    #[serde(borrow)]
    to: NodeId<'a>,
    /// The type of edges to follow; any when absent.
    #[serde(borrow, default, rename = "type")]
    edge_type: Option<Label<'a>>,
    /// The direction of edges to follow.
    #[serde(default)]
    direction: Direction,
    /// The longest path.
    #[serde(default)]
    max_depth: Option<usize>,
}

/// One end of the search.
struct Side<'c> {
    edges: Edges<'c>,
    /// For each node seen: the node it was reached from, and whether the edge leads from that one to it. The
    /// end itself was reached from itself.
    seen: HashMap<i64, (i64, bool)>,
    frontier: Vec<i64>,
}

/// The result of the search.
enum Outcome {
    /// The node where the two sides met.
    Met(i64),
    /// No such path exists.
    None,
    /// The search visited too many nodes.
    GaveUp,
}

/// Answers `path`.
pub(super) fn path(request: &Path<'_>, context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    let depth = super::bounded("payload.max_depth", request.max_depth, DEFAULT_PATH_DEPTH, MAX_PATH_DEPTH)?;
    let edge_type = request.edge_type.as_ref().map(|label| label.as_str());
    let mut reader = context.shared.store.reader(Reading::Long)?;
    let cancel = context.cancel(READ_DEADLINE);
    let out = &mut *context.out;
    cancel.guard(&mut reader, |reader| {
        let moment = reader.transaction()?;
        let from = key_of(&moment, "payload.from", request.from.as_str())?;
        let to = key_of(&moment, "payload.to", request.to.as_str())?;
        let side = |end: i64, direction: Direction| {
            let edges = Edges::new(&moment, direction, edge_type)?;
            Ok::<_, rusqlite::Error>(Side {
                edges,
                seen: HashMap::from([(end, (end, true))]),
                frontier: vec![end],
            })
        };
        let mut forward = side(from, request.direction)?;
        let mut backward = side(to, request.direction.reversed())?;
        let outcome =
            if from == to { Outcome::Met(from) } else { meet(&mut forward, &mut backward, depth, &cancel)? };
        match outcome {
            Outcome::Met(middle) => {
                let nodes = trace(&forward, &backward, middle);
                Ok(write(&moment, &nodes, edge_type, out)?)
            }
            Outcome::None => {
                out.extend_from_slice(b"{\"path\":null,\"truncated\":false}");
                Ok(())
            }
            Outcome::GaveUp => {
                out.extend_from_slice(b"{\"path\":null,\"truncated\":true}");
                Ok(())
            }
        }
    })
}

/// Expands the smaller side by one edge until both have a node in common. Up to then no shorter path can exist,
/// so the first such node lies on a shortest one.
fn meet<'c>(
    forward: &mut Side<'c>,
    backward: &mut Side<'c>,
    depth: usize,
    cancel: &Cancel,
) -> Result<Outcome, Refusal> {
    for _ in 0..depth {
        let (near, far) = if forward.frontier.len() <= backward.frontier.len() {
            (&mut *forward, &*backward)
        } else {
            (&mut *backward, &*forward)
        };
        let mut next = Vec::new();
        let mut met = None;
        for node in std::mem::take(&mut near.frontier) {
            cancel.check()?;
            let seen = &mut near.seen;
            near.edges.each(node, |_, other, away| {
                if let std::collections::hash_map::Entry::Vacant(new) = seen.entry(other) {
                    new.insert((node, away));
                    next.push(other);
                    if far.seen.contains_key(&other) {
                        met = Some(other);
                    }
                }
                met.is_none()
            })?;
            if let Some(middle) = met {
                return Ok(Outcome::Met(middle));
            }
            if seen.len() + far.seen.len() > MAX_PATH_VISITS {
                return Ok(Outcome::GaveUp);
            }
        }
        if next.is_empty() {
            return Ok(Outcome::None);
        }
        near.frontier = next;
    }
    Ok(Outcome::None)
}

/// A step of the path: a node, and whether the edge to the next node leads towards it.
type Step = (i64, bool);

/// Returns the steps from the beginning to the end; the last one's direction has no meaning.
fn trace(forward: &Side<'_>, backward: &Side<'_>, middle: i64) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut node = middle;
    while let Some(&(previous, away)) = forward.seen.get(&node).filter(|(previous, _)| *previous != node) {
        steps.push((previous, away));
        node = previous;
    }
    steps.reverse();
    let mut node = middle;
    while let Some(&(next, away)) = backward.seen.get(&node).filter(|(next, _)| *next != node) {
        // The backward side walked from `next` to `node`; the path goes the other way.
        steps.push((node, !away));
        node = next;
    }
    steps.push((node, true));
    steps
}

fn write(
    db: &Connection,
    steps: &[Step],
    edge_type: Option<&str>,
    out: &mut Vec<u8>,
) -> rusqlite::Result<()> {
    out.extend_from_slice(b"{\"path\":{\"length\":");
    output::number(out, steps.len() - 1);
    out.extend_from_slice(b",\"nodes\":[");
    for (key, _) in steps {
        output::comma(out);
        out.push(b'{');
        append_node(db, *key, out)?;
        out.push(b'}');
    }
    out.extend_from_slice(b"],\"edges\":[");
    let mut find = db.prepare_cached(
        "SELECT type FROM edge WHERE source = ?1 AND target = ?2 AND (?3 IS NULL OR type = ?3) LIMIT 1",
    )?;
    for (here, next) in steps.iter().zip(steps.iter().skip(1)) {
        let (source, target) = if here.1 { (here.0, next.0) } else { (next.0, here.0) };
        let edge_type = find.query_row((source, target, edge_type), |row| row.get(0))?;
        output::comma(out);
        append_edge(db, &Link { source, edge_type, target }, out)?;
    }
    out.extend_from_slice(b"]},\"truncated\":false}");
    Ok(())
}

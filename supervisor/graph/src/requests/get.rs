//! `get`: nodes by id.

use super::{Context, Refusal, invalid, too_much};
use crate::input::NodeId;
use crate::limits::MAX_GET_IDS;
use crate::output;
use crate::store::Reading;
use gob_protocol::limits::MAX_RESPONSE_BYTES;
use rusqlite::CachedStatement;
use serde::Deserialize;

/// Payload of `get`: one of the two fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Get<'a> {
    /// One node.
    #[serde(borrow, default)]
    id: Option<NodeId<'a>>,
    /// Several nodes.
    #[serde(borrow, default)]
    ids: Option<Vec<NodeId<'a>>>,
}

/// Answers `get`.
pub(super) fn get(get: &Get<'_>, context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    let reader = context.shared.store.reader(Reading::Short)?;
    let mut find = reader.prepare_cached("SELECT id, label, properties FROM node WHERE id = ?1")?;
    let out = &mut *context.out;
    match (&get.id, &get.ids) {
        (Some(id), None) => {
            out.extend_from_slice(b"{\"node\":");
            if !append(&mut find, id, out)? {
                out.extend_from_slice(b"null");
            }
            out.push(b'}');
            Ok(())
        }
        (None, Some(ids)) if ids.len() <= MAX_GET_IDS => several(&mut find, ids, out),
        (None, Some(_)) => Err(invalid("payload.ids", format!("at most {MAX_GET_IDS} ids at once"))),
        (None, None) | (Some(_), Some(_)) => {
            Err(invalid("payload", "get takes either `id` or `ids`, and exactly one of them"))
        }
    }
}

fn several(find: &mut CachedStatement<'_>, ids: &[NodeId<'_>], out: &mut Vec<u8>) -> Result<(), Refusal> {
    let start = out.len();
    let mut missing = Vec::new();
    out.extend_from_slice(b"{\"nodes\":[");
    for id in ids {
        let before = out.len();
        output::comma(out);
        if !append(find, id, out)? {
            out.truncate(before);
            missing.push(id.as_str());
        }
        if out.len() - start > MAX_RESPONSE_BYTES {
            return Err(too_much());
        }
    }
    out.extend_from_slice(b"],\"missing\":[");
    for id in missing {
        output::comma(out);
        output::string(out, id);
    }
    out.extend_from_slice(b"]}");
    Ok(())
}

/// Appends the node, if it exists.
fn append(find: &mut CachedStatement<'_>, id: &NodeId<'_>, out: &mut Vec<u8>) -> Result<bool, Refusal> {
    let mut rows = find.query([id.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(false) };
    output::node_of(out, row, 0)?;
    Ok(true)
}

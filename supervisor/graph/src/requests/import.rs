//! `import_begin`, `import_lines`, `import_end`, `import_abort`: a whole graph as JSON lines, all or nothing.
//!
//! An import belongs to its connection, which owns the [`Import`] and ends it.

use super::{Context, Refusal, invalid};
use crate::connection;
use crate::input::{Edge, Node};
use crate::limits::{IMPORT_DEADLINE, PROGRESS_INTERVAL};
use crate::output;
use crate::pool::Taken;
use crate::store::{ApplyError, Phase, Staging};
use gob_protocol::envelope::parse_part;
use gob_protocol::{ErrorCode, WireError};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Instant;

/// An open import.
#[derive(Debug)]
pub(crate) struct Import<'s> {
    staging: Staging,
    lines: u64,
    /// Counts against the limit of imports at once while it is held.
    _place: Taken<'s, ()>,
}

/// Payload of `import_lines`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lines<'a> {
    /// Lines: objects, or strings that hold one.
    #[serde(borrow)]
    lines: Vec<&'a RawValue>,
}

/// One line.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Node(#[serde(borrow)] Node<'a>),
    Edge(#[serde(borrow)] Edge<'a>),
}

/// Answers `import_begin`.
pub(super) fn begin(context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    if context.import.is_some() {
        return Err(invalid("type", "an import is open on this connection already"));
    }
    let place = context.shared.store.import_place()?;
    let staging = context.shared.store.staging()?;
    *context.import = Some(Import { staging, lines: 0, _place: place });
    context.data(&json!({}))
}

/// Answers `import_lines`. A bad line ends the import.
pub(super) fn lines(lines: &Lines<'_>, context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    let mut import = open(context)?;
    for line in &lines.lines {
        import.lines += 1;
        import.add(line.get()).map_err(|refusal| refusal.at_line(import.lines))?;
    }
    let so_far = import.lines;
    *context.import = Some(import);
    context.data(&json!({"lines": so_far}))
}

/// Answers `import_end`.
pub(super) fn end(context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    let mut import = open(context)?;
    let counts = import.staging.counts();
    let mut writer = context.shared.store.import_writer()?;
    let mut last = None;
    let mut report = |phase: Phase, done: u64| {
        let now = Instant::now();
        let new_phase = last.is_none_or(|(before, _)| before != phase);
        if !new_phase && last.is_some_and(|(_, at)| now.duration_since(at) < PROGRESS_INTERVAL) {
            return;
        }
        last = Some((phase, now));
        let (phase, total) = match phase {
            Phase::Nodes => ("nodes", counts.nodes),
            Phase::Sort => ("sort", counts.edges),
            Phase::Edges => ("edges", counts.edges),
            Phase::Index => ("index", counts.edges),
        };
        let mut frame = b"{\"event\":\"import_progress\",\"id\":".to_vec();
        super::append_id(&mut frame, context.id);
        frame.extend_from_slice(b",\"phase\":");
        output::string(&mut frame, phase);
        frame.extend_from_slice(b",\"done\":");
        output::number(&mut frame, done);
        frame.extend_from_slice(b",\"total\":");
        output::number(&mut frame, total);
        frame.extend_from_slice(b"}\n");
        connection::write_if_ready(context.peer, &frame);
    };
    let applied = context.cancel(IMPORT_DEADLINE).guard(&mut writer, |writer| {
        import.staging.apply(writer, &mut report).map_err(|error| match error {
            ApplyError::Missing { line, end, node } => {
                super::no_node(&format!("line.edge.{}", end.field()), &node).at_line(line)
            }
            ApplyError::Sqlite(error) => Refusal::from(error),
        })
    });
    let counts = writer.confirm(applied);
    drop(import);
    let counts = counts?;
    context.data(&counts)
}

/// Answers `import_abort`.
pub(super) fn abort(context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    drop(open(context)?);
    context.data(&json!({}))
}

/// Takes the import out of the connection; unless it is put back, it ends.
fn open<'s>(context: &mut Context<'_, 's>) -> Result<Import<'s>, Refusal> {
    context.import.take().ok_or_else(|| {
        let message = "no import is open on this connection";
        Refusal::from(
            WireError::new(ErrorCode::InvalidRequest, message)
                .hint("import_begin comes first; an import ends with its first error, or after a long pause")
                .details(json!({"field": "type"})),
        )
    })
}

impl Import<'_> {
    fn add(&mut self, line: &str) -> Result<(), Refusal> {
        let text = if line.starts_with('"') {
            parse_part::<Inner<'_>>(line, "line")?.0
        } else {
            Cow::Borrowed(line)
        };
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        match parse_part::<Line<'_>>(&text, "line")? {
            Line::Node(node) => self.staging.add_node(self.lines, &node),
            Line::Edge(edge) => self.staging.add_edge(self.lines, &edge),
        }
    }
}

/// A line in a string.
#[derive(Deserialize)]
#[serde(transparent)]
struct Inner<'a>(#[serde(borrow)] Cow<'a, str>);

impl Refusal {
    /// Adds the line and the fate of the import to an error.
    fn at_line(mut self, line: u64) -> Self {
        self.0.message = format!("line {line}: {}", self.0.message);
        self.0.hint = Some("nothing of the import was kept; correct the line and import again".to_owned());
        let details = self.0.details.get_or_insert_with(|| json!({}));
        if let Some(details) = details.as_object_mut() {
            details.insert("line".to_owned(), json!(line));
        }
        self
    }
}

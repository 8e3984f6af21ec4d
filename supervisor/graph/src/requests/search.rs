//! `search`: nodes by the words in their id, label and properties.

use super::{Context, Refusal};
use crate::limits::{DEFAULT_HITS, MAX_HITS, MAX_RESULT_BYTES, MAX_SEARCH_BYTES, READ_DEADLINE};
use crate::output;
use crate::store::Reading;
use serde::Deserialize;

/// Payload of `search`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    /// Words; a node must have all of them.
    text: String,
    /// Most hits.
    #[serde(default)]
    limit: Option<usize>,
}

const FIND: &str = "SELECT n.id, n.label, n.properties, h.rank
    FROM (SELECT rowid AS key, rank FROM node_text WHERE node_text MATCH ?1 ORDER BY rank LIMIT ?2) h
    JOIN node n ON n.key = h.key ORDER BY h.rank, n.key";

/// Answers `search`.
pub(super) fn search(search: &Search, context: &mut Context<'_, '_>) -> Result<(), Refusal> {
    let limit = super::bounded("payload.limit", search.limit, DEFAULT_HITS, MAX_HITS)?;
    if search.text.len() > MAX_SEARCH_BYTES {
        return Err(super::invalid("payload.text", format!("at most {MAX_SEARCH_BYTES} bytes")));
    }
    let words = quoted(&search.text);
    let mut reader = context.shared.store.reader(Reading::Long)?;
    let cancel = context.cancel(READ_DEADLINE);
    let out = &mut *context.out;
    cancel.guard(&mut reader, |reader| {
        let start = out.len();
        out.extend_from_slice(b"{\"hits\":[");
        let mut truncated = false;
        if !words.is_empty() {
            let mut find = reader.prepare_cached(FIND)?;
            let mut rows = find.query((&words, i64::try_from(limit + 1).unwrap_or(i64::MAX)))?;
            let mut hits = 0;
            while let Some(row) = rows.next()? {
                if hits == limit || out.len() - start > MAX_RESULT_BYTES {
                    truncated = true;
                    break;
                }
                hits += 1;
                output::comma(out);
                out.extend_from_slice(b"{\"node\":");
                output::node_of(out, row, 0)?;
                out.extend_from_slice(b",\"score\":");
                // The index ranks the best lowest; clients expect it highest.
                output::number(out, -row.get::<_, f64>(3)?);
                out.push(b'}');
            }
        }
        out.extend_from_slice(b"],\"truncated\":");
        output::number(out, truncated);
        out.push(b'}');
        Ok(())
    })
}

/// Returns each word as a string of the index's query language, in which quotes are doubled and nothing else
/// has a meaning. A NUL would end the query early.
fn quoted(text: &str) -> String {
    let mut query = String::with_capacity(text.len() + 16);
    for word in text.split(|c: char| c.is_whitespace() || c == '\0').filter(|word| !word.is_empty()) {
        if !query.is_empty() {
            query.push(' ');
        }
        query.push('"');
        query.push_str(&word.replace('"', "\"\""));
        query.push('"');
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn no_text_is_a_syntax_error() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE VIRTUAL TABLE t USING fts5(x, content='', contentless_delete=1)").unwrap();
        db.execute("INSERT INTO t(rowid, x) VALUES (1, 'foo bar')", []).unwrap();
        let found = |text: &str| {
            let words = quoted(text);
            if words.is_empty() {
                return 0;
            }
            let sql = "SELECT count(*) FROM t WHERE t MATCH ?1";
            db.query_row(sql, [&words], |row| row.get::<_, i64>(0))
                .unwrap_or_else(|e| panic!("{text:?}: {e}"))
        };
        assert_eq!((found("foo"), found("FOO\tbar"), found("foo baz"), found("foo\0bar")), (1, 1, 0, 1));
        let odd = [
            "\"",
            "\"\"\"",
            "*",
            "x:y",
            "NEAR(",
            "AND OR NOT",
            "-",
            "^a",
            "{x}",
            "'",
            ";",
            "(",
            "\\",
            "",
            " ",
            "\0",
        ];
        for one in odd {
            for other in odd {
                found(&format!("{one}{other}"));
                found(&format!("{one} {other} a\"b"));
            }
        }
        for byte in 0..=255_u8 {
            found(&char::from(byte).to_string());
        }
    }
}

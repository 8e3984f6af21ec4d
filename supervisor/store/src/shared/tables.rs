//! The tables of the queue in an open transaction.

use super::lives::supervisor_of;
use super::session::Session;
use crate::jobs::sql::{Cell, Row, Sql, SqlError, Tables, cells};
use gob_protocol::queue::FIRST_SHARED;

/// A job that another session is about to claim is passed over.
const NEXT: &str = "
    SELECT j.number FROM job j WHERE j.lane = ?1 AND j.status = 0 AND j.blocked = 0 AND j.run_at <= ?2
    ORDER BY j.priority DESC, j.run_at, j.number LIMIT 1 FOR UPDATE SKIP LOCKED";

/// Claims of the machine of which `?1` is a life, whichever of its lives claimed them.
const EARLIER: &str = "instance <> ?1 AND instance IN (
    SELECT l.instance FROM life l WHERE l.machine = (SELECT m.machine FROM life m WHERE m.instance = ?1))";

/// A claim of a machine is named by job and attempt: which of the machine's lives made it says nothing.
const OURS: &str = "instance IN (
    SELECT l.instance FROM life l WHERE l.machine = (SELECT m.machine FROM life m WHERE m.instance = ?2))";

impl Tables for Session<'_> {
    fn change(&self, sql: &str, values: &[Cell<'_>]) -> Sql<usize> {
        let changed = Session::change(self, sql, values).map_err(SqlError::Server)?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    fn rows(&self, sql: &str, values: &[Cell<'_>]) -> Sql<Vec<Row>> {
        Session::rows(self, sql, values).map_err(SqlError::Server)
    }

    fn next(&self) -> &'static str {
        NEXT
    }

    fn earlier(&self) -> &'static str {
        EARLIER
    }

    fn was_not_begun(&self, earlier: &str, instance: &str) -> bool {
        supervisor_of(earlier) == supervisor_of(instance)
    }

    fn ours(&self) -> &'static str {
        OURS
    }

    fn number(&self, new: Option<u64>) -> Sql<Option<u64>> {
        if let Some(number) = new.filter(|number| *number >= FIRST_SHARED) {
            return Ok(Some(number));
        }
        let row = Tables::row(self, "SELECT nextval('job_number')", cells![])?;
        let number: i64 = row.ok_or(SqlError::Unexpected)?.sure(0)?;
        Ok(u64::try_from(number).ok())
    }
}

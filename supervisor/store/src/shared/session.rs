//! One connection: statements, transactions, notifications.
//!
//! Everything is bounded: the server ends a statement, and a transaction in which nothing happens; and what it does not answer here in
//! time has no answer, and ends the session.

use super::failure::Failure;
use super::handle::End;
use super::news::CHANNEL;
use super::schema::STEPS;
use crate::jobs::sql::{Cell, Row};
use gob_protocol::Timestamp;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, SimpleQueryMessage, Statement};

/// Notifications that wait; when more come, all lanes are looked at.
const NEWS: usize = 1_024;
/// Statements that are kept prepared.
const PREPARED: usize = 200;

/// The lock that each change of the queue takes: shared by those that can go on at once.
const QUEUE_LOCK: i64 = 0x676F_6273_0001;
/// The lock of a change of the tables.
const SCHEMA_LOCK: i64 = 0x676F_6273_0002;

/// Whether a change of the queue can go on beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Beside {
    Others,
    Nothing,
}

/// A connection.
pub(super) struct Session<'r> {
    runtime: &'r Runtime,
    client: Client,
    prepared: RefCell<HashMap<String, Statement>>,
    pub(super) news: mpsc::Receiver<String>,
    /// Time limit of each answer.
    within: Duration,
    /// The end of the thread: no answer is waited for beyond it.
    end: watch::Receiver<Option<End>>,
}

impl<'r> Session<'r> {
    /// Connects, and makes the tables where they are missing.
    pub(super) fn open(
        runtime: &'r Runtime,
        config: &Config,
        within: Duration,
        mut end: watch::Receiver<Option<End>>,
    ) -> Result<Self, Failure> {
        let (post, news) = mpsc::channel(NEWS);
        let client = runtime.block_on(async {
            let connected = tokio::select! {
                connected = timeout(within.max(Duration::from_secs(5)), config.connect(NoTls)) => connected,
                () = is_over(&mut end) => return Err(unwanted()),
            };
            let (client, mut connection) = connected.map_err(|_| silent())?.map_err(|e| Failure::of(&e))?;
            tokio::spawn(async move {
                // It ends with the connection; the next statement finds out.
                while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                    if let AsyncMessage::Notification(news) = message {
                        // The thread sees a full queue by its length.
                        post.try_send(news.payload().to_owned()).unwrap_or_default();
                    }
                }
            });
            Ok::<_, Failure>(client)
        })?;
        let session = Self { runtime, client, prepared: RefCell::default(), news, within, end };
        session.set_up()?;
        Ok(session)
    }

    fn set_up(&self) -> Result<(), Failure> {
        let ms = self.within.as_millis();
        self.simple(&format!(
            "SET statement_timeout = {ms}; SET lock_timeout = {ms}; SET idle_in_transaction_session_timeout = 10000;
             SET tcp_user_timeout = 10000; SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 2;
             SET default_transaction_isolation = 'read committed'; SET search_path = gob; SET client_min_messages = warning;
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local');"
        ))?;
        if self.version()? < known() {
            self.migrate()?;
        }
        self.simple(&format!("LISTEN {CHANNEL}"))?;
        Ok(())
    }

    /// Returns the version of the tables; 0 where there are none.
    fn version(&self) -> Result<i64, Failure> {
        // `to_regclass` would answer by what the session has found before, also where another one has made the table meanwhile.
        let there = "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'gob' AND c.relname = 'version'";
        if self.simple(there)?.is_empty() {
            return Ok(0);
        }
        let found = self.simple("SELECT version FROM gob.version")?;
        let found = found.first().and_then(|text| text.parse().ok()).unwrap_or(0);
        if found > known() { Err(Failure::Newer { found, known: known() }) } else { Ok(found) }
    }

    fn migrate(&self) -> Result<(), Failure> {
        self.simple(&format!("BEGIN; SELECT pg_advisory_xact_lock({SCHEMA_LOCK});"))?;
        let done = self.step();
        match done {
            Ok(()) => self.simple("COMMIT").map(drop),
            Err(failure) => {
                self.roll_back();
                Err(failure)
            }
        }
    }

    fn step(&self) -> Result<(), Failure> {
        // Another one may have made the step while this one waited for the lock.
        let from = self.version()?;
        if from == 0 {
            if self.simple("SELECT 1 FROM pg_namespace WHERE nspname = 'gob'")?.is_empty() {
                self.simple("CREATE SCHEMA gob")?;
            }
            self.simple(
                "CREATE TABLE gob.version (version BIGINT NOT NULL); INSERT INTO gob.version VALUES (0)",
            )?;
        }
        for step in STEPS.iter().skip(usize::try_from(from).unwrap_or_default()) {
            self.simple(step)?;
        }
        self.simple(&format!("UPDATE gob.version SET version = {}", known())).map(drop)
    }

    /// Begins a transaction, and returns the database's time.
    pub(super) fn begin(&self, beside: Beside) -> Result<Timestamp, Failure> {
        let lock = match beside {
            Beside::Others => "pg_advisory_xact_lock_shared",
            Beside::Nothing => "pg_advisory_xact_lock",
        };
        let told = self.simple(&format!(
            "BEGIN; SELECT {lock}({QUEUE_LOCK}); SELECT (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT"
        ))?;
        let now = told.last().and_then(|text| text.parse().ok());
        now.map(Timestamp).ok_or_else(|| Failure::Away("the database has told no time".to_owned()))
    }

    /// Gives up the transaction.
    pub(super) fn roll_back(&self) {
        // A session that can't do even that is over, and its transaction with it.
        self.simple("ROLLBACK").map(drop).unwrap_or_default();
    }

    /// Runs statements without values, and returns the first column of all their rows.
    pub(super) fn simple(&self, sql: &str) -> Result<Vec<String>, Failure> {
        let messages = self.wait(self.client.simple_query(sql))?;
        let rows = messages.into_iter().filter_map(|message| {
            let SimpleQueryMessage::Row(row) = message else { return None };
            Some(row.get(0).unwrap_or_default().to_owned())
        });
        Ok(rows.collect())
    }

    /// Runs a statement, and returns how many rows it changed.
    pub(super) fn change(&self, sql: &str, values: &[Cell<'_>]) -> Result<u64, Failure> {
        let statement = self.prepare(sql)?;
        self.wait(
            self.client.execute_raw(&statement, values.iter().map(|value| value as &(dyn ToSql + Sync))),
        )
    }

    /// Runs a statement, and returns its rows; `None` of one with a column of an unknown type.
    pub(super) fn rows(&self, sql: &str, values: &[Cell<'_>]) -> Result<Vec<Row>, Failure> {
        let statement = self.prepare(sql)?;
        let values: Vec<_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let rows = self.wait(self.client.query(&statement, &values))?;
        rows.iter().map(row_of).collect()
    }

    fn prepare(&self, sql: &str) -> Result<Statement, Failure> {
        if let Some(statement) = self.prepared.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.wait(self.client.prepare(&in_its_words(sql)))?;
        let mut prepared = self.prepared.borrow_mut();
        if prepared.len() >= PREPARED {
            prepared.clear();
        }
        prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Failure> {
        // The server gives up first, and says so.
        let within = self.within + self.within / 2;
        let mut end = self.end.clone();
        self.runtime.block_on(async {
            tokio::select! {
                done = timeout(within, work) => done.map_err(|_| silent())?.map_err(|e| Failure::of(&e)),
                () = is_over(&mut end) => Err(unwanted()),
            }
        })
    }

    /// Returns whether notifications were lost.
    pub(super) fn has_lost_news(&self) -> bool {
        self.news.len() >= NEWS
    }

    /// Returns whether the connection is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

/// Returns the latest version of the tables.
pub(super) fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Waits until the thread is to end, and has waited for the database long enough.
async fn is_over(end: &mut watch::Receiver<Option<End>>) {
    let until = match end.wait_for(Option::is_some).await {
        Ok(end) => end.map(|end| end.until),
        Err(_) => None,
    };
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

fn unwanted() -> Failure {
    Failure::Away("the supervisor does not wait for the database any more".to_owned())
}

fn silent() -> Failure {
    Failure::Away("the database does not answer".to_owned())
}

/// Writes a statement of the queue as PostgreSQL understands it: its marks, and without SQLite's choice of an index.
fn in_its_words(sql: &str) -> String {
    let mut words = Vec::new();
    let mut all = sql.split_whitespace();
    while let Some(word) = all.next() {
        if word == "INDEXED" && words.last() == Some(&"NOT") {
            words.pop();
        } else if word == "INDEXED" {
            // `BY`, and the index.
            all.nth(1);
        } else {
            words.push(word);
        }
    }
    words.join(" ").replace('?', "$")
}

fn row_of(row: &tokio_postgres::Row) -> Result<Row, Failure> {
    let cells = row.columns().iter().enumerate().map(|(at, column)| {
        let number = |number: Option<i64>| number.map_or(Cell::Null, Cell::Number);
        match *column.type_() {
            Type::INT8 => row.try_get(at).map(number),
            Type::INT4 => row.try_get::<_, Option<i32>>(at).map(|found| number(found.map(i64::from))),
            Type::BOOL => row.try_get::<_, Option<bool>>(at).map(|found| number(found.map(i64::from))),
            _ => row.try_get::<_, Option<String>>(at).map(Cell::from),
        }
    });
    Ok(Row(cells.collect::<Result<_, _>>().map_err(|e| Failure::of(&e))?))
}

impl ToSql for Cell<'_> {
    fn to_sql(
        &self,
        of: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, of) {
            (Cell::Null, _) => Ok(IsNull::Yes),
            (Cell::Number(number), &Type::INT4) => i32::try_from(*number)?.to_sql(of, out),
            (Cell::Number(number), &Type::BOOL) => (*number != 0).to_sql(of, out),
            (Cell::Number(number), _) => number.to_sql(of, out),
            (Cell::Text(text), _) => (&**text).to_sql(of, out),
        }
    }

    fn accepts(of: &Type) -> bool {
        [Type::INT8, Type::INT4, Type::BOOL, Type::TEXT, Type::VARCHAR, Type::UNKNOWN].contains(of)
    }

    tokio_postgres::types::to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_loses_the_choice_of_its_index() {
        let sql = "SELECT a FROM job INDEXED BY job_next\n   WHERE lane = ?1 AND b NOT IN (?2)";
        assert_eq!(in_its_words(sql), "SELECT a FROM job WHERE lane = $1 AND b NOT IN ($2)");
        assert_eq!(
            in_its_words("SELECT a FROM job NOT INDEXED WHERE b = ?12"),
            "SELECT a FROM job WHERE b = $12"
        );
    }
}

//! The suite of the store's own file, on PostgreSQL.

use super::rig::Server;
use crate::jobs::sql::cells;
use crate::jobs::{Ask, answer};
use crate::shared::session::{Beside, Session};
use crate::tests::queue::model::{Subject, compare};
use gob_protocol::Timestamp;
use gob_protocol::queue::{FIRST_SHARED, QueueAsk, QueueTold};
use std::time::Duration;
use tokio::runtime::Builder;

/// Histories, whatever `GOB_HISTORIES` says: each question is a journey to the server here.
const HISTORIES: u64 = 10;

struct Database<'r>(Session<'r>);

impl Subject for Database<'_> {
    fn answer(&mut self, instance: &str, now: Timestamp, ask: &QueueAsk) -> QueueTold {
        let session = &self.0;
        session.begin(Beside::Nothing).unwrap();
        let sql = "INSERT INTO life(instance, machine, host, seen_at, lease_ms) VALUES (?1, 'm', 'h', 0, 1)
             ON CONFLICT (instance) DO NOTHING";
        session.change(sql, cells![instance]).unwrap();
        let told = answer(&Ask { db: session, instance, now }, ask).unwrap();
        session.simple(if matches!(told, QueueTold::Refused(_)) { "ROLLBACK" } else { "COMMIT" }).unwrap();
        told
    }

    fn holder(&mut self, number: i64) -> Option<String> {
        self.0.rows("SELECT instance FROM job WHERE number = ?1", cells![number]).unwrap()[0].get(0).unwrap()
    }

    fn knows_lives(&self) -> bool {
        false
    }
}

#[test]
fn postgresql_answers_as_the_store_that_the_core_is_tested_with() {
    let Some(server) = Server::start() else { return };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let config = server.address().config().unwrap();
    compare(HISTORIES, FIRST_SHARED, || {
        let (_goes_on, end) = tokio::sync::watch::channel(None);
        let session = Session::open(&runtime, &config, Duration::from_secs(5), end).unwrap();
        session.simple("SET synchronous_commit = off; TRUNCATE life, lane, lane_count, job, job_env, job_after, schedule, schedule_env").unwrap();
        Database(session)
    });
}

//! The library's guards of locks, against a real supervisor: given back at their end, on an error, on a panic and when a future is
//! dropped (C7).

use crate::locks::kill;
use crate::pages::connector;
use gob_client::blocking::Client;
use gob_client::file_lock::FileLock;
use gob_client::lock::Guarded;
use gob_client::protocol::request::{LockAcquire, LockRelease};
use gob_client::protocol::{ErrorCode, LockName};
use gob_client::tokio as tasks;
use gob_client::{Error, blocking::Connector};
use gob_tests::Gob;
use gob_tests::wait::{self, DEADLINE};
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const LOCK: &str = "build";

fn served() -> (Gob, Connector) {
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    let connector = connector(&gob);
    (gob, connector)
}

fn status(gob: &Gob) -> Value {
    gob.connect().ok("lock_status", json!({"lock": LOCK}))["locks"][0].clone()
}

fn count(gob: &Gob, parties: &str) -> usize {
    status(gob)[parties].as_array().map_or(0, Vec::len)
}

fn code<T>(result: Result<T, Error>) -> Option<ErrorCode> {
    match result {
        Err(Error::Refused(error)) => Some(error.code),
        Ok(_) | Err(_) => None,
    }
}

fn wants(timeout_ms: Option<u64>) -> LockAcquire {
    LockAcquire { timeout_ms, ..LockAcquire::new(LockName::new(LOCK).unwrap()) }
}

/// Panics without words on the test's output.
fn falls() {
    std::panic::resume_unwind(Box::new("on purpose"));
}

#[test]
fn a_guard_gives_its_lock_back_at_its_end_on_an_error_and_on_a_panic() {
    let (gob, connector) = served();
    let mut client = connector.connect().unwrap();
    let mut held = client.lock(LOCK).unwrap();
    let first = held.token();
    assert_eq!(count(&gob, "holders"), 1);
    assert_eq!(code(held.client().lock(LOCK).map(drop)), Some(ErrorCode::LockDeadlock));
    held.renew().unwrap();
    drop(held);
    assert_eq!(count(&gob, "holders"), 0, "dropped");
    let fails = |client: &mut Client| -> Result<(), Error> {
        let mut held = client.lock(LOCK)?;
        let strange = LockRelease { lock: held.name().clone(), token: held.token() + 1 };
        held.client().ask(strange).map(drop)
    };
    assert_eq!(code(fails(&mut client)), Some(ErrorCode::LockNotHeld));
    assert_eq!(count(&gob, "holders"), 0, "left by an error");
    let panics = catch_unwind(AssertUnwindSafe(|| {
        let held = client.lock(LOCK).unwrap();
        falls();
        drop(held);
    }));
    assert!(panics.is_err());
    assert_eq!(count(&gob, "holders"), 0, "left by a panic");
    let last = client.lock(LOCK).unwrap();
    assert!(last.token() >= first + 3, "{} after {first}", last.token());
    last.release().unwrap();
    assert_eq!(count(&gob, "holders"), 0, "given back");
}

#[test]
fn work_under_a_lock_gives_it_back_however_it_ends() {
    let (gob, connector) = served();
    let mut client = connector.connect().unwrap();
    let during = client.with_lock(LOCK, |_| count(&gob, "holders")).unwrap();
    assert_eq!((during, count(&gob, "holders")), (1, 0));
    let failed = client.with_lock(LOCK, |_| Err::<(), _>("the work failed")).unwrap();
    assert_eq!((failed, count(&gob, "holders")), (Err("the work failed"), 0));
    let panics = catch_unwind(AssertUnwindSafe(|| client.with_lock(LOCK, |_| falls())));
    assert_eq!((panics.is_err(), count(&gob, "holders")), (true, 0));
    // The work was done, and the lock was lost meanwhile.
    let mut other = gob.connect_as("cli");
    let lost = client.with_lock(LOCK, |_| drop(other.ok("lock_break", json!({"lock": LOCK}))));
    assert_eq!(code(lost), Some(ErrorCode::LockNotHeld));
    // A killed supervisor takes the connection, and nothing hangs.
    let held = client.lock(LOCK).unwrap();
    kill(&gob);
    drop(held);
    assert!(client.lock(LOCK).is_err());
}

#[test]
fn each_access_to_a_guarded_value_holds_the_lock_for_just_that_long() {
    let (gob, connector) = served();
    let guarded = Guarded::new(connector.connect().unwrap(), LOCK, 0_u32).unwrap();
    let guarded = guarded.timeout(Duration::from_secs(30));
    let rounds = || {
        let mut last = 0;
        for _ in 0..20 {
            let token = guarded.with(|value, token| {
                *value += 1;
                token
            });
            let token = token.unwrap();
            assert!(token > last, "{token} after {last}");
            last = token;
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(rounds);
        scope.spawn(rounds);
    });
    assert_eq!(guarded.with(|_, _| count(&gob, "holders")).unwrap(), 1);
    assert_eq!(count(&gob, "holders"), 0);
    let panics = catch_unwind(AssertUnwindSafe(|| guarded.with(|_, _| falls())));
    assert_eq!((panics.is_err(), count(&gob, "holders")), (true, 0));
    let other = Guarded::new(connector.connect().unwrap(), LOCK, ()).unwrap();
    let other = other.timeout(Duration::from_millis(1));
    let refused = guarded.with(|_, _| code(other.with(|(), _| ()))).unwrap();
    assert_eq!(refused, Some(ErrorCode::LockTimeout));
    let (_, value) = guarded.into_inner();
    assert_eq!(value, 40);
}

#[test]
fn a_lock_file_is_gone_after_an_error_and_a_panic() {
    let (gob, _) = served();
    let path = gob.dir().join("build.lock");
    let fails = || -> Result<(), Box<dyn std::error::Error>> {
        let mut lock = FileLock::new(&path);
        lock.acquire()?;
        assert!(path.exists());
        FileLock::new(gob.dir().join("missing").join("lock")).acquire()?;
        Ok(())
    };
    assert!(fails().is_err());
    assert!(!path.exists(), "left by an error");
    let panics = catch_unwind(|| {
        let mut lock = FileLock::new(&path);
        lock.acquire().unwrap();
        falls();
    });
    assert!(panics.is_err());
    assert!(!path.exists(), "left by a panic");
}

#[test]
fn the_guard_of_a_task_gives_its_lock_back_when_it_is_dropped_or_cancelled() {
    let (gob, connector) = served();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let goes = async {
        let take = |timeout_ms| tasks::lock(connector.clone(), wants(timeout_ms));
        let held = take(None).await.unwrap();
        let first = held.token();
        held.release().await.unwrap();
        assert_eq!(count(&gob, "holders"), 0, "given back, and the answer says so");
        drop(take(None).await.unwrap());
        // The task that moves the bytes has to see it.
        tokio::task::yield_now().await;
        let mut held = take(None).await.unwrap();
        held.renew().await.unwrap();
        assert!(held.token() >= first + 2, "{} after {first}", held.token());
        assert_eq!(code(take(Some(0)).await.map(drop)), Some(ErrorCode::LockTimeout));
        // A future that is dropped leaves the line.
        let waiting = tokio::spawn(take(None));
        while count(&gob, "waiters") == 0 {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        assert!(waiting.await.is_err_and(|error| error.is_cancelled()));
        while count(&gob, "waiters") > 0 {
            tokio::task::yield_now().await;
        }
        drop(held);
        // Tasks that end by a panic, and by an abort while they hold it.
        let connector = connector.clone();
        let panics = tokio::spawn(async move {
            let held = tasks::lock(connector, wants(None)).await.unwrap();
            falls();
            drop(held);
        });
        assert!(panics.await.is_err_and(|error| error.is_panic()));
        let held = take(None);
        let holds = tokio::spawn(async move {
            let _held = held.await.unwrap();
            std::future::pending::<()>().await;
        });
        while count(&gob, "holders") == 0 {
            tokio::task::yield_now().await;
        }
        holds.abort();
        assert!(holds.await.is_err_and(|error| error.is_cancelled()));
        drop(take(None).await.unwrap());
    };
    runtime.block_on(async { tokio::time::timeout(DEADLINE * 3, goes).await.unwrap() });
    drop(runtime);
    assert!(wait::until(DEADLINE, || count(&gob, "holders") == 0));
}

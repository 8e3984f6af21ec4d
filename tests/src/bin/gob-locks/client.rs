//! A client: takes the lock again and again, until it is killed.

use crate::stamp;
use gob_client::blocking::{Client, Connector};
use gob_client::call::{LockAcquire, LockRelease};
use gob_client::file_lock::{FileLock, Settings};
use gob_client::protocol::LockName;
use gob_client::{Dirs, Error, Owner};
use gob_tests::dice::Dice;
use gob_tests::wait::while_time_passes;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Takes the lock file at `lock`.
pub(crate) fn hold_file(lock: &Path, dir: &Path, seed: u64) -> ExitCode {
    let mut dice = Dice::new(seed);
    let stamp = dir.join("stamp");
    let settings = Settings {
        process: "gob-locks".into(),
        retries: u32::MAX,
        retry_delay: Duration::from_millis(1),
        ..Settings::default()
    };
    loop {
        let began = Instant::now();
        let mut held = FileLock::with_settings(lock, settings.clone());
        held.acquire().expect("the lock file");
        let waited = began.elapsed();
        if let Err(other) = stamp::make(&stamp) {
            return second_holder(other);
        }
        while_time_passes(Duration::from_micros(dice.below(2_000)));
        stamp::remove(&stamp);
        held.release().expect("the lock file");
        println!("round {}", waited.as_millis());
    }
}

/// Takes a lock of the supervisor whose directories the environment names.
pub(crate) fn hold_named(dir: &Path, seed: u64) -> ExitCode {
    let mut dice = Dice::new(seed);
    let (stamp, grants) = (dir.join("stamp"), dir.join("grants"));
    let owner = Owner::new("cli").expect("an owner");
    let connector = Connector::new(Dirs::from_env().expect("directories"), owner).autostart(false);
    let lock = LockName::new("the lock").expect("a name");
    loop {
        let until = Instant::now().checked_add(Duration::from_secs(60));
        let Ok(Some(mut client)) = connector.connect_when_there(until) else {
            println!("no supervisor for a minute");
            return ExitCode::FAILURE;
        };
        loop {
            match round(&mut client, &lock, &stamp, &grants, &mut dice) {
                Ok(Ok(())) => {}
                Ok(Err(code)) => return code,
                // The supervisor was killed; what was held is not held any more.
                Err(Error::Lost { .. } | Error::Nobody { .. } | Error::Refused(_)) => break,
                Err(error) => {
                    println!("failed: {error}");
                    return ExitCode::FAILURE;
                }
            }
        }
    }
}

/// One round; the exit code where two hold the lock, or a token is not larger than an earlier one.
fn round(
    client: &mut Client,
    lock: &LockName,
    stamp: &Path,
    grants: &Path,
    dice: &mut Dice,
) -> Result<Result<(), ExitCode>, Error> {
    let (began, before) = (Instant::now(), granted(grants).1);
    let priority = i32::try_from(dice.below(3)).ok();
    let data = client.ask(LockAcquire { priority, ..LockAcquire::new(lock.clone()) })?;
    if let Err(other) = stamp::make(stamp) {
        return Ok(Err(second_holder(other)));
    }
    let (last, number) = granted(grants);
    if data.token <= last {
        println!("token {} after {last}", data.token);
        return Ok(Err(ExitCode::FAILURE));
    }
    let mut file = OpenOptions::new().create(true).append(true).open(grants).expect("the list of grants");
    file.write_all(format!("{:>20}\n", data.token).as_bytes()).expect("the list of grants");
    while_time_passes(Duration::from_micros(dice.below(1_000)));
    stamp::remove(stamp);
    println!("round {} {}", began.elapsed().as_millis(), number.saturating_sub(before));
    client.ask(LockRelease { lock: lock.clone(), token: data.token })?;
    Ok(Ok(()))
}

/// The last token that was granted, and the number of grants.
fn granted(grants: &Path) -> (u64, u64) {
    const LINE: usize = 21;
    let Ok(file) = File::open(grants) else { return (0, 0) };
    let whole = file.metadata().map_or(0, |found| found.len() / LINE as u64);
    let mut last = [0; LINE];
    let at = whole.saturating_sub(1) * LINE as u64;
    if whole == 0 || file.read_exact_at(&mut last, at).is_err() {
        return (0, 0);
    }
    (String::from_utf8_lossy(&last).trim().parse().unwrap_or(0), whole)
}

fn second_holder(other: i32) -> ExitCode {
    println!("held by {other}, too");
    ExitCode::FAILURE
}

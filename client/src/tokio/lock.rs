//! Named locks for programs with a runtime. Each has a connection of its own, so that tasks do not take each other for one party.

use super::Client;
use crate::blocking::Connector;
use crate::call::{LockAcquire, LockRelease};
use crate::error::Error;
use gob_protocol::{LockName, Timestamp};

/// A lock that is held; its end gives it back, and so does the end of the program.
#[derive(Debug)]
pub struct LockGuard {
    client: Client,
    lock: LockName,
    token: u64,
    expires_at: Option<Timestamp>,
}

/// Takes a lock as the request says, over a new connection. To drop the future is to leave the line.
///
/// # Errors
/// Those of [`Client::connect`] and [`Client::ask`], `lock-timeout` and `lock-deadlock`.
pub async fn lock(connector: Connector, asked: LockAcquire) -> Result<LockGuard, Error> {
    let client = Client::connect(connector).await?;
    let held = client.ask(asked).await?;
    Ok(LockGuard { client, lock: held.lock, token: held.token, expires_at: held.expires_at })
}

impl LockGuard {
    /// Returns the fencing token: higher than those of all earlier holders.
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.token
    }

    /// Returns when the lock is lost unless it is renewed; `None` for one without a TTL.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Begins the TTL anew.
    ///
    /// # Errors
    /// `lock-not-held` where the lock was lost, and those of [`Client::ask`].
    pub async fn renew(&mut self) -> Result<(), Error> {
        let asked = LockAcquire { token: Some(self.token), ..LockAcquire::new(self.lock.clone()) };
        self.expires_at = self.client.ask(asked).await?.expires_at;
        Ok(())
    }

    /// Gives the lock back, and waits until it is free. A guard that is dropped gives it back by the end of its connection.
    ///
    /// # Errors
    /// As [`LockGuard::renew`]; the lock is not held any more in any case.
    pub async fn release(self) -> Result<(), Error> {
        let release = LockRelease { lock: self.lock.clone(), token: self.token };
        self.client.ask(release).await.map(drop)
    }
}

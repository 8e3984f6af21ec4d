//! Named locks that are given back when they go out of scope, on an error and on a panic too (PROTOCOL 5, Locks).
//!
//! ```no_run
//! use gob_client::{Dirs, Owner, blocking::Connector};
//!
//! # fn main() -> Result<(), gob_client::Error> {
//! let mut client = Connector::new(Dirs::from_env()?, Owner::cli()).connect()?;
//! let build = client.lock("build")?;
//! println!("token {}", build.token());
//! drop(build);
//! client.with_lock("deploy", |_held| println!("nobody else deploys now"))?;
//! # Ok(())
//! # }
//! ```
//!
//! A connection is one party: a lock that it holds can't be taken again over it, and fails at once. The lock is lost with the
//! connection, as when the supervisor is killed; the token is what a store can tell an outdated holder by.

use crate::blocking::Client;
use crate::call::{LockAcquire, LockRelease};
use crate::error::Error;
use gob_protocol::{ErrorCode, LockName, Timestamp, WireError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Time limit of giving a lock back where nobody waits for it.
const GIVING_BACK: Duration = Duration::from_secs(1);

/// A lock that is held; its end gives it back.
#[derive(Debug)]
pub struct Guard<'c> {
    client: &'c mut Client,
    lock: LockName,
    token: u64,
    expires_at: Option<Timestamp>,
    is_over: bool,
}

impl Guard<'_> {
    /// Returns the fencing token: higher than those of all earlier holders.
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.token
    }

    /// Returns the name of the lock.
    #[must_use]
    pub const fn name(&self) -> &LockName {
        &self.lock
    }

    /// Returns when the lock is lost unless it is renewed; `None` for one without a TTL.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Returns the connection that holds the lock, for other requests meanwhile.
    pub const fn client(&mut self) -> &mut Client {
        self.client
    }

    /// Begins the TTL anew.
    ///
    /// # Errors
    /// `lock-not-held` where the lock was lost, and those of [`Client::ask`].
    pub fn renew(&mut self) -> Result<(), Error> {
        let asked = LockAcquire { token: Some(self.token), ..LockAcquire::new(self.lock.clone()) };
        self.expires_at = self.client.ask(asked)?.expires_at;
        Ok(())
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// As [`Guard::renew`]; the lock is not held any more in any case.
    pub fn release(mut self) -> Result<(), Error> {
        self.is_over = true;
        let release = LockRelease { lock: self.lock.clone(), token: self.token };
        self.client.ask(release).map(drop)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.is_over && !self.client.has_ended() {
            let release = LockRelease { lock: self.lock.clone(), token: self.token };
            // Where it fails, the end of the connection gives the lock back.
            drop(self.client.call(release, GIVING_BACK));
        }
    }
}

impl Client {
    /// Takes a lock, exclusively, and waits for it without a limit.
    ///
    /// # Errors
    /// `invalid-name`, `lock-deadlock`, and those of [`Client::ask`].
    pub fn lock(&mut self, name: &str) -> Result<Guard<'_>, Error> {
        self.lock_as(LockAcquire::new(named(name)?))
    }

    /// Takes a lock as the request says.
    ///
    /// # Errors
    /// `lock-timeout` beyond its `timeout_ms`, and those of [`Client::lock`].
    pub fn lock_as(&mut self, asked: LockAcquire) -> Result<Guard<'_>, Error> {
        let held = self.ask(asked)?;
        Ok(Guard {
            client: self,
            lock: held.lock,
            token: held.token,
            expires_at: held.expires_at,
            is_over: false,
        })
    }

    /// Does something while it holds a lock.
    ///
    /// # Errors
    /// Those of [`Client::lock`]; also where the lock was lost meanwhile, after the work was done.
    pub fn with_lock<R>(&mut self, name: &str, work: impl FnOnce(&mut Guard<'_>) -> R) -> Result<R, Error> {
        let mut held = self.lock(name)?;
        let done = work(&mut held);
        held.release()?;
        Ok(done)
    }
}

/// A value of which every access holds a lock, for just that long. It keeps the threads of this program apart, too.
#[derive(Debug)]
pub struct Guarded<T> {
    asked: LockAcquire,
    inner: Mutex<(Client, T)>,
}

impl<T> Guarded<T> {
    /// Guards a value by a lock, which is taken over this connection.
    ///
    /// # Errors
    /// `invalid-name`.
    pub fn new(client: Client, name: &str, value: T) -> Result<Self, Error> {
        Ok(Self { asked: LockAcquire::new(named(name)?), inner: Mutex::new((client, value)) })
    }

    /// Limits the wait for each access.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.asked.timeout_ms = Some(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Accesses the value while the lock is held, with the token of that hold.
    ///
    /// # Errors
    /// Those of [`Client::lock_as`]; also where the lock was lost meanwhile, after the access.
    pub fn with<R>(&self, access: impl FnOnce(&mut T, u64) -> R) -> Result<R, Error> {
        // The lock itself was given back when an earlier access panicked.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (client, value) = &mut *inner;
        let held = client.lock_as(self.asked.clone())?;
        let done = access(value, held.token());
        held.release()?;
        Ok(done)
    }

    /// Returns the connection and the value.
    pub fn into_inner(self) -> (Client, T) {
        self.inner.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

fn named(name: &str) -> Result<LockName, Error> {
    let refused = |why: gob_protocol::NameError| {
        Error::Refused(WireError::new(
            ErrorCode::InvalidName,
            format!("{name:?} is no name of a lock: {why}"),
        ))
    };
    LockName::new(name).map_err(refused)
}

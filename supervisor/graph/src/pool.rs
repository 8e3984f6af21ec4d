//! A bounded pool: a fixed number of things, each used by one request at a time.
//!
//! Owns the idle things and the count of all. Things are made at their first use. Every wait has a deadline;
//! a thing on loan comes back by itself.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A pool of at most `capacity` things.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    state: Mutex<State<T>>,
    returned: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct State<T> {
    idle: Vec<T>,
    made: usize,
}

/// A thing on loan.
#[derive(Debug)]
pub(crate) struct Taken<'a, T> {
    pool: &'a Pool<T>,
    /// Empty only during its drop.
    thing: Option<T>,
}

impl<T> Pool<T> {
    /// Creates an empty pool.
    pub(crate) const fn new(capacity: usize) -> Self {
        let state = Mutex::new(State { idle: Vec::new(), made: 0 });
        Self { state, returned: Condvar::new(), capacity }
    }

    /// Creates a pool with exactly one thing.
    pub(crate) fn of_one(thing: T) -> Self {
        let state = Mutex::new(State { idle: vec![thing], made: 1 });
        Self { state, returned: Condvar::new(), capacity: 1 }
    }

    /// Takes a thing, and makes it where fewer than `capacity` exist; `None` after `wait`.
    ///
    /// # Errors
    /// The error of `make`.
    pub(crate) fn take<E>(
        &self,
        wait: Duration,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Option<Taken<'_, T>>, E> {
        let mut state = self.state();
        let mut deadline = None;
        loop {
            if let Some(thing) = state.idle.pop() {
                return Ok(Some(Taken { pool: self, thing: Some(thing) }));
            }
            if state.made < self.capacity {
                state.made += 1;
                drop(state);
                return match make() {
                    Ok(thing) => Ok(Some(Taken { pool: self, thing: Some(thing) })),
                    Err(e) => {
                        self.forget();
                        Err(e)
                    }
                };
            }
            // The clock is read only before a wait.
            let until = *deadline.get_or_insert_with(|| Instant::now() + wait);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let waited = self.returned.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Drops idle things; others are made in their place when needed.
    pub(crate) fn discard_if(&self, useless: impl Fn(&T) -> bool) {
        let mut state = self.state();
        let (gone, kept): (Vec<T>, Vec<T>) = state.idle.drain(..).partition(useless);
        state.made -= gone.len();
        state.idle = kept;
        // The drop may take a moment.
        drop(state);
        drop(gone);
    }

    fn forget(&self) {
        self.state().made -= 1;
        self.returned.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // The state is a list and a count, changed in single steps: a panic elsewhere can't have torn it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Taken<'_, T> {
    /// Drops the thing; another one is made in its place when needed.
    pub(crate) fn discard(mut self) {
        drop(self.thing.take());
        self.pool.forget();
    }
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.thing {
            Some(thing) => thing,
            None => unreachable!("a taken thing is there until it is dropped"),
        }
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.thing {
            Some(thing) => thing,
            None => unreachable!("a taken thing is there until it is dropped"),
        }
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        if let Some(thing) = self.thing.take() {
            self.pool.state().idle.push(thing);
            self.pool.returned.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn take(pool: &Pool<u32>, wait: Duration) -> Option<Taken<'_, u32>> {
        pool.take(wait, || Ok::<_, Infallible>(7)).unwrap()
    }

    #[test]
    fn bounded_and_returned() {
        let pool = Pool::new(2);
        let first = take(&pool, Duration::ZERO).unwrap();
        let second = take(&pool, Duration::ZERO).unwrap();
        assert!(take(&pool, Duration::from_millis(1)).is_none());
        drop(first);
        let again = take(&pool, Duration::ZERO).unwrap();
        assert!(take(&pool, Duration::ZERO).is_none());
        drop((again, second));
        assert!(take(&pool, Duration::ZERO).is_some());
    }

    #[test]
    fn a_waiter_gets_what_comes_back() {
        let pool = Pool::of_one(1);
        let held = take(&pool, Duration::ZERO).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| *take(&pool, Duration::from_secs(10)).unwrap());
            drop(held);
            assert_eq!(waiter.join().unwrap(), 1);
        });
    }

    #[test]
    fn a_discarded_thing_leaves_its_place() {
        let pool = Pool::new(1);
        take(&pool, Duration::ZERO).unwrap().discard();
        let taken = take(&pool, Duration::ZERO).unwrap();
        pool.discard_if(|_| true);
        assert!(take(&pool, Duration::ZERO).is_none(), "what is in use is not idle");
        drop(taken);
        pool.discard_if(|_| true);
        assert_eq!(pool.state().made, 0);
        assert!(take(&pool, Duration::ZERO).is_some());
    }

    #[test]
    fn a_failed_making_leaves_its_place() {
        let pool: Pool<u32> = Pool::new(1);
        assert_eq!(pool.take(Duration::ZERO, || Err("no")).unwrap_err(), "no");
        assert!(take(&pool, Duration::ZERO).is_some());
    }
}

//! The present operation of a piece of work, and the mount on which it is.

use super::mounts::Mounts;
use super::{STALL, Shared, Silent, links};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The present operation of a piece of work.
#[derive(Debug, Clone)]
pub(crate) struct At(Arc<Mutex<Point>>);

#[derive(Debug, Clone)]
pub(super) struct Point {
    handed_in: Instant,
    pub(super) begun: Option<Instant>,
    pub(super) operation: &'static str,
    pub(super) place: String,
    /// The place to which that leads by its links, as far as they have been followed.
    pub(super) leads_to: Option<String>,
    /// Where the work is done, once it has begun.
    pub(super) among: Option<Arc<Shared>>,
}

impl Default for At {
    /// Work that is handed in now.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Point {
            handed_in: Instant::now(),
            begun: None,
            operation: "",
            place: String::new(),
            leads_to: None,
            among: None,
        })))
    }
}

impl At {
    /// Notes the next operation.
    pub(crate) fn go(&self, operation: &'static str, place: &str) {
        let mut point = self.point();
        point.operation = operation;
        point.place.clear();
        point.place.push_str(place);
        point.leads_to = None;
    }

    /// Notes the next operation, and, while other work is stuck, the places to which links on its path lead: a path tells by its
    /// text alone neither the mount on which its operation hangs, nor that the mount has its part of the threads.
    ///
    /// # Errors
    /// The operation that hangs where this one would, on a mount that gets no more threads.
    pub(crate) fn enter(&self, operation: &'static str, place: &str) -> Result<(), Silent> {
        self.go(operation, place);
        let among = self.point().among.clone();
        let is_stuck = |shared: &Arc<Shared>| !shared.lock().older_than(STALL).is_empty();
        let path = Path::new(place);
        let Some(shared) = among.filter(|shared| path.is_absolute() && is_stuck(shared)) else {
            return Ok(());
        };
        let mounts = (shared.mounts)();
        links::walk(path, |step| {
            let step = step.to_string_lossy();
            let refused = shared.lock().hang_at(&mounts, mounts.of(&step), self);
            self.point().leads_to = Some(step.into_owned());
            refused.map_or(Ok(()), Err)
        })
    }

    /// Returns the mount of its present operation.
    pub(super) fn mount(&self, mounts: &Mounts) -> usize {
        let point = self.point();
        mounts.of(point.leads_to.as_ref().unwrap_or(&point.place))
    }

    /// Returns the reason why its caller waits no longer.
    pub(crate) fn silent(&self) -> Silent {
        let Point { handed_in, begun, operation, place, .. } = self.point().clone();
        let seconds = begun.unwrap_or(handed_in).elapsed().as_secs();
        Silent { operation, place, seconds, elsewhere: 0 }
    }

    pub(super) fn begin(&self, among: Arc<Shared>) {
        let mut point = self.point();
        point.begun = Some(Instant::now());
        point.among = Some(among);
    }

    /// Returns the time since its begin; `None` if it has not begun.
    pub(super) fn age(&self) -> Option<Duration> {
        self.point().begun.map(|begun| begun.elapsed())
    }

    pub(super) fn is_older_than(&self, limit: Duration) -> bool {
        self.age().is_some_and(|age| age >= limit)
    }

    pub(super) fn point(&self) -> MutexGuard<'_, Point> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether both mean the same piece of work.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

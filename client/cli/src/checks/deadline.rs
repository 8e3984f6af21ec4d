//! Checks with a deadline: a file system whose server is gone blocks its callers, perhaps for hours, and no
//! system call on it takes a deadline. So each check has a thread of its own, which is left behind at its
//! time limit.

use super::{Check, warn};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A check in progress.
pub(super) struct Look<T>(Receiver<T>);

impl<T: Send + 'static> Look<T> {
    /// Begins the check. Its thread ends with the program at the latest. Without a thread it runs at once,
    /// without a limit.
    pub(super) fn begin(look: impl FnOnce() -> T + Send + 'static) -> Self {
        Self::begin_by(look, |job| std::thread::Builder::new().spawn(job).map(drop))
    }

    fn begin_by(
        look: impl FnOnce() -> T + Send + 'static,
        spawn: impl FnOnce(Box<dyn FnOnce() + Send>) -> io::Result<()>,
    ) -> Self {
        let (sender, receiver) = channel();
        // A thread that can't be made drops its closure, so both sides share it.
        let work = Arc::new(Mutex::new(Some((look, sender))));
        let theirs = Arc::clone(&work);
        if spawn(Box::new(move || run(&theirs))).is_err() {
            run(&work);
        }
        Self(receiver)
    }

    /// Returns the result; `None` at the deadline.
    pub(super) fn end(self, deadline: Instant) -> Option<T> {
        self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }
}

fn run<T>(work: &Mutex<Option<(impl FnOnce() -> T, Sender<T>)>>) {
    let taken = work.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((look, sender)) = taken {
        sender.send(look()).ok();
    }
}

/// A subject: its name, and its checks.
pub(super) type Subject<S> = (&'static str, fn(&S) -> Vec<Check>);

/// Runs all subjects, one after the other. A subject that takes longer than `limit` only reports that.
pub(super) fn each<S: Send + Sync + 'static>(
    subjects: &[Subject<S>],
    scene: &Arc<S>,
    limit: Duration,
) -> Vec<Check> {
    let one = |(what, look): &Subject<S>| {
        let (look, scene) = (*look, Arc::clone(scene));
        let deadline = Instant::now() + limit;
        Look::begin(move || look(&scene)).end(deadline).unwrap_or_else(|| {
            let found = format!("not known: looking at it took longer than {} s", limit.as_secs_f64());
            vec![warn(what, found, "see whether a disk does not answer: cat /proc/mounts")]
        })
    };
    subjects.iter().flat_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Level, ok};
    use super::*;

    #[test]
    fn without_a_thread_a_check_runs_all_the_same() {
        let look = Look::begin_by(|| 7, |_| Err(io::ErrorKind::WouldBlock.into()));
        assert_eq!(look.end(Instant::now()), Some(7));
    }

    #[test]
    fn a_check_that_hangs_is_named_and_delays_no_other() {
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().unwrap();
        let subjects: [Subject<Mutex<()>>; 3] = [
            ("one", |_| vec![ok("one", "well")]),
            ("hangs", |gate| {
                let _open = gate.lock();
                vec![ok("hangs", "well")]
            }),
            ("two", |_| vec![ok("two", "well")]),
        ];
        // Long enough for the others on a busy machine.
        let checks = each(&subjects, &gate, Duration::from_secs(3));
        let told: Vec<_> = checks.iter().map(|check| (check.what, check.level)).collect();
        assert_eq!(told, [("one", Level::Ok), ("hangs", Level::Warn), ("two", Level::Ok)]);
        assert_eq!(checks[1].found, "not known: looking at it took longer than 3 s");
        drop(closed);
        assert_eq!(each(&subjects, &gate, Duration::from_secs(60)).len(), 3);
    }
}

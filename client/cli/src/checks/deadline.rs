//! Looks that can't hang: a file system whose server is gone holds up whoever touches it, for hours perhaps, and no system
//! call on it takes a deadline. So each look has a thread of its own, which is left behind when it takes too long.

use super::{Check, warn};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Something that is being looked at.
pub(super) struct Look<T>(Receiver<T>);

impl<T: Send + 'static> Look<T> {
    /// Begins it. Its thread ends with the program at the latest.
    pub(super) fn begin(look: impl FnOnce() -> T + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        std::thread::spawn(move || sender.send(look()).ok());
        Self(receiver)
    }

    /// What it came to; nothing when it has not come to anything by then.
    pub(super) fn end(self, deadline: Instant) -> Option<T> {
        self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }
}

/// A subject: the name of what it checks, and how.
pub(super) type Subject<S> = (&'static str, fn(&S) -> Vec<Check>);

/// Goes through all subjects, one after the other. Of one that takes longer than `limit` just that is told.
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
    use std::sync::Mutex;

    #[test]
    fn what_hangs_is_named_and_holds_up_nobody_else() {
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
        let checks = each(&subjects, &gate, Duration::from_millis(50));
        let told: Vec<_> = checks.iter().map(|check| (check.what, check.level)).collect();
        assert_eq!(told, [("one", Level::Ok), ("hangs", Level::Warn), ("two", Level::Ok)]);
        assert_eq!(checks[1].found, "not known: looking at it took longer than 0.05 s");
        drop(closed);
        assert_eq!(each(&subjects, &gate, Duration::from_secs(60)).len(), 3);
    }
}

//! Work that may wait for a disk, done beside the main thread.
//!
//! Not tokio's `spawn_blocking`, which panics when the kernel has no thread to give: then it is done here and now, for a
//! supervisor that stops for a moment is better than none.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// The parsing of the configuration is what goes deepest.
const STACK_BYTES: usize = 1 << 20;

/// Begins the work; what it returns comes through the receiver, or nothing if it panicked.
pub(crate) fn begin<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (done, result) = oneshot::channel();
    // Shared, because a thread that could not be had takes down what was meant for it.
    let work = Arc::new(Mutex::new(Some(move || {
        // Whoever began it may not care.
        drop(done.send(work()));
    })));
    let mut thread = std::thread::Builder::new().name("off-thread".to_owned());
    thread = thread.stack_size(STACK_BYTES);
    let theirs = Arc::clone(&work);
    if let Err(error) = thread.spawn(move || take(&theirs)) {
        tracing::warn!(%error, "no thread to be had; a disk is waited for where everything waits");
        take(&work);
    }
    result
}

fn take(work: &Mutex<Option<impl FnOnce()>>) {
    let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(work) = work {
        work();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_comes_and_a_panic_is_no_result() {
        let (here, there) = (std::thread::current().id(), begin(|| std::thread::current().id()));
        assert_ne!(there.blocking_recv().unwrap(), here);
        assert!(begin(|| panic!("on purpose")).blocking_recv().is_err());
    }
}

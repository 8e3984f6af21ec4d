//! How the scheduler treats a thread (sched(7)).

/// Says that this thread works through heaps and that nobody waits for it (`SCHED_BATCH`): it has the same share of the
/// processor, but no other thread is interrupted because this one wakes up. For threads that start nothing: a child would
/// inherit it. A kernel that refuses it changes nothing, and neither does this where somebody gave the supervisor another policy.
///
/// Short turns for the loop (`sched_runtime` of sched_setattr(2)) were tried besides: no gain could be measured on a noisy
/// machine, and 64 connections rather got fewer answers.
pub(crate) fn let_others_finish() {
    let usual = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads one `sched_param`; 0 is this thread.
    unsafe {
        if libc::sched_getscheduler(0) == libc::SCHED_OTHER {
            libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const usual);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_lets_others_finish_keeps_its_priority() {
        let check = || {
            // SAFETY: integers only; 0 is this thread.
            let now = || unsafe { (libc::sched_getscheduler(0), libc::getpriority(libc::PRIO_PROCESS, 0)) };
            let (usual, nice) = now();
            assert_eq!(usual, libc::SCHED_OTHER);
            let_others_finish();
            assert_eq!(now(), (libc::SCHED_BATCH, nice));
        };
        std::thread::spawn(check).join().unwrap();
    }
}

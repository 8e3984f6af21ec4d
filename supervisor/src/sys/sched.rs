//! How soon the scheduler runs a thread that has something to do (sched(7), `sched_setattr`).

use std::mem::MaybeUninit;

/// The length of a turn that is asked for, in nanoseconds: the shortest that Linux takes.
const SHORT_NS: u64 = 100_000;

/// Asks for short turns for this thread: among threads of one priority, Linux runs the one first whose turn would end first,
/// so that a short one begins at once. Otherwise a request waits until a thread that copies output has used up its own
/// turn, some milliseconds. Takes no processor time from anybody, and what this thread starts has turns of the
/// usual length. A kernel before 6.12 takes the call and changes nothing; one that refuses it changes nothing either.
pub(crate) fn ask_for_short_turns() {
    change(|usual| libc::sched_attr { sched_runtime: SHORT_NS, ..usual });
}

/// Says that this thread works through heaps and that nobody waits for it (`SCHED_BATCH`): it has the same share of the
/// processor, but no other thread is interrupted because this one wakes up. For threads that start nothing: a child would
/// inherit it. A kernel that refuses it changes nothing.
pub(crate) fn let_others_finish() {
    change(|usual| libc::sched_attr { sched_policy: libc::SCHED_BATCH.cast_unsigned(), ..usual });
}

/// Changes how this thread is scheduled, if it is scheduled as usual, and not how what it starts is.
fn change(to: impl FnOnce(libc::sched_attr) -> libc::sched_attr) {
    let Some(usual) = attributes().filter(|now| now.sched_policy == libc::SCHED_OTHER.cast_unsigned()) else {
        return;
    };
    let sched_flags = libc::SCHED_FLAG_RESET_ON_FORK.cast_unsigned().into();
    let changed = libc::sched_attr { sched_flags, ..to(usual) };
    // SAFETY: the kernel reads one `sched_attr`; 0 is this thread.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const changed, 0) };
}

/// Returns how this thread is scheduled.
fn attributes() -> Option<libc::sched_attr> {
    let mut now = MaybeUninit::<libc::sched_attr>::zeroed();
    // SAFETY: the kernel writes at most so many bytes to valid memory.
    let got = unsafe {
        libc::syscall(libc::SYS_sched_getattr, 0, now.as_mut_ptr(), size_of::<libc::sched_attr>(), 0)
    };
    // SAFETY: zeroes are a valid value, and so is what the kernel wrote over them.
    (got == 0).then(|| unsafe { now.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length of this thread's turn; 0 where the kernel does not tell.
    fn turn() -> u64 {
        attributes().map_or(0, |now| now.sched_runtime)
    }

    #[test]
    fn turns_are_short_here_and_as_usual_in_what_this_thread_starts() {
        let check = || {
            let (usual, nice) = (turn(), attributes().map(|now| now.sched_nice));
            ask_for_short_turns();
            // A kernel before 6.12 has no such turns, and one that is asked for less may round up.
            assert!(usual == 0 || (SHORT_NS..usual).contains(&turn()), "{} of {usual}", turn());
            assert_eq!(attributes().map(|now| now.sched_nice), nice);
            let theirs = std::thread::spawn(turn).join().unwrap();
            assert_eq!(theirs, usual, "a thread that was started later");
        };
        std::thread::spawn(check).join().unwrap();
    }
    #[test]
    fn a_thread_that_lets_others_finish_keeps_its_priority() {
        let check = || {
            let usual = attributes().unwrap();
            let_others_finish();
            let now = attributes().unwrap();
            assert_eq!(now.sched_policy.cast_signed(), libc::SCHED_BATCH);
            assert_eq!(now.sched_nice, usual.sched_nice);
        };
        std::thread::spawn(check).join().unwrap();
    }
}

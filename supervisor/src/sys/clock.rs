//! The kernel's clocks that count from boot.

use std::mem::MaybeUninit;
use std::sync::OnceLock;

/// Returns the ticks since boot, suspended time included, as in field 22 of `/proc/PID/stat` (proc(5)).
pub(crate) fn ticks() -> u64 {
    since_boot(libc::CLOCK_BOOTTIME, ticks_per_second())
}

/// Returns the milliseconds since boot, suspended time left out, as every process of this machine reads them.
pub(crate) fn monotonic_ms() -> u64 {
    since_boot(libc::CLOCK_MONOTONIC, 1_000)
}

/// Reads a clock in so many parts of a second; 0 where the kernel does not have it.
fn since_boot(clock: libc::clockid_t, per_second: u64) -> u64 {
    let mut now = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: writes one `timespec` to valid memory.
    if unsafe { libc::clock_gettime(clock, now.as_mut_ptr()) } != 0 {
        return 0;
    }
    // SAFETY: the call succeeded and has filled it.
    let now = unsafe { now.assume_init() };
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    seconds.unwrap_or(0) * per_second + nanos.unwrap_or(0) / (1_000_000_000 / per_second)
}

fn ticks_per_second() -> u64 {
    static TICKS: OnceLock<u64> = OnceLock::new();
    *TICKS.get_or_init(|| {
        let told = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten();
        told.and_then(|ticks| u64::try_from(ticks).ok()).filter(|ticks| *ticks > 0).unwrap_or(100)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_was_started_before_now() {
        let me = i32::try_from(std::process::id()).unwrap();
        let started = crate::sys::process::seen(me).unwrap().id.start_time;
        let now = super::ticks();
        assert!(started <= now && now - started < 600 * super::ticks_per_second(), "{started} {now}");
    }
}

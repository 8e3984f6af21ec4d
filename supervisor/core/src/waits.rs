//! How long is waited for a disk, and for a lock file that is being written. Pure functions of times.

/// The time for which work on a disk is waited for, from its begin.
pub const DISK_PATIENCE_MS: u64 = 3_000;

/// Returns how long a caller still waits for work that began `age_ms` ago and was queued `asked_ms` ago; `None` when it gives
/// up. Work that has not begun, behind other work, gets three times as long in all.
#[must_use]
pub fn wait_left_ms(age_ms: Option<u64>, asked_ms: u64) -> Option<u64> {
    let left = DISK_PATIENCE_MS.saturating_sub(age_ms.unwrap_or(0));
    (left > 0 && asked_ms < DISK_PATIENCE_MS * 3).then_some(left)
}

/// Time between two reads of a lock file that says nothing.
const REREAD_MS: u64 = 50;
/// A lock file that says nothing counts as being written until it has not changed for this long.
const SETTLED_MS: u64 = 1_000;
/// Time limit of an examination whose lock file goes on changing.
const CHANGING_MS: u64 = 5_000;

/// The next step after a read of a lock file that names no living holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reread {
    /// It is read again after so many milliseconds.
    After(u64),
    /// It is not being written, and says nothing.
    SaysNothing,
    /// It goes on changing.
    Changes,
}

/// Decides about a lock file that is malformed and has not changed for so long, or was just removed or replaced (`None`), in an
/// examination of this age.
#[must_use]
pub fn reread(unchanged_ms: Option<u64>, age_ms: u64) -> Reread {
    if unchanged_ms.is_some_and(|ms| ms >= SETTLED_MS) {
        Reread::SaysNothing
    } else if age_ms >= CHANGING_MS {
        Reread::Changes
    } else {
        Reread::After(REREAD_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_waited_for_three_seconds_from_its_begin() {
        for (age_ms, asked_ms, left) in [
            (Some(0), 0, Some(3_000)),
            (Some(2_999), 5_000, Some(1)),
            (Some(3_000), 3_000, None),
            (None, 0, Some(3_000)),
            (None, 8_999, Some(3_000)),
            (None, 9_000, None),
            (Some(10), 9_000, None),
        ] {
            assert_eq!(wait_left_ms(age_ms, asked_ms), left, "{age_ms:?} {asked_ms}");
        }
    }

    #[test]
    fn a_lock_file_is_read_again_until_it_has_settled() {
        for (unchanged_ms, age_ms, what) in [
            (Some(0), 0, Reread::After(50)),
            (Some(999), 4_999, Reread::After(50)),
            (Some(1_000), 1_000, Reread::SaysNothing),
            (Some(1_000), 5_000, Reread::SaysNothing),
            (Some(999), 5_000, Reread::Changes),
            (None, 4_999, Reread::After(50)),
            (None, 5_000, Reread::Changes),
        ] {
            assert_eq!(reread(unchanged_ms, age_ms), what, "{unchanged_ms:?} {age_ms}");
        }
    }
}

//! How much work may hang on disks that do not answer. A pure function of counts.
//!
//! Each piece of work that hangs takes a thread. A mount gets few of them, and only one more when half of all hang, so that work
//! on other mounts goes on.

/// Limit of threads for work on disks, and so of pieces of work that may hang.
pub const DISK_THREADS: usize = 64;
/// Pieces of work that may hang on one mount.
pub const MOUNT_THREADS: usize = 4;
/// From so many in all on, a mount on which a piece of work hangs gets no more.
const SCARCE: usize = DISK_THREADS / 2;

/// Whether another piece of work may begin on a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It may.
    Free,
    /// The mount has its part.
    MountHangs,
    /// All threads hang, on whatever mounts.
    AllHang,
}

/// Decides from the pieces of work that hang on a mount, and in all.
#[must_use]
pub fn room(there: usize, in_all: usize) -> Room {
    let part = if in_all < SCARCE { MOUNT_THREADS } else { 1 };
    if there >= part {
        Room::MountHangs
    } else if in_all >= DISK_THREADS {
        Room::AllHang
    } else {
        Room::Free
    }
}

/// Decides whether work that has begun goes on where a link leads it to another mount, from the numbers of pieces of work that
/// are stuck there and in all, and of those that callers do not wait for any more.
///
/// It is not put back into the queue, so a mount that is only slow does not end it while threads are plenty.
#[must_use]
pub fn may_enter((stuck_there, stuck): (usize, usize), (dead_there, dead): (usize, usize)) -> bool {
    let takes_too_many = stuck_there >= MOUNT_THREADS && stuck >= SCARCE;
    !takes_too_many && room(dead_there, dead) != Room::MountHangs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_has_its_part_and_less_of_it_when_threads_are_scarce() {
        for (there, in_all, expected) in [
            (0, 0, Room::Free),
            (3, 31, Room::Free),
            (4, 4, Room::MountHangs),
            (1, 32, Room::MountHangs),
            (0, 32, Room::Free),
            (0, 63, Room::Free),
            (0, 64, Room::AllHang),
            (1, 64, Room::MountHangs),
        ] {
            assert_eq!(room(there, in_all), expected, "{there} of {in_all}");
        }
    }

    #[test]
    fn a_link_to_a_dead_mount_is_not_followed() {
        for (stuck, dead, expected) in [
            ((0, 0), (0, 0), true),
            // It is slow, or dead for less than its callers wait.
            ((4, 4), (0, 0), true),
            ((31, 31), (3, 3), true),
            ((4, 4), (4, 4), false),
            ((4, 32), (0, 0), false),
            ((3, 32), (0, 0), true),
            ((3, 40), (1, 32), false),
            ((0, 60), (0, 60), true),
        ] {
            assert_eq!(may_enter(stuck, dead), expected, "{stuck:?} {dead:?}");
        }
    }

    /// Dead mounts, each with more work than it gets, leave threads to a healthy one.
    #[test]
    fn many_dead_mounts_leave_a_thread_for_a_healthy_one() {
        for mounts in [1, 8, 16, 39] {
            let mut hang = std::vec![0; mounts];
            for _ in 0..DISK_THREADS {
                for mount in 0..mounts {
                    let in_all = hang.iter().sum();
                    hang[mount] += usize::from(room(hang[mount], in_all) == Room::Free);
                }
            }
            let in_all = hang.iter().sum();
            assert_eq!(room(0, in_all), Room::Free, "{mounts} dead mounts: {hang:?}");
            assert!(hang.iter().all(|there| *there >= 1), "each is tried: {hang:?}");
        }
    }
}

//! What the mark of a run tells: the upper half of it names the state directory of its supervisor. Pure: the supervisor sets
//! marks and clients only read them.

/// So many bits of a mark count the runs of a state directory's supervisors; those above name the directory.
pub const SERIAL_BITS: u32 = 30;

/// The state directory in a soft limit RLIMIT_LOCKS; `None` for a limit that is no mark.
#[must_use]
pub fn home_of(limit: u64) -> Option<u32> {
    u32::try_from(limit >> SERIAL_BITS).ok().filter(|home| *home != 0)
}

/// A state directory as marks name it: a hash (FNV-1a) of its device, inode and birth in nanoseconds. Not of its path, by
/// which another directory may go in another mount namespace; with its birth, because inodes are used again.
#[must_use]
pub fn home(device: u64, inode: u64, born: u128) -> u32 {
    let bytes = [device.to_le_bytes(), inode.to_le_bytes()].into_iter().flatten();
    let hash = bytes.chain(born.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    u32::try_from((hash >> 32) ^ (hash & u64::from(u32::MAX))).map_or(1, |hash| hash.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_told_by_all_that_it_is() {
        let one = home(1, 2, 3);
        assert_eq!(home_of(u64::from(one) << SERIAL_BITS | 4711), Some(one));
        assert!([home(2, 2, 3), home(1, 3, 3), home(1, 2, 4)].iter().all(|other| *other != one));
        for limit in [0, 1024, u64::MAX, u64::MAX >> 1] {
            assert_eq!(home_of(limit), None, "{limit}");
        }
    }
}

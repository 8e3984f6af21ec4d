//! Reads the mark of a run: its upper half names the state directory of its supervisor. Pure: the supervisor
//! sets marks, clients only read them.

/// Bits of a mark that count the runs of one state directory's supervisors; the bits above name the
/// directory.
pub const SERIAL_BITS: u32 = 30;

/// Returns the state directory in a soft limit RLIMIT_LOCKS; `None` for a limit that is no mark.
#[must_use]
pub fn home_of(limit: u64) -> Option<u32> {
    u32::try_from(limit >> SERIAL_BITS).ok().filter(|home| *home != 0)
}

/// Returns the hash (FNV-1a) by which marks name a state directory, of its device, inode and birth in
/// nanoseconds. Its path may name another directory in another mount namespace, and inodes are used again, so
/// the birth counts.
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
    fn device_inode_and_birth_all_count() {
        let one = home(1, 2, 3);
        assert_eq!(home_of(u64::from(one) << SERIAL_BITS | 4711), Some(one));
        assert!([home(2, 2, 3), home(1, 3, 3), home(1, 2, 4)].iter().all(|other| *other != one));
        for limit in [0, 1024, u64::MAX, u64::MAX >> 1] {
            assert_eq!(home_of(limit), None, "{limit}");
        }
    }
}

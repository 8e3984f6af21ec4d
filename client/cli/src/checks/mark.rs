//! The mark by which a worker's processes are known: the soft limit RLIMIT_LOCKS (ADR 1), whose upper bits tell the life
//! of the supervisor, or the variable GOB_INSTANCE. Pure.

/// Bits of a tag that count runs; the 40 above them are the supervisor's.
const COUNTER_BITS: u32 = 22;
/// A tag is never shorter, but for one supervisor in four million; somebody's own limit hardly ever as long.
const SHORTEST: u64 = 1 << 40;
/// The top two bits are clear: RLIM_INFINITY and its neighbours mean something else.
const LONGEST: u64 = 1 << 62;

/// The life of a supervisor, as its tags tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life(u64);

impl Life {
    /// Of a process's soft limit, if that is a tag.
    pub(super) fn of_limit(limit: u64) -> Option<Self> {
        (SHORTEST..LONGEST).contains(&limit).then_some(Self(limit >> COUNTER_BITS))
    }

    /// Of an instance, a UUID: the supervisor takes its random bits from the lower half.
    pub(super) fn of_instance(instance: &str) -> Option<Self> {
        let digits: String = instance.chars().filter(|c| *c != '-').collect();
        if digits.len() != 32 {
            return None;
        }
        let low = u64::from_str_radix(digits.get(16..)?, 16).ok()?;
        Some(Self((low >> 24) | 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_and_instance_agree() {
        let low: u64 = 0x9abc_def0_1234_5678;
        let first = (((low >> 24) | 1) << 22) + 1;
        let life = Life::of_instance("0192d3a4-b5c6-7d8e-9abc-def012345678");
        assert!(life.is_some());
        assert_eq!(Life::of_limit(first), life);
        assert_eq!(Life::of_limit(first + 4711), life);
        assert_ne!(Life::of_limit(first + (1 << 23)), life);
        for limit in [0, 1024, u64::from(u32::MAX), u64::MAX, u64::MAX >> 1] {
            assert_eq!(Life::of_limit(limit), None);
        }
        assert_eq!(Life::of_instance("i"), None);
    }
}

//! A few low numbers under which a child finds the descriptors that it is given.
//!
//! A child with a copy of our table copies and closes four descriptors for each worker that runs, which made a start
//! dearer with every worker. It shares the table instead, and leaves it by close_range(2) with `CLOSE_RANGE_UNSHARE`,
//! which copies no number from the first one on that it closes. So all that the child needs must lie below.

use super::Spec;
use crate::upgrade::{Fd, Inherited, Missing, Named};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lowest number: below are those that locks have in the child.
const LOWEST: RawFd = 64;

/// The descriptors of one child at a time.
static SLOTS: Mutex<Option<Slots>> = Mutex::new(None);

/// One number for each descriptor of a [`Spec`] that its child needs after it has left our table.
#[derive(Debug)]
struct Slots {
    /// The file that the numbers refer to while no child is started.
    null: File,
    numbers: [OwnedFd; 5],
}

/// Numbers that refer to what a child is given, until this is dropped.
pub(super) struct Lent {
    slots: MutexGuard<'static, Option<Slots>>,
    pub(super) stdio: [RawFd; 3],
    pub(super) lock: Option<RawFd>,
    pub(super) second_lock: Option<RawFd>,
    /// The first number that the child does not need.
    pub(super) beyond: RawFd,
}

/// Takes the numbers while they are low. Without them a start costs more.
pub(crate) fn reserve() {
    let mut slots = slots();
    if slots.is_none() {
        *slots = Slots::new().ok();
    }
}

/// Names the numbers, for another program: they would not be low again.
pub(crate) fn hand_over(named: &mut Named) -> Option<[Fd; 6]> {
    let slots = slots();
    let Slots { null, numbers: [a, b, c, d, e] } = slots.as_ref()?;
    Some([named.name(null), named.name(a), named.name(b), named.name(c), named.name(d), named.name(e)])
}

/// Takes the numbers of another program.
pub(crate) fn take_over([null, a, b, c, d, e]: [Fd; 6], inherited: &mut Inherited) -> Result<(), Missing> {
    let null = File::from(inherited.take(null)?);
    let mut number = |fd| inherited.take(fd);
    let numbers = [number(a)?, number(b)?, number(c)?, number(d)?, number(e)?];
    *slots() = Some(Slots { null, numbers });
    Ok(())
}

/// Has the numbers refer to what a child is given; `None` where that fails.
pub(super) fn lend(spec: &Spec<'_>) -> Option<Lent> {
    reserve();
    let slots = slots();
    let numbers: [RawFd; 5] = slots.as_ref()?.numbers.each_ref().map(AsRawFd::as_raw_fd);
    let beyond = numbers.iter().max()? + 1;
    let [stdin, stdout, stderr, lock, second] = numbers;
    let lent = Lent {
        slots,
        stdio: [stdin, stdout, stderr],
        lock: spec.lock.map(|_| lock),
        second_lock: spec.second_lock.map(|_| second),
        beyond,
    };
    let given = [Some(spec.stdin), Some(spec.stdout), Some(spec.stderr), spec.lock, spec.second_lock];
    let is_done = given.into_iter().zip(numbers).all(|(from, to)| from.is_none_or(|from| refer(to, from)));
    is_done.then_some(lent)
}

impl Slots {
    fn new() -> io::Result<Self> {
        let null = File::open("/dev/null")?;
        let number = || {
            // SAFETY: a new number for an open descriptor, or an error.
            match unsafe { libc::fcntl(null.as_raw_fd(), libc::F_DUPFD_CLOEXEC, LOWEST) } {
                ..0 => Err(io::Error::last_os_error()),
                // SAFETY: it is new, and ours alone.
                number => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
            }
        };
        let numbers = [number()?, number()?, number()?, number()?, number()?];
        Ok(Self { null, numbers })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(Slots { null, numbers }) = &*self.slots else { return };
        for number in numbers {
            refer(number.as_raw_fd(), null.as_fd());
        }
    }
}

/// Has a number of ours refer to another file; false when that fails.
fn refer(number: RawFd, file: BorrowedFd<'_>) -> bool {
    // SAFETY: the number is one of the slots', which no other code uses.
    unsafe { libc::dup3(file.as_raw_fd(), number, libc::O_CLOEXEC) == number }
}

fn slots() -> MutexGuard<'static, Option<Slots>> {
    SLOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Descriptors that one program leaves open for the next: named by their numbers when the state is written, taken by these when it
//! is read.

use crate::sys::fds;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// The number of a descriptor that stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Fd(RawFd);

/// The descriptors that a state names.
#[derive(Debug, Default)]
pub(crate) struct Named(BTreeSet<Fd>);

impl Named {
    /// Names a descriptor, which must stay open until the new program runs.
    pub(crate) fn name(&mut self, fd: &impl AsFd) -> Fd {
        let fd = Fd(fd.as_fd().as_raw_fd());
        self.0.insert(fd);
        fd
    }

    /// Returns all of them.
    pub(crate) fn all(&self) -> Vec<Fd> {
        self.0.iter().copied().collect()
    }
}

/// Lets the next program have these descriptors.
///
/// # Errors
/// When one of them is not open.
pub(super) fn let_through(all: &[Fd]) -> io::Result<()> {
    all.iter().try_for_each(|fd| fds::close_on_exec(fd.0, false))
}

/// Keeps these descriptors from the next program, as all others.
pub(super) fn keep_back(all: &[Fd]) {
    // One that is not open needs no keeping.
    all.iter().for_each(|fd| fds::close_on_exec(fd.0, true).unwrap_or_default());
}

/// The descriptors that the program before this one left open.
#[derive(Debug)]
pub(crate) struct Inherited {
    all: BTreeMap<Fd, OwnedFd>,
    /// Those that more than one part holds.
    shared: BTreeMap<Fd, Arc<File>>,
}

/// A descriptor that a state names and that is not there, or twice.
#[derive(Debug, thiserror::Error)]
#[error("the state names descriptor {0} once too often")]
pub(crate) struct Missing(RawFd);

impl Inherited {
    /// Takes the named descriptors over, and closes all others above the standard streams.
    ///
    /// # Errors
    /// When one of them is not open.
    pub(crate) fn take_over(all: &[Fd]) -> io::Result<Self> {
        let all: BTreeSet<Fd> = all.iter().copied().collect();
        let taken: io::Result<_> = all.iter().map(|fd| Ok((*fd, fds::inherited(fd.0)?))).collect();
        let taken = Self { all: taken?, shared: BTreeMap::new() };
        fds::close_all_but(&all.iter().map(|fd| fd.0).collect::<Vec<_>>())?;
        Ok(taken)
    }

    /// Takes a descriptor.
    ///
    /// # Errors
    /// When it was taken before.
    pub(crate) fn take(&mut self, fd: Fd) -> Result<OwnedFd, Missing> {
        self.all.remove(&fd).ok_or(Missing(fd.0))
    }

    /// Returns a file that more than one part may hold.
    ///
    /// # Errors
    /// When a part has taken it for itself.
    pub(crate) fn file(&mut self, fd: Fd) -> Result<Arc<File>, Missing> {
        if let Some(file) = self.shared.get(&fd) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::from(self.take(fd)?));
        self.shared.insert(fd, Arc::clone(&file));
        Ok(file)
    }
}

/// Bytes, written as such and not as a list of numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

//! The index beside a run's log files (`<run>.idx`): time, stream and length of each write.
//!
//! A sequence of records of [`RECORD_BYTES`] bytes, little endian. Offsets count from the run's first byte of
//! that stream, whatever rotation took away since. This module holds only the format; the supervisor writes
//! it, gobctl reads it.
//!
//! | bytes | meaning |
//! |---|---|
//! | 0–7 | time, milliseconds since the Unix epoch |
//! | 8–15 | offset in the stream |
//! | 16–19 | length in bytes; 0 for a mark |
//! | 20 | what: 0 stdout, 1 stderr, plus 2 for a mark "the current file starts at this offset" |
//! | 21–23 | zero |

use crate::time::Timestamp;

/// Size of one record.
pub const RECORD_BYTES: usize = 24;

/// One of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Returns `stdout` or `stderr`, as in file names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One record of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The time of the read from the worker.
    pub time: Timestamp,
    /// The stream.
    pub stream: Stream,
    /// The offset in the stream.
    pub offset: u64,
    /// The length; [`None`] marks that the current log file of the stream starts here.
    pub len: Option<u32>,
}

impl Record {
    /// Encodes the record.
    #[must_use]
    pub fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let what = u8::from(self.stream == Stream::Stderr) | (u8::from(self.len.is_none()) << 1);
        let mut bytes = [0; RECORD_BYTES];
        let fields = self.time.0.to_le_bytes().into_iter();
        let fields = fields.chain(self.offset.to_le_bytes());
        let fields = fields.chain(self.len.unwrap_or(0).to_le_bytes()).chain([what]);
        for (slot, byte) in bytes.iter_mut().zip(fields) {
            *slot = byte;
        }
        bytes
    }

    /// Decodes a record; `None` for other bytes, as after a crash in the middle of a write.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let (time, rest) = bytes.split_first_chunk::<8>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (what, zero) = rest.split_first()?;
        if *what > 3 || zero.iter().any(|b| *b != 0) {
            return None;
        }
        let len = u32::from_le_bytes(*len);
        Some(Self {
            time: Timestamp(i64::from_le_bytes(*time)),
            stream: if what & 1 == 0 { Stream::Stdout } else { Stream::Stderr },
            offset: u64::from_le_bytes(*offset),
            len: (what & 2 == 0).then_some(len),
        })
    }
}

/// Returns the path of a log file below the log directory: `<encoded name>/<run>.<stream>.log`. Rotated files
/// have `.1` (youngest), `.2` … behind it, the index is `<run>.idx`.
#[must_use]
pub fn log_path(name: &crate::Name, run: u64, stream: Stream) -> String {
    format!("{}/{run}.{}.log", name.on_disk(), stream.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive() {
        for stream in [Stream::Stdout, Stream::Stderr] {
            for len in [None, Some(1), Some(u32::MAX)] {
                let record = Record { time: Timestamp(1_700_000_000_123), stream, offset: 1 << 40, len };
                assert_eq!(Record::from_bytes(&record.to_bytes()), Some(record));
            }
        }
        assert_eq!(Record::from_bytes(&[0xff; RECORD_BYTES]), None);
    }
}

//! Assembles lines from a worker's output in any pieces, each stream for itself.

use gob_protocol::Timestamp;
use gob_protocol::logindex::Stream;

/// A line, or a part of one that is too long or not ended yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The stream.
    pub stream: Stream,
    /// The time of its last bytes, as far as the index has it.
    pub time: Option<Timestamp>,
    /// The bytes, with the newline if it has come.
    pub bytes: Vec<u8>,
    /// It begins a line.
    pub starts_line: bool,
}

impl Piece {
    /// Returns whether it ends a line.
    #[must_use]
    pub fn ends_line(&self) -> bool {
        self.bytes.ends_with(b"\n")
    }
}

impl AsRef<Self> for Piece {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// Length above which a line comes in parts, in bytes.
const MAX_PART: usize = 64 * 1024;

#[derive(Debug, Default)]
struct Half {
    bytes: Vec<u8>,
    /// The time of the latest bytes.
    time: Option<Timestamp>,
    /// A part of the line was handed out already.
    continued: bool,
}

/// The unfinished line of each stream.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    stdout: Half,
    stderr: Half,
}

impl Assembler {
    fn half(&mut self, stream: Stream) -> &mut Half {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Takes bytes and hands out every finished line.
    pub(super) fn push(
        &mut self,
        stream: Stream,
        time: Option<Timestamp>,
        bytes: &[u8],
        out: &mut impl FnMut(Piece),
    ) {
        let half = self.half(stream);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            half.bytes.extend_from_slice(part);
            half.time = time;
            let ended = part.ends_with(b"\n");
            if ended || half.bytes.len() >= MAX_PART {
                let rest = half.bytes.split_off(half.bytes.len() - unfinished_character(&half.bytes));
                let starts_line = !std::mem::replace(&mut half.continued, !ended);
                out(Piece { stream, time, bytes: std::mem::replace(&mut half.bytes, rest), starts_line });
            }
        }
    }

    /// Hands out the unfinished lines as they are; later bytes continue them.
    pub(super) fn flush(&mut self, out: &mut impl FnMut(Piece)) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let half = self.half(stream);
            if !half.bytes.is_empty() {
                let starts_line = !std::mem::replace(&mut half.continued, true);
                out(Piece { stream, time: half.time, bytes: std::mem::take(&mut half.bytes), starts_line });
            }
        }
    }
}

/// Returns how many bytes at the end begin a character of UTF-8 that goes on behind them.
fn unfinished_character(bytes: &[u8]) -> usize {
    let last = bytes.iter().rev().take(3).enumerate();
    let lead = last.into_iter().find(|(_, byte)| !(0x80..0xc0).contains(*byte));
    let Some((behind, lead)) = lead else { return 0 };
    let len = match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 0,
    };
    if behind + 1 < len { behind + 1 } else { 0 }
}

//! The messages to a verb that runs there, over its standard input: bytes of the input here, its end, and signals. Pure.
//!
//! A frame is a letter, the length of its content in four bytes, and the content. An end of the stream without a frame for
//! the end of the input is a lost connection, or a caller that was killed.

/// The longest content.
pub(crate) const MAX_BYTES: usize = 64 << 10;
/// Bytes before the content.
const HEAD: usize = 5;

/// A message to the verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Bytes of its input.
    Bytes(Vec<u8>),
    /// The end of its input.
    End,
    /// A signal by its number.
    Signal(u8),
}

impl Frame {
    /// Writes a frame. Contents longer than [`MAX_BYTES`] are not read by the other side.
    pub(crate) fn write(&self) -> Vec<u8> {
        let (letter, content): (u8, &[u8]) = match self {
            Self::Bytes(bytes) => (b'b', bytes),
            Self::End => (b'e', &[]),
            Self::Signal(number) => (b's', std::slice::from_ref(number)),
        };
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let mut all = vec![letter];
        all.extend(length.to_be_bytes());
        all.extend(content);
        all
    }
}

/// Frames from bytes that come in any pieces.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// Takes bytes in.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Returns the next whole frame; `Err` for bytes that are none.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, ()> {
        let Some((head, rest)) = self.bytes.split_first_chunk::<HEAD>() else { return Ok(None) };
        let [letter, length @ ..] = *head;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_BYTES {
            return Err(());
        }
        let Some(content) = rest.get(..length) else { return Ok(None) };
        let frame = match (letter, content) {
            (b'b', bytes) => Frame::Bytes(bytes.to_vec()),
            (b'e', []) => Frame::End,
            (b's', [number]) => Frame::Signal(*number),
            _ => return Err(()),
        };
        self.bytes.drain(..HEAD + length);
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_split() {
        let sent = [
            Frame::Signal(2),
            Frame::Bytes(b"a\nb".to_vec()),
            Frame::Bytes(Vec::new()),
            Frame::Bytes(vec![7; MAX_BYTES]),
            Frame::End,
        ];
        let bytes: Vec<u8> = sent.iter().flat_map(Frame::write).collect();
        for size in [1, 3, 5, 6, bytes.len()] {
            let (mut frames, mut got) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(size) {
                frames.extend(piece);
                while let Some(frame) = frames.next().unwrap() {
                    got.push(frame);
                }
            }
            assert_eq!(got, sent, "in pieces of {size}");
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        for bytes in [&b"x\0\0\0\0"[..], b"b\xff\0\0\0", b"s\0\0\0\x02ab", b"e\0\0\0\x01a", b"gobctl"] {
            let mut frames = Frames::default();
            frames.extend(bytes);
            assert_eq!(frames.next(), Err(()), "{bytes:?}");
        }
    }
}

//! Properties that gob's parsers have for any bytes from outside. Each function panics when its property does
//! not hold.
//!
//! `tests/fuzz/run` runs a fuzzer, guided by coverage, on these functions; `tests/tests/fuzz.rs` includes
//! this file and tries bytes made by chance from the golden frames, in every run of the tests.

use gob_protocol::envelope::{parse_request, parse_server_frame, write_request, write_response};
use gob_protocol::handshake::{Handshake, HandshakeError, HandshakeReader};
use gob_protocol::name::{decode_safe, encode_safe};
use gob_protocol::{Framer, Name, Owner};
use std::path::Path;

/// The first bytes choose the pieces of the rest; the others are the stream.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.len().min(4))
}

/// Cuts the stream into pieces of the lengths in `how`, over and over.
fn pieces<'a>(how: &'a [u8], stream: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = how.iter().cycle();
    let mut rest = stream;
    std::iter::from_fn(move || {
        let len = lengths.next().map_or(1, |len| usize::from(*len)).clamp(1, rest.len().max(1));
        let (piece, after) = rest.split_at_checked(len)?;
        rest = after;
        Some(piece)
    })
}

fn frames<'a>(limit: usize, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Option<Vec<u8>>>, bool) {
    let mut framer = Framer::new(limit);
    let mut frames = Vec::new();
    for piece in pieces {
        framer.extend(piece);
        while let Some(frame) = framer.next_frame() {
            frames.push(frame.ok().map(<[u8]>::to_vec));
        }
    }
    (frames, framer.has_partial())
}

/// Returns the frames by PROTOCOL 2 alone: `None` for a line that is too long.
fn expected_frames(limit: usize, stream: &[u8]) -> (Vec<Option<Vec<u8>>>, bool) {
    let mut lines: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
    // Bytes behind the last newline are no line, but may be too long already.
    let rest = lines.pop().unwrap_or_default();
    let mut frames: Vec<Option<Vec<u8>>> = lines
        .into_iter()
        .map(|line| (line.len() <= limit).then(|| line.trim_ascii().to_vec()))
        .filter(|line| line.as_ref().is_none_or(|line| !line.is_empty()))
        .collect();
    if rest.len() > limit {
        frames.push(None);
    }
    (frames, rest.len() > limit || !rest.trim_ascii().is_empty())
}

/// Frames do not depend on how the stream is cut, are whole lines, and one that is too long is reported once.
pub fn framer(bytes: &[u8]) {
    let (how, stream) = split(bytes);
    let limit = how.first().map_or(1, |byte| usize::from(*byte) + 1);
    let expected = expected_frames(limit, stream);
    assert_eq!(frames(limit, std::iter::once(stream)), expected, "all at once");
    assert_eq!(frames(limit, stream.chunks(1)), expected, "a byte at a time");
    assert_eq!(frames(limit, pieces(how, stream)), expected, "in pieces");
}

/// A line is a request that stays the same when it is written and read again, or an error with a place inside
/// the line.
pub fn request(bytes: &[u8]) {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match parse_request(line) {
        Ok(incoming) => {
            let Some(id) = &incoming.id else { return };
            // Only a request that is too long can't be written.
            let Ok(written) = write_request(id, &incoming.request) else { return };
            assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
            let again = parse_request(written.trim_ascii_end());
            assert_eq!(again.as_ref(), Ok(&incoming), "{}", String::from_utf8_lossy(&written));
        }
        Err(rejected) => {
            let position = rejected.error.details.as_ref().and_then(|details| details["position"].as_u64());
            let position = position.expect("a position");
            assert!(position <= line.len() as u64, "{position} in a line of {}", line.len());
            let mut response = Vec::new();
            let written = write_response::<()>(&mut response, rejected.id.as_ref(), Err(&rejected.error));
            written.expect("an error can be written");
            assert_eq!(response.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
            parse_server_frame(response.trim_ascii_end()).expect("a client can read it");
        }
    }
    // A client survives the same.
    parse_server_frame(line).map(drop).unwrap_or_default();
}

fn handshake_in<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<Result<Handshake, HandshakeError>> {
    let mut reader = HandshakeReader::default();
    pieces.into_iter().find_map(|piece| reader.feed(piece))
}

/// A handshake does not depend on how the output is cut, and holds nothing that a terminal would obey.
pub fn handshake(bytes: &[u8]) {
    let (how, stream) = split(bytes);
    let whole = handshake_in(std::iter::once(stream));
    assert_eq!(handshake_in(stream.chunks(1)), whole, "a byte at a time");
    assert_eq!(handshake_in(pieces(how, stream)), whole, "in pieces");
    if let Some(Ok(handshake)) = whole {
        assert!(handshake.endpoint.is_none_or(|endpoint| !endpoint.chars().any(char::is_control)));
    }
}

/// A name has one place below its directory, and no other name has that place.
pub fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (one, other) = text.split_once('\0').unwrap_or((&text, ""));
    let directory = Path::new("/data/graphs");
    for text in [one, other] {
        drop(Owner::new(text));
        if let Ok(name) = Name::job(text) {
            assert_eq!(name.on_disk(), text);
        }
        for name in [Name::any(text), Name::graph(text)].into_iter().flatten() {
            let encoded = name.on_disk();
            let path = directory.join(&encoded);
            assert_eq!(path.parent(), Some(directory), "{path:?}");
            assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(&*encoded));
            assert!(encoded.len() <= 200 && encoded.is_ascii() && !encoded.starts_with('.'), "{encoded}");
            assert_eq!(decode_safe(&encoded).as_deref(), Some(text));
        }
    }
    assert_eq!(one == other, encode_safe(one) == encode_safe(other), "{one:?} and {other:?} share a place");
    // A foreign file is a name only if gob could have made it.
    if let Some(name) = decode_safe(one) {
        assert_eq!(encode_safe(&name), one);
    }
}

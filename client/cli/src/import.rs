//! Streams lines into a graph worker: `import_begin`, `import_lines` as often as needed, `import_end`.
//!
//! Lines are passed on as strings without being parsed; the worker names a bad one by its number. Memory is
//! bounded by the requests in flight.

use crate::failure::Failure;
use crate::progress::Progress;
use gob_client::conn::RequestId;
use gob_client::endpoint::Endpoint;
use gob_client::protocol::limits::MAX_REQUEST_BYTES;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::io::BufRead;
use std::time::{Duration, Instant};

/// Size at which a request is sent, in bytes of JSON.
const BATCH_BYTES: usize = 256 * 1024;
/// Bytes of a request's envelope and of the payload's own brackets.
const ENVELOPE_BYTES: usize = 256;
/// Requests in flight.
const IN_FLIGHT: usize = 16;

/// The progress of an import.
pub(crate) enum Step<'a> {
    /// This many lines were read.
    Read(u64),
    /// All lines are read, and the worker reports its progress.
    Frame(&'a str),
}

/// Imports all of `input` and returns the worker's final answer.
pub(crate) fn import(
    worker: &mut Endpoint,
    mut input: impl BufRead,
    timeout: Duration,
    mut on_step: impl FnMut(Step<'_>) -> Result<(), Failure>,
) -> Result<Box<RawValue>, Failure> {
    on_step(Step::Read(0))?;
    worker.call("import_begin", None, timeout)?;
    let mut told = Instant::now();
    let mut stream = Stream { worker, timeout, in_flight: VecDeque::new(), batch: String::new() };
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        let count = input.read_until(b'\n', &mut line).map_err(|error| {
            Failure::own("input-failed", 1, "cannot read standard input".to_owned()).cause(error.to_string())
        })?;
        if count == 0 {
            break;
        }
        number += 1;
        stream.push(&line, number)?;
        if told.elapsed() >= Progress::EVERY {
            told = Instant::now();
            on_step(Step::Read(number))?;
        }
    }
    stream.send()?;
    while stream.take_answer()? {}
    let id = stream.worker.send("import_end", None)?;
    stream.worker.wait_with_frames(id, timeout, |frame| on_step(Step::Frame(frame)))
}

struct Stream<'a> {
    worker: &'a mut Endpoint,
    timeout: Duration,
    in_flight: VecDeque<RequestId>,
    /// JSON strings with commas between.
    batch: String,
}

impl Stream<'_> {
    fn push(&mut self, line: &[u8], number: u64) -> Result<(), Failure> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let bad = |what: String| Failure::own("invalid-request", 2, format!("line {number} {what}"));
        let text =
            str::from_utf8(line).map_err(|error| bad("is not UTF-8".to_owned()).cause(error.to_string()))?;
        let json = serde_json::to_string(text)
            .map_err(|error| bad("cannot be sent".to_owned()).cause(error.to_string()))?;
        if json.len() + ENVELOPE_BYTES > MAX_REQUEST_BYTES {
            return Err(bad(format!("is too long: a request has at most {MAX_REQUEST_BYTES} bytes")));
        }
        if !self.batch.is_empty() && self.batch.len() + json.len() > BATCH_BYTES {
            self.send()?;
        }
        if !self.batch.is_empty() {
            self.batch.push(',');
        }
        self.batch.push_str(&json);
        Ok(())
    }

    fn send(&mut self) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let payload = format!("{{\"lines\":[{}]}}", self.batch);
        self.batch.clear();
        let payload = RawValue::from_string(payload).map_err(|error| {
            Failure::own("internal", 1, "cannot write an import request".to_owned()).cause(error.to_string())
        })?;
        self.in_flight.push_back(self.worker.send("import_lines", Some(&payload))?);
        while self.in_flight.len() >= IN_FLIGHT {
            self.take_answer()?;
        }
        Ok(())
    }

    /// Waits for the oldest answer; false when none is pending.
    fn take_answer(&mut self) -> Result<bool, Failure> {
        let Some(id) = self.in_flight.pop_front() else { return Ok(false) };
        self.worker.wait(id, self.timeout)?;
        Ok(true)
    }
}

//! Standard input and output, each on a thread of its own: a terminal, a file and a pipe all work, and none is made non-blocking
//! for the other programs that share it.

use crate::frame::{Cut, Framer, MAX_LINE};
use std::io::{self, Read, Write};
use std::thread::Builder;
use tokio::sync::{mpsc, oneshot};

/// Lines that were read and not taken yet. Each may be of the greatest length.
const UNTAKEN: usize = 2;
/// Messages that were not written yet.
const UNWRITTEN: usize = 64;
/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;

/// Begins to read lines; the channel ends with the input.
pub(crate) fn lines() -> io::Result<mpsc::Receiver<Cut>> {
    let (told, lines) = mpsc::channel(UNTAKEN);
    Builder::new().name("mcp-in".to_owned()).spawn(move || read(&mut io::stdin().lock(), &told))?;
    Ok(lines)
}

fn read(input: &mut impl Read, told: &mpsc::Sender<Cut>) {
    let (mut framer, mut buf) = (Framer::new(MAX_LINE), vec![0; READ_BYTES]);
    loop {
        let mut cuts = Vec::new();
        match input.read(&mut buf) {
            Ok(0) => break,
            Ok(count) => framer.take(buf.get(..count).unwrap_or_default(), &mut |cut| cuts.push(cut)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Like its end: nothing more will come.
            Err(_) => break,
        }
        if cuts.into_iter().any(|cut| told.blocking_send(cut).is_err()) {
            return;
        }
    }
    if let Some(cut) = framer.end() {
        told.blocking_send(cut).ok();
    }
}

/// The way to standard output.
pub(crate) struct Output {
    /// Takes messages, each a line without its line feed.
    pub(crate) messages: mpsc::Sender<Vec<u8>>,
    /// Ends once the last one is written, or the reader is gone.
    pub(crate) written: oneshot::Receiver<()>,
}

/// Begins to write messages.
pub(crate) fn output() -> io::Result<Output> {
    let (messages, mut queue) = mpsc::channel::<Vec<u8>>(UNWRITTEN);
    let (done, written) = oneshot::channel();
    let write = move || {
        let mut output = io::stdout().lock();
        while let Some(mut message) = queue.blocking_recv() {
            message.push(b'\n');
            if output.write_all(&message).and_then(|()| output.flush()).is_err() {
                break;
            }
        }
        drop(queue);
        done.send(()).ok();
    };
    Builder::new().name("mcp-out".to_owned()).spawn(write)?;
    Ok(Output { messages, written })
}

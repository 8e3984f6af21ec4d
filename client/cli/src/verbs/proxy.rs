//! `gobctl proxy`: the socket on standard input and output. What `--host` runs on the other machine, and with `--host` the socket of that machine.

use super::{Effect, SHELL, Verb, timeout};
use crate::afar::Afar;
use crate::context::Context;
use crate::failure::Failure;
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::Error;
use gob_client::blocking::Connector;
use gob_client::protocol::limits::CONNECT_MS;
use serde_json::json;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

pub(crate) const VERB: Verb = Verb {
    path: &["proxy"],
    group: SHELL,
    effect: Effect::Changes,
    about: "The supervisor's socket on standard input and output, as --host uses it on the other machine",
    examples: "Examples:\n  echo '{\"id\":1,\"type\":\"list\"}' | gobctl proxy\n  gobctl --host ssh://host proxy\n\nIt starts the supervisor when none runs, and ends with its input or with the supervisor. An error is a line of the protocol whose id is null; its code is supervisor-unreachable.\n",
    command: |command| {
        command.arg(
            Arg::new("wait")
                .long("wait")
                .action(ArgAction::SetTrue)
                .help("Start no supervisor; wait until there is one"),
        )
    },
    timeout: timeout::NONE,
    afar: Afar::HereByFlag,
    run: Some(run),
    ..Verb::ROW
};

/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;
/// Exit code without a supervisor.
const UNREACHABLE: u8 = 7;

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let waits = matches.get_flag("wait");
    match &context.host {
        Some(host) => Ok(host.ssh.relay(context.autostart, waits).unwrap_or_else(|error| tell(&error))),
        None => relay(&context.connector()?, waits),
    }
}

/// Moves bytes between standard streams and the socket.
fn relay(connector: &Connector, waits: bool) -> Result<u8, Failure> {
    let reached = if waits { connector.connect_raw_when_there() } else { connector.connect_raw() };
    let (mut socket, path) = match reached {
        Ok(reached) => reached,
        Err(error) => return Ok(tell(&error)),
    };
    let failed = |source: io::Error| Failure::from(Error::Io { socket: path.clone(), source });
    let (mut input, mut output) = streams().map_err(failed)?;
    let mut bytes = vec![0; READ_BYTES];
    let asked = input.read(&mut bytes).map_err(failed)?;
    if asked == 0 {
        return Ok(0);
    }
    socket.set_write_timeout(None).map_err(failed)?;
    // A supervisor on its way out has closed its end; what it said is still to be read.
    socket.write_all(bytes.get(..asked).unwrap_or_default()).ok();
    let requests = socket.try_clone().map_err(failed)?;
    std::thread::Builder::new().spawn(move || forward(input, requests)).map_err(failed)?;
    // As every client waits for its first answer.
    let patience = Duration::from_millis(CONNECT_MS);
    socket.set_read_timeout(Some(patience)).map_err(failed)?;
    let answered = match socket.read(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return Ok(tell(&connector.silent(patience)));
        }
        answered => answered.unwrap_or(0),
    };
    if answered == 0 {
        return Ok(0);
    }
    if let Err(error) = connector.examine(&socket, &path) {
        return Ok(tell(&error));
    }
    socket.set_read_timeout(None).map_err(failed)?;
    // The end of the reader, and of the supervisor, are ends like any other.
    if output.write_all(bytes.get(..answered).unwrap_or_default()).is_ok() {
        pump(&mut socket, &mut output);
    }
    Ok(0)
}

/// Moves bytes until an end, each piece as soon as it comes: `io::copy` has the kernel move them, which waits for more.
fn pump(from: &mut impl Read, to: &mut impl Write) {
    let mut bytes = vec![0; READ_BYTES];
    loop {
        match from.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if to.write_all(bytes.get(..count).unwrap_or_default()).is_err() {
                    return;
                }
            }
        }
    }
}

fn forward(mut input: File, mut requests: UnixStream) {
    pump(&mut input, &mut requests);
    requests.shutdown(Shutdown::Write).ok();
}

/// Returns the standard streams without their buffers.
fn streams() -> io::Result<(File, File)> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((input.into(), output.into()))
}

/// Tells the client why there is no supervisor, in a line of its own protocol.
fn tell(error: &Error) -> u8 {
    let mut told = json!({"code": error.code(), "message": error.to_string()});
    if let Some(fields) = told.as_object_mut() {
        fields.extend(error.hint().map(|hint| ("hint".to_owned(), hint.into())));
        fields.extend(error.cause().map(|cause| ("details".to_owned(), json!({"cause": cause}))));
    }
    let line = json!({"id": null, "success": false, "error": told});
    crate::out::print(&format!("{line}\n")).ok();
    UNREACHABLE
}

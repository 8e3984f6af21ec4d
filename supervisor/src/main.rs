//! `gobd`. Started by gob-keeper, which hands it the locks; started by any other program, it becomes the
//! keeper.

use gob_protocol::build;
use gob_supervisor::{Args, run};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Exit code for "starting me again would end the same way" (EX_CONFIG of sysexits.h); the keeper then does
/// not restart it.
const DO_NOT_RESTART: u8 = 78;

fn main() -> ExitCode {
    let mut out = io::stderr();
    let first = std::env::args().nth(1);
    if let Some(text) = first.as_deref().and_then(about) {
        return match writeln!(io::stdout(), "{text}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(e) => {
            writeln!(out, "error: {e}\nhint: gobd --help").unwrap_or_default();
            return ExitCode::from(2);
        }
    };
    if let Some(fd) = args.tries_state() {
        return match gob_supervisor::try_state(fd, &mut io::stdin(), &mut io::stdout()) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
    }
    if !args.from_keeper() {
        let e = become_keeper();
        writeln!(out, "error: cannot run gob-keeper: {e}\nhint: it belongs beside gobd, or into GOB_LIBEXEC")
            .unwrap_or_default();
        return ExitCode::FAILURE;
    }
    log_to_stderr();
    // A client that was answered decides about the next try; after a crash only the keeper would try once
    // more.
    let is_waited_for = args.is_waited_for();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) if is_waited_for || e.is_for_good() => ExitCode::from(DO_NOT_RESTART),
        Err(_) => ExitCode::FAILURE,
    }
}

fn about(arg: &str) -> Option<String> {
    let version = build::VERSION;
    match arg {
        "-V" | "--version" => Some(build::version_of("gobd")),
        "-h" | "--help" => Some(format!(
            "gobd {version}, the supervisor of gob: owns your workers until it is told to end.\n\n\
             Usage: gobd\n\n\
             gobctl starts it when it is needed; under systemd run it as it is, in the foreground.\n\
             Directories: GOB_RUNTIME_DIR, GOB_STATE_DIR, GOB_DATA_DIR, GOB_CONFIG. Log level: GOB_LOG."
        )),
        _ => None,
    }
}

/// Becomes the keeper; returns only when that fails.
fn become_keeper() -> io::Error {
    match gob_host::siblings::find("gob-keeper") {
        Ok(keeper) => Command::new(keeper).exec(),
        Err(_) => io::ErrorKind::NotFound.into(),
    }
}

fn log_to_stderr() {
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::prelude::*;
    let wanted = std::env::var("GOB_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO));
    let text = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(text.with_filter(filter)).init();
}

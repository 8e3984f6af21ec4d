//! The program `gob-graph-worker`: reads the command line and runs the library.

use gob_graph_worker::args::{self, Parsed};
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let (text, code) = match args::parse(std::env::args_os().skip(1)) {
        Ok(Parsed::Run(args)) => return gob_graph_worker::run(&args),
        Ok(Parsed::Reader(graph)) => return gob_graph_worker::reader::serve(&graph),
        Ok(Parsed::Help) => (args::HELP.to_owned(), ExitCode::SUCCESS),
        Ok(Parsed::Version) => {
            (format!("{}\n", gob_protocol::build::version_of("gob-graph-worker")), ExitCode::SUCCESS)
        }
        Err(error) => {
            let text = format!("error: {error}\nhint: gob-graph-worker --help\n");
            // Also written as a handshake, so that a supervisor shows the reason instead of an exit code.
            let line = serde_json::json!({"ready": false, "error": error.to_string()});
            let wrote = std::io::stderr().write_all(text.as_bytes());
            drop(wrote);
            (format!("{line}\n"), ExitCode::from(2))
        }
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

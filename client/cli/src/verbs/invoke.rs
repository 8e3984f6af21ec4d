//! `gobctl invoke GRAPH TYPE [JSON|-]`: one request to a worker that speaks JSON lines on its endpoint.
//!
//! The supervisor only provides the worker's endpoint. A worker may answer in parts: frames with `lines` are
//! printed line by line, and the data behind them goes to standard error, so that `export > file` gives the
//! input of `import -`.

use super::{Effect, Verb, WORKERS, timeout};
use crate::afar::{Afar, Input};
use crate::context::Context;
use crate::each::{ask_of, name, name_arg};
use crate::failure::Failure;
use crate::import::{Step, import};
use crate::progress::Progress;
use crate::suggest::DID_YOU_MEAN;
use crate::table::{Align, Narrower, fitted};
use crate::terminal::{fold, prose_width};
use crate::text::{escape, shell_word};
use crate::{json, out};
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::call::Get;
use gob_client::endpoint::Endpoint;
use gob_client::protocol::{ErrorCode, WireError};
use gob_client::{Error, Name, View, call};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

pub(crate) const VERB: Verb = Verb {
    path: &["invoke"],
    group: WORKERS,
    effect: Effect::Changes,
    about: "Send one request to a worker that speaks JSON lines",
    examples: "Examples:\n  gobctl invoke demo --help                  what demo can be asked\n  gobctl invoke demo stats\n  gobctl invoke demo search '{\"text\":\"ada\"}'\n  gobctl invoke demo put - < nodes.json\n  gobctl invoke demo import - < graph.jsonl\n  gobctl invoke demo export > graph.jsonl\n",
    command: |command| {
        command
            .disable_help_flag(true)
            .override_usage("gobctl invoke [OPTIONS] <GRAPH> <TYPE> [JSON]")
            .arg(name_arg("GRAPH").required(false).required_unless_present("help"))
            .arg(
                Arg::new("type")
                    .value_name("TYPE")
                    .required_unless_present("help")
                    .help("The request's type, as the worker names it"),
            )
            .arg(
                Arg::new("help")
                    .short('h')
                    .long("help")
                    .action(ArgAction::SetTrue)
                    .help("Print help; of a GRAPH that is up, its requests too (as data with --json)"),
            )
            .arg(Arg::new("payload").value_name("JSON").help("Its payload; - reads it from standard input"))
    },
    timeout: timeout::SILENCE,
    afar: Afar::There(Input::Dash("payload")),
    run: Some(run),
    ..Verb::ROW
};

/// Time limit of a worker's silence, unless `--timeout` sets another. Its own longest deadline is a minute.
const TIMEOUT: Duration = Duration::from_secs(62);

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    if matches.get_flag("help") {
        return help(context, matches.get_one::<Name>("name"));
    }
    let name = name(matches)?;
    let type_name = matches.get_one::<String>("type").cloned().unwrap_or_default();
    let given = matches.get_one::<String>("payload").map(String::as_str);
    let worker = find(context, &name)?;
    let timeout = context.timeout.unwrap_or(TIMEOUT);
    let streams_in = type_name == "import" && given == Some("-") && is_graph_worker(&worker);
    let payload = given.filter(|_| !streams_in).map(payload).transpose()?;
    let endpoint = worker.endpoint.as_deref().unwrap_or_default();
    let mut exchange = Exchange::new(context, &name, &type_name);
    let result = Endpoint::connect(endpoint, timeout).map_err(Failure::from).and_then(|mut worker| {
        if streams_in {
            return import(&mut worker, std::io::stdin().lock(), timeout, |step| match step {
                Step::Read(lines) => {
                    exchange.progress.say(&format!("{lines} lines read"));
                    Ok(())
                }
                Step::Frame(frame) => exchange.frame(frame),
            });
        }
        let id = worker.send(&type_name, payload.as_deref())?;
        worker.wait_with_frames(id, timeout, |frame| exchange.frame(frame))
    });
    exchange.progress.clear();
    let data = result.map_err(|failure| of_worker(&name, &type_name, failure))?;
    if exchange.had_lines {
        context.note(data.get());
    } else {
        out::print(&json::shown(&data, context.json))?;
    }
    Ok(0)
}

/// A worker's list of its requests.
#[derive(Deserialize)]
struct Listed {
    requests: Vec<Entry>,
}

/// One request.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    type_name: String,
    #[serde(default)]
    about: String,
    #[serde(default)]
    payload: String,
}

/// Prints the verb's help, and the requests of a named worker that can list them. Starts nothing.
fn help(context: &Context, name: Option<&Name>) -> Result<u8, Failure> {
    let asked = name.map(|name| (name, requests_of(context, name)));
    if context.json
        && let Some((_, listed)) = asked
    {
        out::print(&json::shown(&listed?, true))?;
        return Ok(0);
    }
    out::print(&crate::args::help_of(&VERB))?;
    match asked {
        Some((name, Ok(data))) => {
            out::print(&format!("\nRequests of {}:\n{}", escape(name.as_str()), rows(&data)?))?
        }
        Some((name, Err(_))) => {
            let name = name.as_argument();
            let text =
                format!("\nIts requests are listed once it is up and tells them: gobctl start {name}\n");
            out::print(&fold(&text, prose_width()))?;
        }
        None => {
            let text = "\ngobctl invoke GRAPH --help lists the requests of a graph that is up.\n";
            out::print(&fold(text, prose_width()))?;
        }
    }
    Ok(0)
}

fn requests_of(context: &Context, name: &Name) -> Result<Box<RawValue>, Failure> {
    let context = Context { autostart: false, ..context.clone() };
    let worker = find(&context, name)?;
    let timeout = context.timeout.unwrap_or(TIMEOUT);
    let endpoint = worker.endpoint.as_deref().unwrap_or_default();
    let connected = Endpoint::connect(endpoint, timeout);
    let told = connected.and_then(|mut worker| worker.call("requests", None, timeout));
    told.map_err(|error| of_worker(name, "requests", error.into()))
}

/// Returns a line for each request.
fn rows(data: &RawValue) -> Result<String, Failure> {
    let Listed { requests } = call::read("requests", data)?;
    let rows: Vec<[String; 3]> = requests
        .iter()
        .map(|entry| [format!("  {}", entry.type_name), entry.about.clone(), entry.payload.replace('`', "")])
        .map(|row| row.map(|cell| escape(&cell)))
        .collect();
    let steps = [Narrower::Cut(2, 20), Narrower::Without(2)];
    let lines = fitted([Align::Left; 3], &rows, Some(prose_width()), &steps);
    Ok(lines.into_iter().map(|line| line.trim_end().to_owned() + "\n").collect())
}

/// Requests the worker, which must be up and reachable.
fn find(context: &Context, name: &Name) -> Result<View, Failure> {
    let asked = ask_of(context, name, Get { name: name.clone() });
    let (_, reply) = asked.map_err(|failure| with_start(name, failure))?;
    let worker = reply.read()?.worker;
    let down = |message: String, hint: String| {
        Failure::Client(Error::Refused(WireError::new(ErrorCode::ServerNotRunning, message).hint(hint)))
    };
    if !worker.state.is_live() {
        return Err(down(
            format!("cannot invoke {name}: it is {}", worker.state),
            match worker.state == gob_client::protocol::State::Backoff {
                true => {
                    format!("it is started again by itself; at once with gobctl start {}", name.as_argument())
                }
                false => format!("start it: gobctl start {}", name.as_argument()),
            },
        ));
    }
    if worker.endpoint.is_none() {
        return Err(down(
            format!("cannot invoke {name}: it is {} and has no endpoint", worker.state),
            format!("gobctl status {}", name.as_argument()),
        ));
    }
    Ok(worker)
}

/// Hints at a start of a graph that the supervisor does not know, unless another name is near.
fn with_start(name: &Name, failure: Failure) -> Failure {
    if failure.wire_code() != Some(ErrorCode::ServerNotFound) {
        return failure;
    }
    let Failure::Client(Error::Refused(error)) = failure else { return failure };
    let is_near = error.hint.as_ref().is_some_and(|hint| hint.starts_with(DID_YOU_MEAN));
    let hint = format!("start it: gobctl start {}", name.as_argument());
    Failure::Client(Error::Refused(if is_near { error } else { error.hint(hint) }))
}

/// Returns whether this is gob's own worker, whose imports are streams; others may have an `import` of their
/// own.
fn is_graph_worker(worker: &View) -> bool {
    let program = worker.command.first().map(|program| Path::new(program).file_name());
    program.flatten().is_some_and(|program| program == "gob-graph-worker")
}

fn payload(given: &str) -> Result<Box<RawValue>, Failure> {
    let mut text = given.to_owned();
    if given == "-" {
        text.clear();
        std::io::stdin().lock().read_to_string(&mut text).map_err(|error| {
            Failure::usage("standard input cannot be read as text".to_owned()).cause(error.to_string())
        })?;
    }
    let text = text.trim().to_owned();
    RawValue::from_string(text).map_err(|error| match given {
        "-" => Failure::usage("standard input is not JSON".to_owned()).cause(error.to_string()),
        _ => Failure::usage("the payload is not JSON".to_owned())
            .cause(error.to_string())
            .hint("quote it for the shell: '{\"text\":\"x\"}'"),
    })
}

/// Turns an error of a worker's connection into one that names the worker.
fn of_worker(name: &Name, type_name: &str, failure: Failure) -> Failure {
    let (word, exit, message, cause) = match failure {
        Failure::Client(Error::Timeout { after, .. }) => {
            let seconds = after.as_secs_f64();
            (
                "client-timeout",
                124,
                format!("{name} did not answer `{type_name}` within {seconds:.1} s"),
                None,
            )
        }
        Failure::Client(Error::Lost { .. }) => {
            ("worker-lost", 1, format!("{name} closed the connection before it answered `{type_name}`"), None)
        }
        Failure::Client(Error::Connect { socket, source }) if source.kind() == ErrorKind::Unsupported => {
            let endpoint = socket.display().to_string();
            let failure =
                Failure::own("worker-unreachable", 1, format!("cannot invoke {name} on {endpoint}"));
            let hint = if endpoint.starts_with("http") {
                format!("ask it over HTTP: curl {}", shell_word(&endpoint))
            } else {
                "use a client of its own protocol".to_owned()
            };
            return failure.cause(source.to_string()).hint(hint);
        }
        Failure::Client(Error::Connect { socket, source } | Error::Io { socket, source }) => {
            let message = format!("cannot talk to {name} on {}", socket.display());
            ("worker-unreachable", 1, message, Some(source.to_string()))
        }
        Failure::Client(_) | Failure::Own { .. } | Failure::Help(_) | Failure::Closed => return failure,
    };
    let failure = Failure::own(word, exit, message).hint(format!("see gobctl logs {}", name.as_argument()));
    cause.into_iter().fold(failure, Failure::cause)
}

/// The frames before the answer.
struct Exchange {
    progress: Progress,
    had_lines: bool,
}

/// The frames of workers; unknown fields are ignored.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    lines: Option<Vec<&'a RawValue>>,
    phase: Option<String>,
    done: Option<u64>,
    total: Option<u64>,
}

impl Exchange {
    fn new(context: &Context, name: &Name, type_name: &str) -> Self {
        Self { progress: Progress::new(context, format!("{name}: {type_name}")), had_lines: false }
    }

    fn frame(&mut self, frame: &str) -> Result<(), Failure> {
        // Another worker's frames may have any form and are ignored.
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(frame) else { return Ok(()) };
        if let Some(lines) = frame.lines {
            self.had_lines = true;
            let text: String = lines.into_iter().map(|line| format!("{}\n", line.get())).collect();
            return out::print(&text);
        }
        if let (Some(phase), Some(done), Some(total)) = (frame.phase, frame.done, frame.total) {
            self.progress.say(&format!("{phase} {done} of {total}"));
        }
        Ok(())
    }
}

//! `gobctl invoke GRAPH TYPE [JSON|-]`: one request to a worker that speaks JSON lines on its endpoint.
//!
//! The supervisor is only asked where the worker is.

use super::{Verb, WORKERS};
use crate::context::Context;
use crate::each::{name, name_arg};
use crate::failure::Failure;
use crate::suggest::with_nearest_name;
use crate::{json, out};
use clap::{Arg, ArgMatches};
use gob_client::endpoint::Endpoint;
use gob_client::protocol::request::{ByName, WorkerData};
use gob_client::protocol::{ErrorCode, WireError};
use gob_client::{Error, Name, Request, requests};
use serde_json::value::RawValue;
use std::io::Read;
use std::time::Duration;

pub(crate) const VERB: Verb = Verb {
    name: "invoke",
    aliases: &[],
    group: WORKERS,
    about: "Send one request to a worker that speaks JSON lines",
    examples: "Examples:\n  gobctl invoke demo info\n  gobctl invoke demo query '{\"text\":\"x\"}'\n  gobctl invoke demo query - < query.json\n",
    command: |command| {
        command
            .arg(name_arg("GRAPH"))
            .arg(
                Arg::new("type")
                    .value_name("TYPE")
                    .required(true)
                    .help("The request's type, as the worker names it"),
            )
            .arg(Arg::new("payload").value_name("JSON").help("Its payload; - reads it from standard input"))
    },
    run,
};

/// How long a worker may take, unless `--timeout` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    let type_name = matches.get_one::<String>("type").cloned().unwrap_or_default();
    let payload = matches.get_one::<String>("payload").map(|text| payload(text)).transpose()?;
    let timeout = context.timeout.unwrap_or(TIMEOUT);
    let mut worker = Endpoint::connect(&endpoint(context, &name)?, timeout)?;
    let data = worker.call(&type_name, payload.as_deref(), timeout)?;
    out::print(&json::shown(&data, context.json))?;
    Ok(0)
}

/// Where the worker is reached.
fn endpoint(context: &Context, name: &Name) -> Result<String, Failure> {
    let request = Request::Get(ByName { name: name.clone() });
    let (mut client, id) = context.connect_with(&request)?;
    let data = client
        .wait(id, context.timeout_of(&request))
        .map_err(|error| with_nearest_name(context, &mut client, name, error.into()))?;
    let WorkerData { worker } = requests::read("get", &data)?;
    let down = |message: String, hint: String| {
        Failure::Client(Error::Refused(WireError::new(ErrorCode::ServerNotRunning, message).hint(hint)))
    };
    if !worker.state.is_live() {
        return Err(down(format!("{name} is {}", worker.state), format!("gobctl start {name}")));
    }
    worker.endpoint.ok_or_else(|| {
        down(format!("{name} is {} and has no endpoint", worker.state), format!("gobctl status {name}"))
    })
}

fn payload(text: &str) -> Result<Box<RawValue>, Failure> {
    let mut text = text.to_owned();
    if text == "-" {
        text.clear();
        std::io::stdin().lock().read_to_string(&mut text).map_err(|error| {
            Failure::usage("standard input cannot be read as text".to_owned()).cause(error.to_string())
        })?;
    }
    let text = text.trim().to_owned();
    RawValue::from_string(text).map_err(|error| {
        Failure::usage("the payload is not JSON".to_owned())
            .cause(error.to_string())
            .hint("quote it for the shell: '{\"text\":\"x\"}'")
    })
}

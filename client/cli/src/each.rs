//! Names on a command line. The same thing for several of them: do all, tell each failure, exit with the first one's code.

use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::suggest::with_nearest_name;
use clap::{Arg, ArgMatches};
use gob_client::blocking::Client;
use gob_client::protocol::answer::WorkerData;
use gob_client::{Name, Request, View, requests};
use serde_json::value::RawValue;

/// The argument `NAME…`.
pub(crate) fn names_arg(value_name: &'static str) -> Arg {
    name_arg(value_name).num_args(1..)
}

/// The argument `NAME`.
pub(crate) fn name_arg(value_name: &'static str) -> Arg {
    let help = if value_name == "GRAPH" {
        "A graph; any text without control characters"
    } else {
        "A worker; gobctl list shows them"
    };
    Arg::new("name")
        .value_name(value_name)
        .required(true)
        .value_parser(|text: &str| Name::any(text))
        .help(help)
}

/// The names given, each once, in the order given.
pub(crate) fn names(matches: &ArgMatches) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for name in matches.get_many::<Name>("name").into_iter().flatten() {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The one name given.
pub(crate) fn name(matches: &ArgMatches) -> Result<Name, Failure> {
    matches.get_one::<Name>("name").cloned().ok_or_else(|| Failure::usage("a name is missing".to_owned()))
}

/// Goes through all items, reports failures as they come, and gives the first one's exit code.
pub(crate) fn each<T>(
    context: &Context,
    items: impl IntoIterator<Item = T>,
    mut act: impl FnMut(T) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let mut first = 0;
    for item in items {
        match act(item) {
            Ok(()) => {}
            Err(Failure::Closed) => return Err(Failure::Closed),
            Err(failure) => {
                let code = failure.report(context.telling());
                if first == 0 {
                    first = code;
                }
            }
        }
    }
    Ok(first)
}

/// Asks one thing of one worker. A name that there is not brings up the nearest one.
pub(crate) fn ask_of(
    context: &Context,
    name: &Name,
    request: &Request,
) -> Result<(Client, Box<RawValue>), Failure> {
    let (mut client, id) = context.connect_with(request)?;
    let data = client
        .wait(id, context.deadline_of(request))
        .map_err(|error| with_nearest_name(context, &mut client, name, error.into()))?;
    Ok((client, data))
}

/// Has one thing done with one worker and tells it in a line.
pub(crate) fn do_with(
    context: &Context,
    name: &Name,
    request: &Request,
    told: impl FnOnce(&View) -> String,
) -> Result<Client, Failure> {
    let (client, data) = ask_of(context, name, request)?;
    if context.json {
        print_data(&data)?;
    } else if !context.quiet {
        let worker = requests::read::<WorkerData>(request.type_name(), &data)?.worker;
        out::print(&format!("{}\n", told(&worker)))?;
    }
    Ok(client)
}

/// Prints a response's data as it came.
pub(crate) fn print_data(data: &RawValue) -> Result<(), Failure> {
    out::print(&format!("{}\n", data.get()))
}

//! The same thing for several names: do all of them, tell each failure, exit with the first one's code.

use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use clap::{Arg, ArgMatches};
use gob_client::Name;
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
                let code = failure.report(context.json);
                if first == 0 {
                    first = code;
                }
            }
        }
    }
    Ok(first)
}

/// Prints a response's data as it came.
pub(crate) fn print_data(data: &RawValue) -> Result<(), Failure> {
    out::print(&format!("{}\n", data.get()))
}

//! Names on a command line: handles all of them, prints each failure, exits with the first one's code.

use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::suggest::with_remedy;
use clap::{Arg, ArgMatches};
use gob_client::blocking::Client;
use gob_client::call::{Call, Reply};
use gob_client::protocol::answer::WorkerData;
use gob_client::{Name, View};
use serde::Serialize;
use serde_json::Value;
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

/// Returns the given names, each once, in the given order.
pub(crate) fn names(matches: &ArgMatches) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for name in matches.get_many::<Name>("name").into_iter().flatten() {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Returns the one given name.
pub(crate) fn name(matches: &ArgMatches) -> Result<Name, Failure> {
    matches.get_one::<Name>("name").cloned().ok_or_else(|| Failure::usage("a name is missing".to_owned()))
}

/// Handles all names in the given order and returns the exit code of the first failure. `ask` waits for the
/// answer, `told` prints it in words. As JSON one name gives its data as it came, or its error on standard
/// error; several give one document with a result each.
pub(crate) fn each<T, C: Call>(
    context: &Context,
    items: Vec<(Name, T)>,
    ask: impl FnMut(&Name, T) -> Result<Reply<C>, Failure>,
    told: impl FnMut(&Name, &Reply<C>) -> Result<String, Failure>,
) -> Result<u8, Failure> {
    let mut all = Each::of(context, items.len());
    all.take(items, ask, told)?;
    all.finish()
}

/// As [`each`], for names that are asked about in several turns.
pub(crate) struct Each<'a> {
    context: &'a Context,
    /// One document tells all of it.
    gathers: bool,
    results: Vec<Of>,
    /// The exit code of the first failure.
    first: u8,
}

impl<'a> Each<'a> {
    /// Begins with no result, of `count` in the end.
    pub(crate) const fn of(context: &'a Context, count: usize) -> Self {
        Self { context, gathers: context.json && count != 1, results: Vec::new(), first: 0 }
    }

    /// Handles some of the names.
    pub(crate) fn take<T, C: Call>(
        &mut self,
        items: Vec<(Name, T)>,
        mut ask: impl FnMut(&Name, T) -> Result<Reply<C>, Failure>,
        mut told: impl FnMut(&Name, &Reply<C>) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        for (name, item) in items {
            let answer = ask(&name, item).and_then(|reply| {
                let text = if self.context.json { None } else { Some(told(&name, &reply)?) };
                match text {
                    Some(text) => out::print(&text)?,
                    None if self.gathers => {}
                    None => print_data(reply.data())?,
                }
                Ok(reply.into_data())
            });
            match answer {
                Ok(data) if self.gathers => self.results.push(Of { name, data: Some(data), error: None }),
                Ok(_) => {}
                Err(failure @ (Failure::Closed | Failure::Help(_))) => return Err(failure),
                Err(failure) => self.fail(name, &failure),
            }
        }
        Ok(())
    }

    /// Handles a name that was not asked about.
    pub(crate) fn fail(&mut self, name: Name, failure: &Failure) {
        let code = if self.gathers {
            let error = Some(failure.error_json(Some(&name)));
            self.results.push(Of { name, data: None, error });
            failure.exit_code()
        } else {
            failure.report_of(self.context.telling(), Some(&name))
        };
        self.first = if self.first == 0 { code } else { self.first };
    }

    /// Prints the document of several names, and returns the exit code of the first failure.
    pub(crate) fn finish(self) -> Result<u8, Failure> {
        if self.gathers {
            let text = serde_json::to_string(&Results { results: self.results }).unwrap_or_default();
            out::print(&format!("{text}\n"))?;
        }
        Ok(self.first)
    }
}

/// The results of several names.
#[derive(Serialize)]
struct Results {
    results: Vec<Of>,
}

/// The result of one name: data or an error.
#[derive(Serialize)]
struct Of {
    name: Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
}

/// Sends a request about one worker. An unknown name adds the nearest one to the error.
pub(crate) fn ask_of<C: Call>(
    context: &Context,
    name: &Name,
    call: C,
) -> Result<(Client, Reply<C>), Failure> {
    let (mut client, sent) = context.connect_with(call)?;
    let reply =
        context.wait(&mut client, sent).map_err(|error| with_remedy(&mut client, name, error.into()))?;
    Ok((client, reply))
}

/// Sends a request about one worker and prints its result in a line.
pub(crate) fn do_with<C: Call<Data = WorkerData>>(
    context: &Context,
    name: &Name,
    call: C,
    told: impl FnOnce(&View) -> String,
) -> Result<Client, Failure> {
    let (client, reply) = ask_of(context, name, call)?;
    if context.json {
        print_data(reply.data())?;
    } else if !context.quiet {
        out::print(&format!("{}\n", told(&reply.read()?.worker)))?;
    }
    Ok(client)
}

/// Prints a response's data as it came.
pub(crate) fn print_data(data: &RawValue) -> Result<(), Failure> {
    out::print(&format!("{}\n", data.get()))
}

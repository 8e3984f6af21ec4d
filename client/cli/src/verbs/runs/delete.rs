//! `gobctl runs delete NAME RUN`: deletes one run from the history.

use crate::context::Context;
use crate::each::{ask_of, name, name_arg, print_data};
use crate::failure::Failure;
use crate::out;
use crate::text::{escape, parse_number};
use crate::verbs::{Effect, Verb};
use clap::{Arg, ArgMatches};
use gob_client::call::RunsDelete;

pub(crate) const VERB: Verb = Verb {
    path: &["runs", "delete"],
    effect: Effect::Destroys,
    about: "Delete one run that has ended from the history",
    examples: "Examples:\n  gobctl runs delete tests 3\n",
    command: |command| {
        command.arg(name_arg("NAME")).arg(
            Arg::new("run")
                .value_name("RUN")
                .required(true)
                .value_parser(parse_number::<u64>)
                .help("The number of the run; gobctl runs NAME shows them"),
        )
    },
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    let missing = || Failure::usage("the number of a run is missing".to_owned());
    let run = *matches.get_one::<u64>("run").ok_or_else(missing)?;
    let (_, reply) = ask_of(context, &name, RunsDelete { name: name.clone(), run })?;
    if context.json {
        print_data(reply.data())?;
    } else if !context.quiet {
        out::print(&format!("deleted run {run} of {}\n", escape(name.as_str())))?;
    }
    Ok(0)
}

//! gobctl, the command line of gob.
//!
//! This file is the path of one call: find the verb, build clap for that verb alone, run it, turn the result
//! into an exit code. It owns no state.

mod afar;
mod alike;
mod args;
mod awaiting;
mod checks;
mod clock;
mod command;
mod complete;
mod config_file;
mod context;
mod daemon_log;
mod each;
mod ending;
mod environment;
mod exit;
mod failure;
mod first;
mod foreign;
mod goes_on;
mod guard;
mod help;
mod help_json;
mod history;
mod holding;
mod import;
mod job;
mod json;
mod keep_out;
mod last;
mod log_follow;
mod log_sieve;
mod log_source;
mod log_view;
mod manual;
mod out;
mod pages;
mod places;
mod process;
mod progress;
mod project;
mod queue;
mod render;
mod replay;
mod rows;
mod screen;
mod service;
mod signals;
mod skill;
mod speech;
mod stream;
mod style;
mod suggest;
mod table;
mod terminal;
mod text;
mod trusted;
mod verbs;
mod versions;
mod words;

use failure::Failure;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Some(words) = guard::words(&args) {
        return ExitCode::from(guard::main(words));
    }
    if let Some(words) = afar::receive::words(&args) {
        return ExitCode::from(afar::receive::main(words));
    }
    if let Some(words) = complete::words(&args) {
        return ExitCode::from(complete::main(words));
    }
    let telling = args::telling(&args);
    let code = run(args).unwrap_or_else(|failure| failure.report(telling));
    ExitCode::from(code)
}

fn run(args: Vec<OsString>) -> Result<u8, Failure> {
    match args::find_verb(&args) {
        args::Asked::Help => out::print(&help::overview()).map(|()| 0),
        args::Asked::Topic(text) => out::print(&text).map(|()| 0),
        args::Asked::Data(verb) => help_json::print(verb),
        args::Asked::NoTopic(word) => Err(manual::no_topic(&word)),
        args::Asked::Version => {
            out::print(&format!("{}\n", gob_protocol::build::version_of("gobctl"))).map(|()| 0)
        }
        args::Asked::Unknown(word) => Err(help::unknown_verb(&word)),
        args::Asked::Nothing => {
            let words = args.clone();
            let args::Parsed { mut context, matches, .. } = args::parse(args, None)?;
            match afar::run(&mut context, &verbs::overview::VERB, &matches, &words)? {
                Some(code) => Ok(code),
                None => verbs::overview::run(&context),
            }
        }
        args::Asked::Verb(verb, args) => {
            let words = args.clone();
            let args::Parsed { mut context, verb: named, matches } = args::parse(args, Some(verb))?;
            let verb = named.unwrap_or(verb);
            if let (true, Some(code)) = (verb.run.is_some(), afar::run(&mut context, verb, &matches, &words)?)
            {
                return Ok(code);
            }
            first::end_by_signals(verb, &matches);
            verb.run.map_or_else(|| Err(args::one_more_word(verb)), |run| run(&context, &matches))
        }
    }
}

//! `gobctl with GRAPH… -- CMD…`: ensures workers, holds them while CMD runs, lets go.

use super::{Verb, WORKERS};
use crate::command::{GOB_FAILED, run as run_command};
use crate::context::{Context, not_ready};
use crate::each::names_arg;
use crate::environment::environment;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::verbs::start::millis;
use clap::{Arg, ArgMatches};
use gob_client::blocking::Client;
use gob_client::protocol::answer::StartData;
use gob_client::protocol::request::Start;
use gob_client::{Name, Request, requests};
use std::ffi::OsString;

pub(crate) const VERB: Verb = Verb {
    name: "with",
    aliases: &[],
    group: WORKERS,
    about: "Run a command while workers are held for it",
    examples: "Examples:\n  gobctl with demo -- sh -c 'echo $GOB_ENDPOINT'\n  gobctl with a b -- make test\n",
    command: |command| {
        command.arg(names_arg("GRAPH")).arg(
            Arg::new("command")
                .value_name("CMD")
                .required(true)
                .last(true)
                .num_args(1..)
                .value_parser(clap::value_parser!(OsString))
                .help("Gets GOB_ENDPOINT, and GOB_ENDPOINT_<GRAPH> for each"),
        )
    },
    run,
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let command: Vec<OsString> = matches.get_many("command").into_iter().flatten().cloned().collect();
    // The leases are this connection's: they end with it, however this ends.
    let (client, variables) = match hold(context, crate::each::names(matches)) {
        Ok(held) => held,
        Err(Failure::Help(text)) => return Err(Failure::Help(text)),
        Err(failure) => {
            // The command's codes are its own; that gob failed before it ran has one code.
            failure.report(context.telling());
            return Ok(GOB_FAILED);
        }
    };
    let code = run_command(&command, &variables);
    drop(client);
    code
}

/// Starts all workers with a lease and says where they are.
fn hold(context: &Context, names: Vec<Name>) -> Result<(Client, Vec<(String, String)>), Failure> {
    let env = environment(context);
    let mut client = context.connect("start")?;
    let mut sent = Vec::new();
    for name in names {
        let request = Request::Start(Start {
            name: Some(name.clone()),
            env: Some(env.clone()),
            timeout_ms: context.timeout.map(millis),
            lease: true,
            ..Start::default()
        });
        sent.push((name, client.send(&request)?, context.deadline_of(&request)));
    }
    let mut variables: Vec<(String, String)> = Vec::new();
    for (name, id, deadline) in sent {
        let mut progress = Progress::new(context, format!("starting {name}"));
        let data = client.wait_ticking(id, deadline, Progress::EVERY, &mut |waited| progress.show(waited));
        progress.clear();
        let StartData { worker, .. } =
            requests::read("start", &data.map_err(|error| not_ready(&name, error))?)?;
        let endpoint: String = worker.endpoint.as_deref().unwrap_or_default().into();
        if variables.is_empty() {
            variables.push(("GOB_ENDPOINT".to_owned(), endpoint.clone()));
        }
        variables.push((variable(&name), endpoint));
    }
    Ok((client, variables))
}

/// `GOB_ENDPOINT_FOO_BAR` for `foo/bar`.
fn variable(name: &Name) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("GOB_ENDPOINT_{}", name.as_str().chars().map(upper).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named_as_a_shell_takes_them() {
        assert_eq!(variable(&Name::any("foo/bär-2").unwrap()), "GOB_ENDPOINT_FOO_B_R_2");
    }
}

//! `gobctl export systemd|compose NAME…`: files for what outgrew one user's machine. Written from the workers' views.

mod compose;
mod systemd;

use super::{Effect, SUPERVISOR, Verb};
use crate::context::Context;
use crate::each::{names, names_arg};
use crate::failure::Failure;
use crate::out;
use crate::suggest::with_remedy;
use clap::ArgMatches;
use gob_client::View;
use gob_client::call::Get;
use gob_host::siblings::is_program;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

pub(crate) const NOUN: Verb = Verb {
    path: &["export"],
    group: SUPERVISOR,
    effect: Effect::Reads,
    about: "Print systemd units or a compose file for workers",
    examples: "Examples:\n  gobctl export systemd web > ~/.config/systemd/user/web.service\n  gobctl export compose web db > compose.yaml\n",
    ..Verb::ROW
};

pub(crate) const SYSTEMD: Verb = Verb {
    path: &["export", "systemd"],
    effect: Effect::Reads,
    about: "Print a systemd unit for each worker",
    examples: "Examples:\n  gobctl export systemd web > ~/.config/systemd/user/web.service\n\nThe command, the directory and the program's path are those of its latest run. Its environment is not known to gob's clients and not printed: add what it needs.\n",
    command: |command| command.arg(names_arg("NAME")),
    run: Some(|context, matches| {
        let files = workers(context, matches)?.iter().map(systemd::unit).collect::<Result<_, _>>()?;
        show(context, "systemd", files)
    }),
    ..Verb::ROW
};

pub(crate) const COMPOSE: Verb = Verb {
    path: &["export", "compose"],
    effect: Effect::Reads,
    about: "Print a compose file with a service for each worker",
    examples: "Examples:\n  gobctl export compose web db > compose.yaml\n  GOB_IMAGE=debian:stable docker compose up\n\nEach service runs in the image that GOB_IMAGE names, as this user, in the network of the machine, with the directories of its worker. Its environment is not known to gob's clients and not printed.\n",
    command: |command| command.arg(names_arg("NAME")),
    run: Some(|context, matches| {
        let file = compose::file(&workers(context, matches)?)?;
        show(context, "compose", vec![file])
    }),
    ..Verb::ROW
};

/// A file to write.
struct File {
    name: String,
    text: String,
}

/// Returns the views of the named workers.
fn workers(context: &Context, matches: &ArgMatches) -> Result<Vec<View>, Failure> {
    let mut client = context.connect("get")?;
    let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
    for name in names(matches) {
        let reply = context.call(&mut client, Get { name: name.clone() });
        let reply = reply.map_err(|error| with_remedy(&mut client, &name, error.into()))?;
        let worker = reply.read()?.worker;
        if worker.command.is_empty() {
            let message = format!("{name} has no command yet: it has not run");
            let hint = format!("gobctl start {}", name.as_argument());
            return Err(Failure::own("server-not-running", 3, message).hint(hint));
        }
        if !seen.insert(file_name(&worker)) {
            let message = format!("two of these workers would both be {}", file_name(&worker));
            return Err(Failure::usage(message).hint("export them one by one"));
        }
        all.push(worker);
    }
    Ok(all)
}

/// Prints files: one as it is, several behind a line with the name of each.
fn show(context: &Context, form: &str, files: Vec<File>) -> Result<u8, Failure> {
    if context.json {
        let files: Vec<_> =
            files.iter().map(|File { name, text }| json!({"name": name, "text": text})).collect();
        return out::print(&format!("{}\n", json!({"format": form, "files": files}))).map(|()| 0);
    }
    let several = files.len() > 1;
    let text = files.into_iter().fold(String::new(), |all, File { name, text }| {
        let between = if all.is_empty() { "" } else { "\n" };
        let head = if several { format!("{between}# {name}\n") } else { String::new() };
        all + &head + &text
    });
    out::print(&text).map(|()| 0)
}

/// Returns a worker's name as units and services may have it.
fn file_name(worker: &View) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
    let name: String = worker.name.on_disk().chars().map(plain).collect();
    // A dash in front is an option to systemctl, and a service begins with a letter or a digit.
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) { name } else { format!("gob{name}") }
}

/// Returns the command with the whole path of its program, as far as this program finds it: a service has another PATH.
fn command(worker: &View) -> Result<Vec<String>, Failure> {
    let mut words = worker.command.to_vec();
    if let Some(program) = words.first_mut().filter(|program| !program.starts_with('/')) {
        let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places: Vec<_> = if program.contains('/') {
            vec![worker.cwd.as_deref().unwrap_or("/").into()]
        } else {
            beside.into_iter().chain(std::env::split_paths(&path)).collect()
        };
        let found = places.iter().map(|dir| dir.join(&*program)).find(|path| is_program(path));
        let found = found.and_then(|path| path.into_os_string().into_string().ok()).ok_or_else(|| {
            let message = format!("{}: there is no program {program}", worker.name);
            Failure::own("command-failed", 1, message).hint("add its directory to PATH")
        })?;
        *program = found;
    }
    Ok(words)
}

/// Returns the absolute directories that a worker needs: its own, its graph's root, and that of its socket.
fn directories(worker: &View) -> BTreeSet<&str> {
    let socket = worker.endpoint.as_deref().and_then(|endpoint| endpoint.strip_prefix("unix:"));
    let socket = socket.and_then(|path| Path::new(path).parent()?.to_str());
    let all = [worker.cwd.as_deref(), worker.root_dir.as_deref(), socket];
    all.into_iter().flatten().filter(|dir| dir.starts_with('/') && *dir != "/").collect()
}

//! `gobctl graphs delete NAME`: deletes a graph, data and all.

use super::size;
use crate::afar::Afar;
use crate::context::Context;
use crate::each::{name, name_arg, print_data};
use crate::failure::Failure;
use crate::out;
use crate::text::escape;
use crate::verbs::start::absolute;
use crate::verbs::{Effect, Verb};
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::blocking::Client;
use gob_client::call::{GraphDelete, Graphs};
use gob_client::protocol::answer::{GraphDeleteData, GraphOnDisk, GraphsData};
use std::io::{BufRead, IsTerminal, Read};

pub(crate) const VERB: Verb = Verb {
    path: &["graphs", "delete"],
    effect: Effect::Destroys,
    about: "Delete a graph that is down: its data and what is remembered of it",
    examples: "Examples:\n  gobctl graphs delete demo\n",
    command: |command| {
        let root = Arg::new("root-dir").long("root-dir").value_name("DIR");
        let yes = Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue);
        command
            .arg(name_arg("GRAPH"))
            .arg(root.help("The directory that holds it, where there are several of that name"))
            .arg(yes.help("Do not ask"))
    },
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

/// Limit of an answer on the terminal, in bytes.
const ANSWER_BYTES: u64 = 64;

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let graph = name(matches)?;
    let root_dir = matches.get_one::<String>("root-dir").map(|dir| absolute(dir)).transpose()?;
    let is_asked = !matches.get_flag("yes");
    if is_asked && !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        let what = format!(
            "graphs delete {} deletes data, and there is no terminal to ask on",
            escape(graph.as_str())
        );
        return Err(Failure::usage(what).hint(format!("gobctl graphs delete {} --yes", graph.as_argument())));
    }
    let mut client = context.connect("graph_delete")?;
    let request = GraphDelete { graph, root_dir };
    if is_asked && !wanted(context, &mut client, &request)? {
        context.note("nothing was deleted");
        return Ok(1);
    }
    let shown = escape(request.graph.as_str());
    let reply = context.call(&mut client, request)?;
    if context.json {
        print_data(reply.data())?;
        return Ok(0);
    }
    let GraphDeleteData { deleted, kept } = reply.read()?;
    if !context.quiet {
        out::print(&format!("deleted {shown} ({})\n", escape(&deleted)))?;
    }
    if let Some(kept) = kept {
        context.note(&format!("its data in {kept} stays: gob did not make it"));
    }
    Ok(0)
}

/// Asks the user at the terminal.
fn wanted(context: &Context, client: &mut Client, delete: &GraphDelete) -> Result<bool, Failure> {
    let GraphsData { graphs } = context.call(client, Graphs)?.read()?;
    let is_meant = |known: &&GraphOnDisk| {
        known.graph == delete.graph && delete.root_dir.as_ref().is_none_or(|root| *root == known.root_dir)
    };
    let what: Vec<String> = graphs.iter().filter(is_meant).map(described).collect();
    let what = if what.is_empty() { "nothing of it is on disk".to_owned() } else { what.join("; ") };
    out::error_text(&format!("delete {} ({what})? [y/N] ", escape(delete.graph.as_str())));
    let mut answer = String::new();
    // An unreadable answer is not a yes.
    std::io::stdin().lock().take(ANSWER_BYTES).read_line(&mut answer).ok();
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn described(graph: &GraphOnDisk) -> String {
    let size = graph.size_bytes.map(|bytes| format!("{} in ", size(bytes))).unwrap_or_default();
    let kind =
        graph.kind.as_deref().map(|kind| format!(", of the kind {}", escape(kind))).unwrap_or_default();
    format!("{size}{}{kind}", escape(&graph.path))
}

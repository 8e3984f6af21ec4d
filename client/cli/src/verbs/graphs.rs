//! `gobctl graphs`: the graphs on disk. `gobctl graphs delete NAME` deletes one, with its data.

use super::start::absolute;
use super::{LOOKING, Verb};
use crate::context::Context;
use crate::each::{name, name_arg, print_data};
use crate::failure::Failure;
use crate::out;
use crate::table::{Align, Narrower, fitted};
use crate::text::{escape, name as shown_name, now, short_duration, since};
use clap::{Arg, ArgAction, ArgMatches, Command};
use gob_client::blocking::Client;
use gob_client::call::{GraphDelete, Graphs};
use gob_client::protocol::answer::{GraphDeleteData, GraphOnDisk, GraphsData};
use std::io::{BufRead, IsTerminal, Read};

pub(crate) const VERB: Verb = Verb {
    name: "graphs",
    aliases: &[],
    group: LOOKING,
    about: "Which graphs there are on disk; delete one",
    examples: "Examples:\n  gobctl graphs\n  gobctl graphs delete demo\n",
    command: |command| {
        let delete = Command::new("delete")
            .about("Delete a graph that is down: its data and what is remembered of it");
        let root = Arg::new("root-dir").long("root-dir").value_name("DIR");
        let yes = Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue);
        command.subcommand(
            delete
                .arg(name_arg("GRAPH"))
                .arg(root.help("The directory that holds it, where there are several of that name"))
                .arg(yes.help("Do not ask")),
        )
    },
    run,
};

const ALIGN: [Align; 6] = [Align::Left, Align::Left, Align::Left, Align::Right, Align::Right, Align::Left];
const NARROWER: [Narrower; 4] =
    [Narrower::Without(4), Narrower::Cut(2, 12), Narrower::Without(2), Narrower::Cut(0, 8)];

/// Limit of a line that answers a question.
const ANSWER_BYTES: u64 = 64;

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    if let Some(("delete", matches)) = matches.subcommand() {
        return delete(context, matches);
    }
    let (_, reply) = context.ask(Graphs)?;
    if context.json {
        print_data(reply.data())?;
        return Ok(0);
    }
    let GraphsData { graphs } = reply.read()?;
    if graphs.is_empty() {
        context.note("no graphs; gobctl start GRAPH makes one");
        return Ok(0);
    }
    let head = ["GRAPH", "KIND", "ROOT", "SIZE", "USED", "STATE"].map(str::to_owned);
    let rows: Vec<_> = [head].into_iter().chain(graphs.iter().map(row)).collect();
    out::print(
        &fitted(ALIGN, &rows, context.look().width, &NARROWER)
            .iter()
            .fold(String::new(), |text, line| text + line + "\n"),
    )?;
    Ok(0)
}

fn row(graph: &GraphOnDisk) -> [String; 6] {
    let none = || "-".to_owned();
    let used = graph.last_used_at.map(|at| format!("{} ago", short_duration(since(at, now()))));
    [
        shown_name(graph.graph.as_str()),
        graph.kind.as_deref().map_or_else(none, escape),
        escape(&graph.root_dir),
        graph.size_bytes.map_or_else(none, size),
        used.unwrap_or_else(none),
        graph.state.map_or_else(none, |state| state.as_str().to_owned()),
    ]
}

/// Formats bytes for people.
fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"].iter().zip([10_u32, 20, 30, 40]);
    let unit = units.rev().find(|(_, shift)| bytes >> shift > 0);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, shift)| {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        },
    )
}

fn delete(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
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
    drop(std::io::stdin().lock().take(ANSWER_BYTES).read_line(&mut answer));
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn described(graph: &GraphOnDisk) -> String {
    let size = graph.size_bytes.map(|bytes| format!("{} in ", size(bytes))).unwrap_or_default();
    let kind =
        graph.kind.as_deref().map(|kind| format!(", of the kind {}", escape(kind))).unwrap_or_default();
    format!("{size}{}{kind}", escape(&graph.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_600_000, "1.5 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(size(bytes), shown);
        }
    }
}

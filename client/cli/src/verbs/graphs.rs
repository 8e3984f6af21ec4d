//! `gobctl graphs`: the graphs on disk.

pub(crate) mod delete;

use super::{Effect, LOOKING, Verb};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::out;
use crate::table::{Align, Narrower, fitted};
use crate::text::{escape, name as shown_name, now, short_duration, since};
use clap::ArgMatches;
use gob_client::call::Graphs;
use gob_client::protocol::answer::{GraphOnDisk, GraphsData};

pub(crate) const VERB: Verb = Verb {
    path: &["graphs"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "Which graphs there are on disk; delete one",
    examples: "Examples:\n  gobctl graphs\n  gobctl graphs delete demo\n",
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

const ALIGN: [Align; 6] = [Align::Left, Align::Left, Align::Left, Align::Right, Align::Right, Align::Left];
const NARROWER: [Narrower; 4] =
    [Narrower::Without(4), Narrower::Cut(2, 12), Narrower::Without(2), Narrower::Cut(0, 8)];

fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
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
pub(super) fn size(bytes: u64) -> String {
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

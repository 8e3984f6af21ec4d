//! `gobctl config reload`: has the supervisor read the configuration again.

use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::out;
use crate::places::elsewhere;
use crate::text::escape;
use crate::verbs::{Effect, Verb};
use clap::ArgMatches;
use gob_client::call::Reload;
use gob_client::protocol::answer::ReloadData;

pub(crate) const VERB: Verb = Verb {
    path: &["config", "reload"],
    effect: Effect::Changes,
    about: "Have the supervisor read it again",
    examples: "Examples:\n  gobctl config reload\n",
    run: Some(run),
    ..Verb::ROW
};

/// Without a supervisor no reload is needed: the next one reads the file when it starts.
fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    let mut client = context.without_autostart().connect("reload")?;
    if let Some(theirs) = client.server().dirs.clone() {
        let all = elsewhere(&context.dirs()?, &theirs);
        for it in all.iter().filter(|it| it.variable == "GOB_CONFIG") {
            context.note(&format!("the supervisor reads {}, not {}", it.theirs.display(), it.ours.display()));
        }
    }
    let reply = context.call(&mut client, Reload)?;
    if context.json {
        print_data(reply.data())?;
    } else if !context.quiet {
        let data = reply.read()?;
        out::print(&format!("read the configuration again: {}\n", escape(&told(&data))))?;
    }
    Ok(0)
}

/// Returns the new and the removed tables, and each other changed key.
fn told(data: &ReloadData) -> String {
    let whole = |key: &str| {
        let mut tables = data.added.iter().chain(&data.removed);
        tables.any(|table| key.strip_prefix(table.as_str()).is_some_and(|rest| rest.starts_with('.')))
    };
    let words = |table: &String, what: &str| format!("{} is {what}", table.replacen('.', " ", 1));
    let added = data.added.iter().map(|table| words(table, "new"));
    let removed = data.removed.iter().map(|table| words(table, "gone"));
    let changed = data.changed.iter().filter(|key| !whole(key)).cloned();
    let all: Vec<String> = added.chain(removed).chain(changed).collect();
    if all.is_empty() { "nothing changed".to_owned() } else { all.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changes_of_a_reload_are_listed() {
        let data = |changed: &[&str], added: &[&str], removed: &[&str]| {
            let owned = |all: &[&str]| all.iter().map(|key| (*key).to_owned()).collect();
            told(&ReloadData { changed: owned(changed), added: owned(added), removed: owned(removed) })
        };
        assert_eq!(data(&[], &[], &[]), "nothing changed");
        assert_eq!(data(&["kind.a.cwd", "default_kind"], &[], &[]), "kind.a.cwd, default_kind");
        let keys = ["kind.a.cwd", "kind.a.command", "kind.ab.cwd", "graph.\"my notes\".kind"];
        let want = "graph \"my notes\" is new, kind a is gone, kind.ab.cwd";
        assert_eq!(data(&keys, &["graph.\"my notes\""], &["kind.a"]), want);
        assert_eq!(data(&[], &["graph.empty"], &[]), "graph empty is new", "of which nothing is said yet");
    }
}

//! `gobctl daemon upgrade`: has the supervisor go on with another program, while workers and clients stay.

use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::out;
use crate::text::escape;
use crate::verbs::{Effect, Verb, timeout};
use crate::versions::needs;
use clap::{Arg, ArgMatches, ValueHint, value_parser};
use gob_client::call::Upgrade;
use gob_client::protocol::answer::{KeeperUpgrade, Program, UpgradeData};
use gob_host::siblings;
use std::path::{Path, PathBuf};

pub(crate) const VERB: Verb = Verb {
    path: &["daemon", "upgrade"],
    effect: Effect::Changes,
    about: "Go on with another program; workers and clients stay",
    examples: "Examples:\n  gobctl daemon upgrade\n  gobctl daemon upgrade --exe ~/src/gob/target/release/gobd\n",
    timeout: timeout::UNTIL_ENDED,
    command: |command| {
        command.arg(
            Arg::new("exe")
                .long("exe")
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::ExecutablePath)
                .help("The new gobd; the one that this gobctl starts by default: beside it, else in GOB_LIBEXEC or on PATH"),
        )
    },
    run: Some(run),
    ..Verb::ROW
};

/// Without a supervisor nothing is to be upgraded: the next start finds the installed one.
fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let mut client = context.without_autostart().connect("upgrade")?;
    needs(&client, "upgrade")?;
    let exe = match matches.get_one::<PathBuf>("exe") {
        Some(path) => Some(absolute(path)?),
        // A supervisor that finds none goes on with the file that lies where its own did.
        None => siblings::find("gobd").ok().and_then(|path| path.to_str().map(str::to_owned)),
    };
    let reply = context.call(&mut client, Upgrade { exe })?;
    if context.json {
        print_data(reply.data())?;
    } else if !context.quiet {
        let data = reply.read()?;
        out::print(&format!("{}\n", escape(&told(&data, client.server().pid))))?;
        data.keeper.as_ref().and_then(left_behind).iter().for_each(|note| context.note(note));
    }
    Ok(0)
}

/// Returns the path from the root: the supervisor has another working directory.
fn absolute(path: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("--exe {}: {error}", path.display())))?;
    let told = path.display().to_string();
    path.into_os_string().into_string().map_err(|_| Failure::usage(format!("--exe {told} is not UTF-8")))
}

fn told(UpgradeData { from, to, keeper }: &UpgradeData, pid: i32) -> String {
    let of = |program: &Program| format!("{} ({})", program.version, program.exe);
    let keeper = keeper.as_ref().filter(|keeper| keeper.upgraded);
    let keeper = keeper.map_or_else(String::new, |keeper| format!(" and its keeper (pid {})", keeper.pid));
    format!("upgraded gobd (pid {pid}){keeper} from {} to {}; all workers went on", of(from), of(to))
}

/// Returns the note about a keeper that runs an older program than the one on disk.
fn left_behind(KeeperUpgrade { pid, error, .. }: &KeeperUpgrade) -> Option<String> {
    let why = error.as_ref()?;
    Some(format!("the keeper (pid {pid}) goes on with its own program: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_are_told() {
        let program = |version: &str, exe: &str| Program { version: version.into(), exe: exe.into() };
        let (from, to) = (program("0.1.0", "/a/gobd"), program("0.2.0", "/b/gobd"));
        let mut data = UpgradeData { from, to, keeper: None };
        let want = "upgraded gobd (pid 7) from 0.1.0 (/a/gobd) to 0.2.0 (/b/gobd); all workers went on";
        assert_eq!(told(&data, 7), want);
        data.keeper = Some(KeeperUpgrade { pid: 6, upgraded: true, error: None });
        assert_eq!(told(&data, 7), want.replace("gobd (pid 7)", "gobd (pid 7) and its keeper (pid 6)"));
        assert_eq!(data.keeper.as_ref().and_then(left_behind), None);
        let keeper = KeeperUpgrade { pid: 6, upgraded: false, error: Some("it hangs".into()) };
        let note = "the keeper (pid 6) goes on with its own program: it hangs";
        assert_eq!(left_behind(&keeper).as_deref(), Some(note));
        data.keeper = Some(keeper);
        assert_eq!(told(&data, 7), want);
    }
}

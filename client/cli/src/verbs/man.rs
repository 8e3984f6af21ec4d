//! `gobctl man DIR`: writes the manual pages.

use super::{Effect, SHELL, Verb};
use crate::afar::Afar;
use crate::context::Context;
use crate::failure::Failure;
use crate::{out, pages};
use clap::{Arg, ArgMatches};
use serde_json::json;
use std::ffi::OsString;
use std::io;
use std::path::Path;

pub(crate) const VERB: Verb = Verb {
    path: &["man"],
    group: SHELL,
    effect: Effect::Changes,
    about: "Write the manual pages",
    examples: "Examples:\n  gobctl man ~/.local/share/man/man1\n  man gobctl-start\n\nA page for gobctl and one for each verb, all of section 1. Pages of the same names are replaced.\n",
    command: |command| {
        let help = "The directory to write to, which exists";
        let parser = clap::value_parser!(OsString);
        command.arg(Arg::new("dir").value_name("DIR").required(true).value_parser(parser).help(help))
    },
    afar: Afar::Never("it writes the pages of this program"),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let dir = Path::new(matches.get_one::<OsString>("dir").map_or("".as_ref(), OsString::as_os_str));
    let failed = |path: &Path, error: &io::Error| {
        let failure = Failure::own("man-failed", 1, format!("cannot write {}", path.display()));
        failure.cause(error.to_string())
    };
    if !dir.is_dir() {
        let (why, hint) = match dir.metadata() {
            Ok(_) => (io::Error::from(io::ErrorKind::NotADirectory), None),
            Err(error) => (error, Some(format!("make it first: mkdir -p {}", dir.display()))),
        };
        let failure = failed(dir, &why);
        return Err(match hint {
            Some(hint) if why.kind() == io::ErrorKind::NotFound => failure.hint(hint),
            _ => failure,
        });
    }
    let pages = pages::all().map_err(|error| failed(dir, &error))?;
    let mut files = Vec::new();
    for page in pages {
        let file = format!("{}.1", page.name);
        let path = dir.join(&file);
        std::fs::write(&path, page.text).map_err(|error| failed(&path, &error))?;
        files.push(file);
    }
    if context.json {
        let data = json!({"dir": dir.to_string_lossy(), "pages": files});
        return out::print(&format!("{data}\n")).map(|()| 0);
    }
    if !context.quiet {
        let text = format!("wrote {} manual pages to {}", files.len(), dir.display());
        out::print(&format!("{}\n", crate::text::escape(&text)))?;
    }
    Ok(0)
}

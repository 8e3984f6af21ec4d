//! `gobctl config path`: the path of `config.toml`.

use crate::config_file::judge;
use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::verbs::{Effect, Verb};
use clap::ArgMatches;
use gob_client::Dirs;
use serde_json::json;
use std::path::Path;

pub(crate) const VERB: Verb = Verb {
    path: &["config", "path"],
    effect: Effect::Reads,
    about: "Print the path of config.toml",
    examples: "Examples:\n  ${EDITOR:-vi} \"$(gobctl config path)\"\n",
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    out::print(&path(context, &context.dirs()?))?;
    Ok(0)
}

/// The path of `config.toml` alone on standard output, for an editor's command line.
fn path(context: &Context, dirs: &Dirs) -> String {
    let files: Vec<String> = judge(dirs).files;
    if context.json {
        return format!("{}\n", json!({"path": dirs.config.to_string_lossy(), "files": files}));
    }
    for file in files.iter().filter(|file| Path::new(file) != dirs.config) {
        context.note(&format!("also read: {file}"));
    }
    format!("{}\n", dirs.config.display())
}

//! `gobctl config init`: writes a commented example, unless there is a file.

use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::verbs::{Effect, Verb};
use clap::ArgMatches;
use gob_client::Error;
use gob_config::EXAMPLE;
use gob_host::dirs::check_owner;
use serde_json::json;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

pub(crate) const VERB: Verb = Verb {
    path: &["config", "init"],
    effect: Effect::Changes,
    about: "Write a commented example, unless there is a file",
    examples: "Examples:\n  gobctl config init\n",
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    out::print(&init(context, &context.dirs()?.config)?)?;
    Ok(0)
}

fn init(context: &Context, path: &Path) -> Result<String, Failure> {
    let refused = |message: String| Failure::own("config-failed", 1, message);
    let failed =
        |error: std::io::Error| refused(format!("cannot write {}", path.display())).cause(error.to_string());
    check_owner("GOB_CONFIG", path, |name| std::env::var_os(name)).map_err(|error| {
        let error = Error::from(error);
        refused(error.to_string()).hint(error.hint().unwrap_or_default())
    })?;
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(path);
    let mut file = made.map_err(|error| {
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            return failed(error);
        }
        if !path.is_file() {
            let is_there = format!("there is no regular file at {}, and something else is", path.display());
            return refused(is_there).hint("choose another file: export GOB_CONFIG=/path/to/config.toml");
        }
        refused(format!("there is a configuration already: {}", path.display()))
            .cause("it stays as it is")
            .hint("gobctl config check says whether it is valid; to begin anew, move it away first")
    })?;
    file.write_all(EXAMPLE.as_bytes()).map_err(failed)?;
    Ok(match (context.json, context.quiet) {
        (true, _) => format!("{}\n", json!({"path": path.to_string_lossy()})),
        (_, true) => String::new(),
        _ => format!("wrote {}\n", path.display()),
    })
}

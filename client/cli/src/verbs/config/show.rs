//! `gobctl config show`: every value in effect.

use crate::config_file::{invalid, read};
use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::table::{Align, layout};
use crate::text::escape;
use crate::verbs::{Effect, Verb};
use clap::ArgMatches;
use gob_client::Dirs;
use gob_config::{Config, Setting, Source};
use serde_json::json;
use std::path::Path;

pub(crate) const VERB: Verb = Verb {
    path: &["config", "show"],
    effect: Effect::Reads,
    about: "Print every value in effect and where it came from",
    examples: "Examples:\n  gobctl config show\n  gobctl config show --json\n",
    run: Some(run),
    ..Verb::ROW
};

/// Prints every value of the files with its place, after the directories; refused files come last.
fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    let dirs = context.dirs()?;
    let (config, rejected) = read(&dirs);
    out::print(&shown(context, &dirs, &config))?;
    if rejected.is_empty() { Ok(0) } else { Err(invalid(&rejected)) }
}

fn shown(context: &Context, dirs: &Dirs, config: &Config) -> String {
    let path = dirs.config.to_string_lossy();
    let settings = config.settings();
    if context.json {
        let each = |setting: &Setting| {
            let (file, line) = match &setting.source {
                Source::Line(file, line) => (Some(&**file), Some(line)),
                Source::Default => (None, None),
            };
            json!({"key": setting.key, "value": setting.value, "file": file, "line": line})
        };
        let settings: Vec<_> = settings.iter().map(each).collect();
        let places: serde_json::Map<_, _> = places(dirs)
            .into_iter()
            .map(|(key, path, source)| {
                (key.to_owned(), json!({"path": path.to_string_lossy(), "source": source}))
            })
            .collect();
        let files: Vec<&str> = config.files().collect();
        return format!(
            "{}\n",
            json!({"path": path, "files": files, "directories": places, "settings": settings})
        );
    }
    let mut rows = vec![["KEY", "VALUE", "FROM"].map(str::to_owned)];
    for (key, path, source) in places(dirs) {
        rows.push([key.to_owned(), escape(&path.to_string_lossy()), source]);
    }
    for setting in settings {
        let from = match &setting.source {
            Source::Default => "default".to_owned(),
            Source::Line(file, line) => format!("{}:{line}", escape(file)),
        };
        rows.push([escape(&setting.key), escape(&setting.value.to_string()), from]);
    }
    let lines = layout([Align::Left, Align::Left, Align::Left], &rows);
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Returns the directories, with the variables that set them.
fn places(dirs: &Dirs) -> [(&'static str, &Path, String); 4] {
    let from = |own: &str, xdg: &str| {
        let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        [own, xdg]
            .iter()
            .find(|name| set(name))
            .map_or_else(|| "default".to_owned(), |name| format!("${name}"))
    };
    [
        ("runtime_dir", &dirs.runtime, from("GOB_RUNTIME_DIR", "XDG_RUNTIME_DIR")),
        ("state_dir", &dirs.state, from("GOB_STATE_DIR", "XDG_STATE_HOME")),
        ("data_dir", &dirs.data, from("GOB_DATA_DIR", "XDG_DATA_HOME")),
        ("config", &dirs.config, from("GOB_CONFIG", "XDG_CONFIG_HOME")),
    ]
}

//! `gobctl config path|show|check|init|reload`: the configuration. Only `reload` needs the supervisor.

use super::{SUPERVISOR, Verb};
use crate::config_file::{invalid, judge, place, read, wrong};
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::out;
use crate::places::elsewhere;
use crate::table::{Align, layout};
use crate::text::escape;
use clap::{ArgMatches, Command};
use gob_client::Dirs;
use gob_client::call::Reload;
use gob_client::protocol::answer::ReloadData;
use gob_config::{Config, EXAMPLE, Problem, Setting, Source};
use serde_json::json;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

pub(crate) const VERB: Verb = Verb {
    name: "config",
    aliases: &[],
    group: SUPERVISOR,
    about: "The configuration: where it is, what is in it, whether it is valid",
    examples: "Examples:\n  gobctl config init\n  ${EDITOR:-vi} \"$(gobctl config path)\"\n  gobctl config check && gobctl config reload\n  gobctl config show\n",
    command: |command| {
        let sub = |name: &'static str, about: &'static str| Command::new(name).about(about);
        command
            .subcommand_required(true)
            .subcommand(sub("path", "Print the path of config.toml"))
            .subcommand(sub("show", "Print every value in effect and where it came from"))
            .subcommand(sub("check", "Say everything that is wrong with the file"))
            .subcommand(sub("init", "Write a commented example, unless there is a file"))
            .subcommand(sub("reload", "Have the supervisor read it again"))
    },
    run,
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let dirs = context.dirs()?;
    let text = match matches.subcommand_name() {
        Some("show") => return show(context, &dirs),
        Some("check") => check(context, &dirs)?,
        Some("init") => init(context, &dirs.config)?,
        Some("reload") => return reload(context),
        _ => path(context, &dirs),
    };
    out::print(&text)?;
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

/// Prints every value of the files with its place, after the directories; refused files come last.
fn show(context: &Context, dirs: &Dirs) -> Result<u8, Failure> {
    let (config, rejected) = read(dirs);
    out::print(&shown(context, dirs, &config))?;
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

fn check(context: &Context, dirs: &Dirs) -> Result<String, Failure> {
    let path = dirs.config.to_string_lossy();
    let judged = judge(dirs);
    if !context.json {
        for doubtful in &judged.doubtful {
            context.note(&format!("warning: {}", place(doubtful)));
        }
    }
    if let Some(failure) = wrong(&judged) {
        return Err(failure);
    }
    if context.json {
        let warning = |(path, problem): &(String, Problem)| {
            let Problem { line, column, key, message } = problem;
            json!({"path": path, "line": line, "column": column, "key": key, "message": message})
        };
        let warnings: Vec<_> = judged.doubtful.iter().map(warning).collect();
        let (files, exists) = (&judged.files, !judged.files.is_empty());
        let all = json!({"path": path, "files": files, "exists": exists, "errors": [], "warnings": warnings});
        return Ok(format!("{all}\n"));
    }
    Ok(match judged.files.is_empty() {
        true => format!("there is no {}; the defaults apply\n", escape(&path)),
        false => judged.files.iter().map(|file| format!("{} is valid\n", escape(file))).collect(),
    })
}

fn init(context: &Context, path: &Path) -> Result<String, Failure> {
    let refused = |message: String| Failure::own("config-failed", 1, message);
    let failed =
        |error: std::io::Error| refused(format!("cannot write {}", path.display())).cause(error.to_string());
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(path);
    let mut file = made.map_err(|error| {
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            return failed(error);
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

/// Without a supervisor no reload is needed: the next one reads the file when it starts.
fn reload(context: &Context) -> Result<u8, Failure> {
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

//! `gobctl skill`: the skill file for agents, printed or installed.

use super::{AGENTS, Effect, Verb};
use crate::afar::Afar;
use crate::context::Context;
use crate::failure::Failure;
use crate::skill::{NAME, text};
use crate::{out, text as texts};
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::json;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "SKILL.md";

pub(crate) const VERB: Verb = Verb {
    path: &["skill"],
    group: AGENTS,
    effect: Effect::Changes,
    about: "Tell agents when and how to use gob: print the skill file, or install it",
    examples: "Examples:\n  gobctl skill --print\n  gobctl skill --install ~/.claude/skills\n  gobctl skill --install .claude/skills\n\nClaude Code reads ~/.claude/skills in every project, and .claude/skills of a project in it alone. The file becomes\nDIR/gob/SKILL.md; installed again, it replaces the older one.\n",
    command: |command| {
        command
            .arg(
                Arg::new("print")
                    .long("print")
                    .action(ArgAction::SetTrue)
                    .conflicts_with("install")
                    .help("Print it, as without --install"),
            )
            .arg(
                Arg::new("install")
                    .long("install")
                    .value_name("DIR")
                    .value_parser(clap::value_parser!(OsString))
                    .help("Write DIR/gob/SKILL.md; for Claude Code DIR is ~/.claude/skills"),
            )
    },
    afar: Afar::Never("it is for the agents here"),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let Some(dir) = matches.get_one::<OsString>("install") else {
        return out::print(&text()).map(|()| 0);
    };
    let (path, has_changed) = install(Path::new(dir))?;
    let shown = texts::escape(&path.to_string_lossy());
    if context.json {
        let data = json!({"path": path.to_string_lossy(), "changed": has_changed});
        return out::print(&format!("{data}\n")).map(|()| 0);
    }
    let deed = if has_changed { "installed" } else { "is up to date:" };
    if !context.quiet {
        out::print(&format!("{deed} {shown}\n"))?;
    }
    Ok(0)
}

/// Writes the file where it is not the same already; returns its path, and whether it was written.
fn install(dir: &Path) -> Result<(PathBuf, bool), Failure> {
    let own = dir.join(NAME);
    let path = own.join(FILE);
    let failed = |error: &io::Error| {
        Failure::own("not-installed", 1, format!("cannot write {}", path.display()))
            .cause(error.to_string())
            .hint("choose a directory that you may write to: gobctl skill --install ~/.claude/skills")
    };
    if dir.as_os_str().is_empty() {
        return Err(Failure::usage("--install needs a directory".to_owned())
            .hint("for Claude Code: gobctl skill --install ~/.claude/skills"));
    }
    let text = text();
    if std::fs::read(&path).is_ok_and(|present| present == text.as_bytes()) {
        return Ok((path, false));
    }
    std::fs::create_dir_all(&own).map_err(|error| failed(&error))?;
    write(&own, &path, text.as_bytes()).map_err(|error| failed(&error))?;
    Ok((path, true))
}

/// Writes a file beside its place and renames it: a reader finds the old one or the new one, whole.
fn write(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = dir.join(format!(".{FILE}.{}", std::process::id()));
    let written = std::fs::File::create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| std::fs::rename(&new, path));
    if renamed.is_err() {
        std::fs::remove_file(&new).ok();
    }
    renamed
}

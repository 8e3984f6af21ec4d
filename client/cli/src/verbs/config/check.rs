//! `gobctl config check`: everything that is wrong with the files.

use crate::config_file::{judge, place, wrong};
use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::text::escape;
use crate::verbs::{Effect, Verb};
use clap::ArgMatches;
use gob_client::Dirs;
use gob_config::Problem;
use serde_json::json;

pub(crate) const VERB: Verb = Verb {
    path: &["config", "check"],
    effect: Effect::Reads,
    about: "Say everything that is wrong with the file",
    examples: "Examples:\n  gobctl config check && gobctl config reload\n",
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    out::print(&check(context, &context.dirs()?)?)?;
    Ok(0)
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

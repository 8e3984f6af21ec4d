//! `gobctl doctor`: checks for problems of gob, and remedies. Starts nothing, and changes only the safe
//! things under `--fix`.

use super::{Effect, SUPERVISOR, Verb, timeout};
use crate::checks::{self, Check, Level};
use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::style::{self, paint};
use crate::text::escape;
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::json;

pub(crate) const VERB: Verb = Verb {
    path: &["doctor"],
    group: SUPERVISOR,
    effect: Effect::Reads,
    about: "What may keep gob from working, and what to type about it",
    examples: "Examples:\n  gobctl doctor\n  gobctl doctor -q\n  gobctl doctor --fix\n  gobctl doctor --json\n",
    command: |command| {
        let help = "Also remove stale files, make gob's directories private, delete logs without a worker";
        command.arg(Arg::new("fix").long("fix").action(ArgAction::SetTrue).help(help))
    },
    flags: &[("--fix", Effect::Destroys)],
    timeout: timeout::DOCTOR,
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let checks = checks::all(context, matches.get_flag("fix"));
    if context.json {
        out::print(&format!("{}\n", json_of(&checks)))?;
    } else {
        let color = context.look().color;
        let text: String = by_weight(&checks, context.quiet).map(|check| told(check, color)).collect();
        out::print(&context.folded(&text))?;
        context.note(&summary(&checks));
    }
    Ok(u8::from(checks.iter().any(|check| check.level == Level::Fail)))
}

/// Orders problems last, where they stay in view, the worst at the end; alone when quiet.
fn by_weight(checks: &[Check], quiet: bool) -> impl Iterator<Item = &Check> {
    let shown = move |check: &Check| !quiet || check.level != Level::Ok || !check.fixed.is_empty();
    let of = move |level| checks.iter().filter(move |check| check.level == level && shown(check));
    [Level::Ok, Level::Warn, Level::Fail].into_iter().flat_map(of)
}

fn told(check: &Check, color: bool) -> String {
    let (mark, style) = match check.level {
        Level::Ok => ("ok  ", style::PLAIN),
        Level::Warn => ("warn", style::WARN),
        Level::Fail => ("FAIL", style::BAD),
    };
    let mark = paint(mark, style, color);
    let mut text = format!("{mark} {}: {}\n", check.what, escape(&check.found));
    for line in &check.fixed {
        text.push_str(&format!("     fixed: {}\n", escape(line)));
    }
    if let Some(hint) = &check.hint {
        let hint = paint(&format!("hint: {}", escape(hint)), style::FAINT, color);
        text.push_str(&format!("     {hint}\n"));
    }
    text
}

fn summary(checks: &[Check]) -> String {
    let count = |level| checks.iter().filter(|check| check.level == level).count();
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    match (count(Level::Fail), count(Level::Warn)) {
        (0, 0) => "all is well".to_owned(),
        (0, warnings) => format!("nothing fails, {}", plural(warnings, "warning")),
        (failures, warnings) => format!("{}, {}", plural(failures, "failure"), plural(warnings, "warning")),
    }
}

fn json_of(checks: &[Check]) -> serde_json::Value {
    let each = |check: &Check| {
        let level = match check.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        };
        json!({"check": check.what, "level": level, "found": check.found, "hint": check.hint, "fixed": check.fixed})
    };
    json!({"checks": checks.iter().map(each).collect::<Vec<_>>()})
}

//! `gobctl doctor`: what may keep gob from working, and what to do about it. Changes nothing and starts nothing.

use super::{SUPERVISOR, Verb};
use crate::checks::{self, Check};
use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::text::escape;
use clap::ArgMatches;
use serde_json::json;

pub(crate) const VERB: Verb = Verb {
    name: "doctor",
    aliases: &[],
    group: SUPERVISOR,
    about: "What may keep gob from working",
    examples: "Examples:\n  gobctl doctor\n",
    command: |command| command,
    run,
};

fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    let checks = checks::all(context)?;
    let bad = checks.iter().any(|check| check.problem.is_some());
    if context.json {
        out::print(&format!("{}\n", json_of(&checks)))?;
    } else {
        out::print(&checks.iter().map(told).collect::<String>())?;
    }
    Ok(u8::from(bad))
}

fn told(check: &Check) -> String {
    let found = escape(&check.found);
    match &check.problem {
        None => format!("ok   {}: {found}\n", check.what),
        Some(problem) => {
            let hint = problem
                .hint
                .as_ref()
                .map(|hint| format!("     hint: {}\n", escape(hint)))
                .unwrap_or_default();
            let mark = if problem.fatal { "FAIL" } else { "warn" };
            format!("{mark} {}: {found}\n{hint}", check.what)
        }
    }
}

fn json_of(checks: &[Check]) -> serde_json::Value {
    let each = |check: &Check| {
        let level =
            check.problem.as_ref().map_or("ok", |problem| if problem.fatal { "fail" } else { "warn" });
        json!({"check": check.what, "level": level, "found": check.found, "hint": check.problem.as_ref().and_then(|p| p.hint.as_ref())})
    };
    json!({"checks": checks.iter().map(each).collect::<Vec<_>>()})
}

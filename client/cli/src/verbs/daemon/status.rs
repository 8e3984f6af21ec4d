//! `gobctl daemon status`: the supervisor's health, without starting one.

use crate::verbs::{Effect, Verb, status};

pub(crate) const VERB: Verb = Verb {
    path: &["daemon", "status"],
    effect: Effect::Reads,
    about: "Its health",
    examples: "Examples:\n  gobctl daemon status\n  gobctl daemon status --json\n",
    run: Some(|context, _| status::supervisor(&context.without_autostart())),
    ..Verb::ROW
};

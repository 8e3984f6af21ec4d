//! `gobctl config …`: the configuration. Only `reload` asks the supervisor.

pub(crate) mod check;
pub(crate) mod init;
pub(crate) mod path;
pub(crate) mod reload;
pub(crate) mod show;

use super::{SUPERVISOR, Verb, timeout};

pub(crate) const NOUN: Verb = Verb {
    path: &["config"],
    group: SUPERVISOR,
    about: "The configuration: where it is, what is in it, whether it is valid",
    examples: "Examples:\n  gobctl config init\n  ${EDITOR:-vi} \"$(gobctl config path)\"\n  gobctl config check && gobctl config reload\n  gobctl config show\n",
    timeout: timeout::OF_EACH,
    ..Verb::ROW
};

//! `gobctl daemon …`: the supervisor itself.

pub(crate) mod install;
pub(crate) mod logs;
pub(crate) mod restart;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod upgrade;

use super::{SUPERVISOR, Verb, timeout};
use crate::failure::Failure;
use gob_client::Error;
use gob_client::protocol::ErrorCode;

pub(crate) const NOUN: Verb = Verb {
    path: &["daemon"],
    group: SUPERVISOR,
    about: "Start, stop or look at the supervisor itself",
    examples: "Examples:\n  gobctl daemon status\n  gobctl daemon restart\n  gobctl daemon logs -f\n",
    timeout: timeout::OF_EACH,
    ..Verb::ROW
};

/// Names the verb that was typed in the hint of a refusal; the supervisor knows the request alone.
fn forced_by(failure: Failure, words: &str) -> Failure {
    let Failure::Client(Error::Refused(mut error)) = failure else { return failure };
    if error.code == ErrorCode::ServerOwnedByOther {
        error.hint = Some(format!("end them too: {words} --force"));
    }
    Failure::Client(Error::Refused(error))
}

//! The configuration: what `gobctl config check` says of it.

use super::scene::Scene;
use super::{Check, fail, ok, warn};
use crate::config_file::{missing_programs, read};
use gob_client::protocol::config::Problem;

const WHAT: &str = "configuration";

/// Its check.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let path = scene.dirs.config.display();
    let told = |problems: &[Problem]| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    vec![match read(&scene.dirs) {
        Ok(None) => ok(WHAT, format!("there is no {path}; the defaults apply")),
        Err(rejected) => {
            let found = format!("{path} cannot be used: {}", told(&rejected.problems));
            fail(
                WHAT,
                found,
                format!("mend it, then gobctl config check; chmod go-w {path} where others may write"),
            )
        }
        Ok(Some(config)) => {
            let missing = missing_programs(&config);
            if missing.is_empty() {
                ok(WHAT, format!("{path} is right"))
            } else {
                let hint = "install what is missing, or mend the command; gobctl config check says whether it is right";
                warn(WHAT, format!("{path}: {}", told(&missing)), hint)
            }
        }
    }]
}

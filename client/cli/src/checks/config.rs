//! The configuration: what `gobctl config check` says of it.

use super::scene::Scene;
use super::{Check, fail, ok, warn};
use crate::config_file::judge;
use crate::text::shell_path;

const WHAT: &str = "configuration";

/// Its check.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let path = scene.dirs.config.display();
    let judged = judge(&scene.dirs);
    let told = judged.all().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    vec![if !judged.problems.is_empty() {
        let hint = format!(
            "mend it, then gobctl config check; chmod go-w {} where others may write",
            shell_path(&scene.dirs.config)
        );
        fail(WHAT, format!("{path} cannot be used: {told}"), hint)
    } else if !judged.missing.is_empty() {
        let hint =
            "install what is missing, or mend the command; gobctl config check says whether it is right";
        warn(WHAT, format!("{path}: {told}"), hint)
    } else if judged.exists {
        ok(WHAT, format!("{path} is right"))
    } else {
        ok(WHAT, format!("there is no {path}; the defaults apply"))
    }]
}

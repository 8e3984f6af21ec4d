//! The configuration: the problems that `gobctl config check` prints.

use super::scene::Scene;
use super::{Check, fail, ok, warn};
use crate::config_file::{judge, place};
use crate::text::shell_path;
use gob_client::Dirs;
use gob_config::Rejected;
use std::io::ErrorKind;
use std::path::Path;

const WHAT: &str = "configuration";

/// Runs the checks: one for each refused file, and one for the running supervisor's view of them.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let path = scene.dirs.config.display();
    let judged = judge(&scene.dirs);
    let mut checks: Vec<Check> = judged.refused.iter().map(|file| refused(file, &scene.dirs)).collect();
    if !judged.missing.is_empty() {
        let told = judged.missing.iter().map(place).collect::<Vec<_>>().join("; ");
        let hint =
            "install what is missing, or correct the command; gobctl config check says whether it is valid";
        checks.push(warn(WHAT, told, hint));
    }
    checks.extend(
        judged
            .doubtful
            .iter()
            .map(|doubtful| warn(WHAT, place(doubtful), "correct it, or leave it as it is")),
    );
    // A supervisor with other variables reads other files, and those may have been corrected since its last
    // reading.
    let invalid = scene.answers().map(|answers| answers.server.config_invalid.clone()).unwrap_or_default();
    for path in invalid.iter().filter(|path| judged.refused.iter().all(|file| file.path != **path)) {
        let found = format!("the supervisor does not use {path} as it read it");
        checks.push(warn(WHAT, found, "gobctl config reload says why, or takes it"));
    }
    if checks.is_empty() {
        checks.push(match judged.files.as_slice() {
            [] => ok(WHAT, format!("there is no {path}; the defaults apply")),
            files => ok(
                WHAT,
                format!("{} {} right", files.join(", "), if files.len() == 1 { "is" } else { "are" }),
            ),
        });
    }
    checks
}

fn refused(file: &Rejected, dirs: &Dirs) -> Check {
    let told = file.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let path = Path::new(&file.path);
    let hint = if told.contains("others may write") {
        format!("chmod go-w {}", shell_path(path))
    } else {
        remedy(path, path == dirs.config).to_owned()
    };
    fail(WHAT, format!("{} cannot be used: {told}", file.path), hint)
}

/// Returns the way out for a file that can't be used. One that can't be reached, or that is no regular file, is
/// not gob's to write or to move.
fn remedy(path: &Path, is_main: bool) -> &'static str {
    let another = "choose another file: export GOB_CONFIG=/path/to/config.toml";
    match path.metadata() {
        Ok(found) if found.is_file() => "correct it, then gobctl config check",
        Err(error) if error.kind() == ErrorKind::NotFound && is_main => {
            "gobctl config init writes an example there; or name another one: GOB_CONFIG"
        }
        Ok(_) | Err(_) => another,
    }
}

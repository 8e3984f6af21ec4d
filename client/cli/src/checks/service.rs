//! The service unit, where there is one: whether it starts this gob, whether it is enabled, and whether the supervisor is its.

use super::scene::Scene;
use super::{Check, ok, warn};
use crate::service::place::{Form, SERVICE, SOCKET, config_home, others, units};
use crate::service::{calls, is_in_unit, texts};
use crate::text::shell_path;
use gob_host::siblings;
use std::fs;
use std::path::{Path, PathBuf};

const WHAT: &str = "service";

/// Directories of units for all users, behind the user's own (systemd.unit(5)).
const SHARED: [&str; 3] = ["/etc/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user"];
/// Links of these directories enable a unit.
const ENABLED_BY: [(&str, &str); 2] = [("default.target.wants", SERVICE), ("sockets.target.wants", SOCKET)];

/// Runs the check.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let Ok(config) = config_home() else { return Vec::new() };
    let own = units(&config);
    let places: Vec<PathBuf> = std::iter::once(own).chain(SHARED.map(PathBuf::from)).collect();
    let Some(path) = places.iter().map(|dir| dir.join(SERVICE)).find(|path| path.symlink_metadata().is_ok())
    else {
        if let Some(item) = others(Form::Systemd, &config).first() {
            return vec![ok(WHAT, format!("{} starts it at a login", item.path.display()))];
        }
        let found = "none is installed; gobctl starts the supervisor when it is needed";
        return vec![ok(
            WHAT,
            if calls::has_systemd() { format!("{found} (gobctl daemon install)") } else { found.to_owned() },
        )];
    };
    let is_enabled = places.iter().any(|dir| {
        ENABLED_BY.iter().any(|(wants, unit)| dir.join(wants).join(unit).symlink_metadata().is_ok())
    });
    let unit = Unit {
        is_masked: fs::read_link(&path).is_ok_and(|to| to == Path::new("/dev/null")),
        text: fs::read_to_string(&path).map_err(|error| error.to_string()),
        path,
        is_enabled,
    };
    let pid = scene.answers().map(|answers| answers.status.pid);
    vec![judge(&unit, siblings::find("gob-keeper").ok().as_deref(), pid.filter(|pid| !is_in_unit(*pid)))]
}

/// The service unit that was found.
struct Unit {
    path: PathBuf,
    is_masked: bool,
    is_enabled: bool,
    text: Result<String, String>,
}

/// Judges a unit by the keeper of this gobctl, and by the supervisor that runs outside of it.
fn judge(unit: &Unit, keeper: Option<&Path>, outside: Option<i32>) -> Check {
    let shown = unit.path.display();
    if unit.is_masked {
        return warn(
            WHAT,
            format!("{shown} is masked: systemd does not start it"),
            format!("systemctl --user unmask {SERVICE}"),
        );
    }
    let text = match &unit.text {
        Ok(text) => text,
        Err(error) => {
            return warn(
                WHAT,
                format!("{shown} cannot be read: {error}"),
                format!("ls -l {}", shell_path(&unit.path)),
            );
        }
    };
    let hint = if texts::is_ours(text) {
        "gobctl daemon install writes it anew"
    } else {
        "gobctl did not write it: edit it, or move it away and type gobctl daemon install"
    };
    let Some(program) = texts::program_of(text) else {
        return warn(WHAT, format!("{shown} has no ExecStart="), hint);
    };
    if let Some(keeper) =
        keeper.filter(|keeper| !texts::starts(text, keeper) && !same_program(Path::new(&program), keeper))
    {
        let found = format!("{shown} starts {program}, and this gobctl belongs to {}", keeper.display());
        return warn(WHAT, found, hint);
    }
    if !unit.is_enabled {
        return warn(
            WHAT,
            format!("{shown} is not enabled: nothing starts it"),
            format!("gobctl daemon install, or: systemctl --user enable {SERVICE}"),
        );
    }
    match outside {
        Some(pid) => {
            let found = format!("{shown} is enabled, and the supervisor (pid {pid}) was not started by it");
            warn(WHAT, found, super::supervisor::RESTART)
        }
        None => ok(WHAT, format!("{shown} is enabled")),
    }
}

/// Returns whether a unit's program is this keeper, or the supervisor beside it, which becomes the keeper.
fn same_program(program: &Path, keeper: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let Some(there) = real(program) else { return false };
    [Some(keeper.to_owned()), Some(keeper.with_file_name("gobd"))]
        .into_iter()
        .flatten()
        .any(|own| real(&own) == Some(there.clone()))
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn unit(text: &str) -> Unit {
        Unit { path: "/u/gobd.service".into(), is_masked: false, is_enabled: true, text: Ok(text.to_owned()) }
    }

    #[test]
    fn a_unit_of_this_gob_that_is_enabled_and_used_is_in_order() {
        let keeper = Path::new("/opt/gob-keeper");
        let ours = "# Written by gobctl daemon install\n[Service]\nExecStart=/opt/gob-keeper --log\n";
        assert_eq!(judge(&unit(ours), Some(keeper), None).level, Level::Ok);
        let says = |unit: Unit, outside, part: &str| {
            let check = judge(&unit, Some(keeper), outside);
            assert!(
                check.level == Level::Warn && check.hint.is_some() && check.found.contains(part),
                "{part}: {check:?}"
            );
        };
        says(unit(ours), Some(7), "the supervisor (pid 7) was not started by it");
        says(
            unit(&ours.replace("/opt", "/old")),
            None,
            "starts /old/gob-keeper, and this gobctl belongs to /opt/gob-keeper",
        );
        says(unit("[Service]\n"), None, "no ExecStart=");
        says(Unit { is_enabled: false, ..unit(ours) }, None, "not enabled");
        says(Unit { is_masked: true, ..unit("") }, None, "masked");
        says(Unit { text: Err("EACCES".to_owned()), ..unit("") }, None, "cannot be read: EACCES");
    }
}

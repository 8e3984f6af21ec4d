//! The unit of the user's service manager that starts the supervisor, where it is enabled.
//!
//! A supervisor that a client starts beside it would belong to that client's session and end with it, and the manager would not know of it.

use super::keeper::{pipe, read_pipe};
use gob_host::dirs::Dirs;
use nix::unistd::geteuid;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

const SERVICE: &str = "gobd.service";
/// The links that enable the unit, below the directory of the user's units.
const ENABLED_BY: [&str; 2] = ["default.target.wants/gobd.service", "sockets.target.wants/gobd.socket"];

/// Returns whether the user's manager runs and has an enabled unit for the supervisor of these directories.
pub(super) fn is_enabled_for(dirs: &Dirs) -> bool {
    let var = |name: &str| std::env::var_os(name);
    let Some(runtime) = var("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute()) else {
        return false;
    };
    // The manager's own socket, which systemctl connects to.
    if !runtime.join("systemd/private").exists() {
        return false;
    }
    let Some(units) = units(var) else { return false };
    let unit = ENABLED_BY.into_iter().find_map(|link| {
        let unit = units.join(link).parent()?.join(std::fs::read_link(units.join(link)).ok()?);
        std::fs::read_to_string(unit.with_file_name(SERVICE)).ok()
    });
    unit.is_some_and(|unit| is_for(&unit, dirs, var))
}

/// Returns the directory of the user's own units.
fn units(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The file that GOB_CONFIG names may lie anywhere.
    let dirs = Dirs::resolve(|name| var(name).filter(|_| name != "GOB_CONFIG"), geteuid().as_raw()).ok()?;
    Some(dirs.config.parent()?.parent()?.join("systemd/user"))
}

/// Returns whether a unit with these variables, and the user's home, has a supervisor with these directories.
fn is_for(unit: &str, dirs: &Dirs, var: impl Fn(&str) -> Option<OsString>) -> bool {
    let own = variables(unit);
    let of_unit = |name: &str| match name {
        "HOME" | "XDG_RUNTIME_DIR" => var(name),
        _ => own.get(name).map(OsString::from),
    };
    Dirs::resolve(of_unit, geteuid().as_raw()).is_ok_and(|theirs| theirs == *dirs)
}

/// Returns the variables that a unit sets, in the form in which `gobctl daemon install` writes them.
fn variables(unit: &str) -> HashMap<String, String> {
    let set = unit.lines().filter_map(|line| {
        let text = line.strip_prefix("Environment=\"")?.strip_suffix('"')?;
        let (name, value) = text.split_once('=')?;
        let mut chars = value.chars();
        let mut read = String::new();
        while let Some(c) = chars.next() {
            read.push(if c == '\\' { chars.next()? } else { c });
        }
        Some((name.to_owned(), read.replace("%%", "%")))
    });
    set.collect()
}

/// Has the manager start the unit, and waits until the supervisor serves or the deadline passes.
///
/// # Errors
/// The last line of systemctl, or the reason why it was not run.
pub(super) fn start(deadline: Instant) -> Result<(), String> {
    // A person who asks for it is no program that fails again and again.
    systemctl(&["start", SERVICE], deadline).or_else(|_| {
        systemctl(&["reset-failed", SERVICE], deadline)?;
        systemctl(&["start", SERVICE], deadline)
    })
}

fn systemctl(words: &[&str], deadline: Instant) -> Result<(), String> {
    let failed = |error: io::Error| format!("systemctl: {error}");
    let (reader, writer) = pipe().map_err(|errno| failed(errno.into()))?;
    let mut command = Command::new("systemctl");
    command
        .arg("--user")
        .args(words)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(writer);
    let mut child = command.spawn().map_err(failed)?;
    // It has the writing end.
    drop(command);
    let said = read_pipe(&mut File::from(reader), deadline).map_err(failed)?;
    let Some(said) = said else {
        child.kill().map_err(failed)?;
        child.wait().map_err(failed)?;
        return Err("systemctl does not answer".to_owned());
    };
    if child.wait().map_err(failed)?.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    Err(said.lines().last().unwrap_or("systemctl failed").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_unit_is_that_of_the_supervisor_with_its_directories() {
        let set = |pairs: &'static [(&str, &str)]| {
            move |name: &str| {
                pairs.iter().find(|(own, _)| *own == name).map(|(_, value)| OsString::from(value))
            }
        };
        let (home, other) = (
            set(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r")]),
            set(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r"), ("GOB_STATE_DIR", "/h/50%/a\"b\\c")]),
        );
        let of = |var: &dyn Fn(&str) -> Option<OsString>| Dirs::resolve(var, 7).unwrap();
        let plain = "[Service]\nEnvironment=\"PATH=/a b:/c\"\n";
        let named = "[Service]\nEnvironment=\"GOB_STATE_DIR=/h/50%%/a\\\"b\\\\c\"\n";
        for (unit, dirs, fits) in [
            (plain, of(&home), true),
            (plain, of(&other), false),
            (named, of(&other), true),
            (named, of(&home), false),
        ] {
            assert_eq!(is_for(unit, &dirs, home), fits, "{unit}");
        }
        assert_eq!(units(home), Some(Path::new("/h/.config/systemd/user").to_owned()));
    }
}

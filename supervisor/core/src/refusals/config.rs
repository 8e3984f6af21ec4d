//! Refusals about the configuration.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_config::Rejected;
use gob_protocol::answer::ReloadData;
use gob_protocol::{ErrorCode, WireError};

const SEE_ALL: &str = "see all of it: gobctl config check";

/// A file that says something of the worker can't be used.
pub(crate) fn config_invalid(rejected: &Rejected) -> Box<WireError> {
    let message = format!("the configuration can't be used: {rejected}");
    let error = WireError::new(ErrorCode::ConfigInvalid, message);
    Box::new(error.hint(SEE_ALL).details(Rejected::details(&[rejected])))
}

/// A reload: some files are refused, and this changed in the others.
pub(crate) fn config_partly(rejected: &[Rejected], changed: &ReloadData, others: bool) -> Box<WireError> {
    let all: Vec<&Rejected> = rejected.iter().collect();
    let first = all.first().map(ToString::to_string).unwrap_or_default();
    let more = match all.len() {
        0 | 1 => String::new(),
        count => format!("; {} more files neither", count - 1),
    };
    let rest = if others { "; the others are in effect" } else { "" };
    let message = format!("the configuration can't be used: {first}{more}{rest}");
    let mut details = Rejected::details(&all);
    if let Some(fields) = details.as_object_mut() {
        fields.insert("changed".to_string(), serde_json::json!(changed.changed));
    }
    let error = WireError::new(ErrorCode::ConfigInvalid, message);
    Box::new(error.hint(SEE_ALL).details(details))
}

/// There is no such kind among the known ones of this file.
pub(crate) fn no_kind(name: &str, known: &[&str], file: Option<&str>) -> Box<WireError> {
    let file = file.unwrap_or("the configuration");
    let known = known.join(", ");
    let hint = format!("kinds are: {known}; add one to {file}, then gobctl config reload");
    let error = WireError::new(ErrorCode::KindNotFound, format!("there is no kind {name:?}"));
    Box::new(error.hint(hint).details(serde_json::json!({"kind": name, "config": file})))
}

/// A state that a supervisor of another version wrote.
pub(crate) fn state_of_another(version: u32, own: u32) -> String {
    format!("the state is of version {version}, this supervisor reads {own}")
}

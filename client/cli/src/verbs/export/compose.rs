//! A compose file (compose-spec). Each value is written as JSON, which YAML reads. Pure but for the path of the program.

use super::{File, command, directories, file_name};
use crate::failure::Failure;
use gob_client::View;
use nix::unistd::{getegid, geteuid};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The image, which only a person can choose.
const IMAGE: &str = "${GOB_IMAGE:?an image with the program of this worker}";

/// Returns the file with a service for each worker.
pub(super) fn file(workers: &[View]) -> Result<File, Failure> {
    let mut text = "services:\n".to_owned();
    for worker in workers {
        let words: Vec<String> = command(worker)?.iter().map(|word| literal(word)).collect();
        let volumes: Vec<Value> = directories(worker)
            .into_iter()
            .map(|dir| json!({"type": "bind", "source": literal(dir), "target": literal(dir)}))
            .collect();
        let user = format!("{}:{}", geteuid(), getegid());
        let fields = [
            ("image", json!(IMAGE)),
            // Not the entrypoint of the image, whatever that is.
            ("entrypoint", json!(words)),
            ("user", json!(user)),
            ("init", json!(true)),
            ("network_mode", json!("host")),
            ("restart", json!("on-failure")),
            ("stop_grace_period", json!("10s")),
            ("volumes", json!(volumes)),
        ];
        let dir = worker.cwd.as_deref().map(|cwd| ("working_dir", json!(literal(cwd))));
        // Writing into a text does not fail.
        writeln!(text, "  {}:", json!(file_name(worker))).ok();
        for (key, value) in fields.into_iter().chain(dir) {
            writeln!(text, "    {key}: {value}").ok();
        }
    }
    Ok(File { name: "compose.yaml".to_owned(), text })
}

/// Returns a text in which compose sees no variable.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

//! A real graph worker whose file is taken away while it serves: a later reader of the path must find every
//! acknowledged write.

use super::{ANSWER, Inflict, Inflicted, Outcome, Undo, nobody};
use crate::fleet::REAL;
use crate::link::{Link, Lost};
use crate::shared::{Shared, lock};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Nodes that were acknowledged, over all lives of the worker.
#[derive(Debug, Default)]
pub struct Acknowledged(BTreeSet<String>);

/// A way to take the file away.
#[derive(Debug, Clone, Copy)]
enum Way {
    MoveDirectory,
    MoveFile,
    PutBackupInPlace,
}

impl Inflict<'_> {
    pub(super) fn take_graph(&mut self) -> Inflicted {
        let way = *self.dice.one(&[Way::MoveDirectory, Way::MoveFile, Way::PutBackupInPlace]);
        let (before, after) = (format!("before-{}", self.step), format!("after-{}", self.step));
        let Some(mut worker) = serving(self.shared)? else { return nobody("the graph is not served") };
        check(self.shared, &mut worker)?;
        if !put(self.shared, &mut worker, &before)? {
            return nobody("the graph took nothing");
        }
        let dir = self.shared.gob.graph_dir(REAL);
        let taken = take(way, &dir).map_err(|e| format!("{way:?}: {e}"))?;
        let acknowledged = put(self.shared, &mut worker, &after)?;
        if acknowledged {
            return Err(format!("{way:?}, and {after} was acknowledged"));
        }
        let undo: Undo = Box::new(move |shared| {
            // No worker may serve the file that was put there.
            stop(shared)?;
            taken.give_back().map_err(|e| format!("{way:?}, back: {e}"))?;
            let Some(mut worker) = serving(shared)? else { return Ok(()) };
            check(shared, &mut worker)
        });
        Ok(Outcome::Done(format!("{way:?} of {REAL}"), undo))
    }
}

/// The file that was taken, and its present path.
struct Taken {
    from: PathBuf,
    to: PathBuf,
}

fn take(way: Way, dir: &Path) -> io::Result<Taken> {
    let file = dir.join("graph.sqlite");
    let from = if matches!(way, Way::MoveDirectory) { dir.to_owned() } else { file };
    let to = from.with_extension("taken");
    let backup = from.with_extension("backup");
    if matches!(way, Way::PutBackupInPlace) {
        fs::copy(&from, &backup)?;
    }
    fs::rename(&from, &to)?;
    if matches!(way, Way::PutBackupInPlace) {
        fs::rename(&backup, &from)?;
    }
    Ok(Taken { from, to })
}

impl Taken {
    fn give_back(self) -> io::Result<()> {
        // A worker may have begun an empty one, which it must not; the earlier file counts.
        if self.from.is_dir() {
            fs::remove_dir_all(&self.from)?;
        }
        fs::rename(&self.to, &self.from)
    }
}

/// Connects to the graph's worker; `None` when no supervisor answers, or it has none.
fn serving(shared: &Shared) -> Result<Option<Link>, String> {
    let lie = |lost| match lost {
        Lost::Ended => Ok(None),
        Lost::Lie(lie) => Err(lie),
    };
    let mut link = match Link::connect_as(&shared.gob.socket(), "cli", ANSWER) {
        Ok(link) => link,
        Err(lost) => return lie(lost),
    };
    let start = json!({"graph": REAL, "kind": REAL});
    let answer = match link.ask("start", start, ANSWER) {
        Ok(answer) => answer,
        Err(lost) => return lie(lost),
    };
    let endpoint =
        answer["data"]["worker"]["endpoint"].as_str().and_then(|endpoint| endpoint.strip_prefix("unix:"));
    Ok(endpoint.and_then(|path| Link::connect(Path::new(path)).ok()))
}

fn stop(shared: &Shared) -> Result<(), String> {
    let asked = Link::connect_as(&shared.gob.socket(), "cli", ANSWER);
    match asked.and_then(|mut link| link.ask("stop", json!({"name": REAL, "force": true}), ANSWER)) {
        Ok(_) | Err(Lost::Ended) => Ok(()),
        Err(Lost::Lie(lie)) => Err(lie),
    }
}

/// Writes a node; returns whether that was acknowledged.
fn put(shared: &Shared, worker: &mut Link, id: &str) -> Result<bool, String> {
    match worker.ask("put", json!({"nodes": [{"id": id}]}), ANSWER) {
        Ok(answer) if answer["success"] == true => {
            lock(&shared.acknowledged).0.insert(id.to_owned());
            Ok(true)
        }
        Ok(_) | Err(Lost::Ended) => Ok(false),
        Err(Lost::Lie(lie)) => Err(lie),
    }
}

/// Checks that every acknowledged node is there.
fn check(shared: &Shared, worker: &mut Link) -> Result<(), String> {
    let ids: Vec<String> = lock(&shared.acknowledged).0.iter().cloned().collect();
    if ids.is_empty() {
        return Ok(());
    }
    match worker.ask("get", json!({"ids": ids}), ANSWER) {
        Ok(Value::Object(answer)) if answer["success"] == true => {
            let missing = &answer["data"]["missing"];
            if missing.as_array().is_none_or(Vec::is_empty) {
                return Ok(());
            }
            Err(format!("acknowledged and lost: {missing}"))
        }
        Ok(answer) => Err(format!("the graph does not answer: {answer}")),
        Err(Lost::Ended) => Ok(()),
        Err(Lost::Lie(lie)) => Err(lie),
    }
}

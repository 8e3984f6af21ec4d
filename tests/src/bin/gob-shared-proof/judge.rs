//! The judgement, from the records alone: nothing is lost, and what was said to be done was done.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The sums of a run.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) done: usize,
    pub(crate) attempts: usize,
    pub(crate) killed: usize,
    pub(crate) grants: usize,
    pub(crate) violations: Vec<String>,
}

/// Judges the records of a run that has come to its end. `statuses` is what the lane says of each job.
pub(crate) fn judge(dir: &Path, keys: usize, statuses: &BTreeMap<String, String>) -> Verdict {
    let said = fs::read_to_string(dir.join("violations")).unwrap_or_default();
    let mut verdict = Verdict { violations: said.lines().map(str::to_owned).collect(), ..Verdict::default() };
    let (mut good, mut done) = (BTreeSet::new(), BTreeSet::new());
    let (mut begun, mut ended) = (0_usize, 0_usize);
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut parts = name.split('.');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(_), Some("begun")) => begun += 1,
            (Some(_), Some(_), Some("bad")) => ended += 1,
            (Some(id), Some(_), Some("good")) => {
                ended += 1;
                good.insert(id.to_owned());
                done.insert(fs::read_to_string(entry.path()).unwrap_or_default());
            }
            _other => {}
        }
    }
    for (id, status) in statuses {
        if status != "completed" {
            verdict.violations.push(format!("{id} is {status} at the end"));
        } else if !good.contains(id) {
            verdict.violations.push(format!("{id} is completed, and no attempt went well"));
        }
    }
    for key in (0..keys).map(|key| key.to_string()).filter(|key| !done.contains(key)) {
        verdict.violations.push(format!("the job {key} was acknowledged, and is lost"));
    }
    let tokens = fs::read_to_string(dir.join("lock.tokens")).unwrap_or_default();
    verdict.grants = tokens.lines().count();
    (verdict.done, verdict.attempts, verdict.killed) = (done.len(), begun, begun.saturating_sub(ended));
    verdict
}

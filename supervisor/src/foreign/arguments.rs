//! Finds workers that live without a lock file, by the arguments of this user's processes.

use crate::sys::kernel::Kernel;
use crate::sys::tag::Life;
use gob_config::foreign::Known;
use gob_core::{ExaminePlan, Orphan};
use std::io;

/// Limit of the arguments that are shown.
const MAX_SHOWN: usize = 200;
/// Variable that makes Electron run as Node.
const AS_NODE: &str = "ELECTRON_RUN_AS_NODE";

/// Returns every worker of the plan's graph that is not of this supervisor's life.
///
/// # Errors
/// When the process table can't be read.
pub(super) fn orphans(kernel: &impl Kernel, plan: &ExaminePlan, life: Life) -> io::Result<Vec<Orphan>> {
    let mut found = Vec::new();
    for pid in kernel.pids()? {
        found.extend(orphan(kernel, pid?, plan, life));
    }
    found.sort_by_key(|orphan: &Orphan| orphan.id.pid);
    Ok(found)
}

/// Returns the process, if it is such a worker.
pub(super) fn orphan(kernel: &impl Kernel, pid: i32, plan: &ExaminePlan, life: Life) -> Option<Orphan> {
    let is_users = kernel.uid(pid) == Some(kernel.own_uid());
    if !is_users || kernel.tag(pid).is_some_and(|tag| life.has(tag)) {
        return None;
    }
    let id = kernel.seen(pid)?.id;
    let args = kernel.arguments(pid);
    let known = Known { command: &plan.command, graph: &plan.graph, root_dir: &plan.root_dir };
    let real_path = |dir: &str| kernel.real_path(pid, dir);
    let runs_as_node = || kernel.variable(pid, AS_NODE).is_some_and(|value| !value.is_empty());
    let is_worker = known.is_worker(&args, false, real_path)
        || (known.is_worker(&args, true, real_path) && runs_as_node());
    // The pid may have been given to another process during the examination.
    (is_worker && kernel.seen(pid)?.id == id).then(|| Orphan { id, command: shown(&args) })
}

fn shown(args: &[String]) -> String {
    let whole = args.join(" ");
    match whole.char_indices().nth(MAX_SHOWN) {
        Some((at, _)) => format!("{} …", whole.get(..at).unwrap_or_default()),
        None => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::linux::Linux;
    use std::fs;
    use std::process::{Command, Stdio};

    #[test]
    fn an_orphan_is_found_by_its_arguments() {
        let root = fs::canonicalize(std::env::temp_dir()).unwrap();
        let root_dir = root.to_str().unwrap().to_owned();
        // The decoy has all the words, behind another program.
        let script = root.join(format!("gob-orphan-{}.sh", std::process::id()));
        fs::write(&script, "read line\n").unwrap();
        let args = ["--repo", "a graph", "--root-dir", "."];
        let spawn = |first: &str| {
            let mut command = Command::new("/bin/sh");
            let words = ["-c", "read line", first, script.to_str().unwrap()];
            let all = if first.is_empty() { &words[3..] } else { &words[..] };
            command.args(all).args(args).current_dir(&root).stdin(Stdio::piped()).spawn().unwrap()
        };
        let (mut worker, mut decoy) = (spawn(""), spawn("sh"));
        // The kernel shows the arguments a moment after a program has begun.
        let shown = format!("/proc/{}/cmdline", worker.id());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !fs::read_to_string(&shown).is_ok_and(|shown| shown.contains("a graph")) {
            assert!(std::time::Instant::now() < deadline, "a program without its arguments");
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
        let command = ["sh", script.to_str().unwrap(), "--repo", "{graph}"].map(str::to_owned).to_vec();
        let plan = ExaminePlan { lock_file: None, command, graph: "a graph".into(), root_dir, health: None };
        let found = orphans(&Linux::new(), &plan, Life::none()).unwrap();
        let own = Life::of(Linux::new().tag(worker.id().try_into().unwrap()).unwrap());
        let ours = orphans(&Linux::new(), &plan, own).unwrap();
        for child in [&mut worker, &mut decoy] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        fs::remove_file(&script).unwrap();
        assert_eq!(found.iter().map(|orphan| orphan.id.pid).collect::<Vec<_>>(), [worker.id() as i32]);
        assert!(found[0].command.ends_with("--repo a graph --root-dir ."), "{found:?}");
        assert_eq!(ours, [], "what carries this life's mark is not foreign");
    }

    #[test]
    fn long_arguments_are_cut() {
        assert_eq!(shown(&["é".repeat(300)]).chars().count(), MAX_SHOWN + 2);
        assert_eq!(shown(&["a".into(), "b c".into()]), "a b c");
    }
}

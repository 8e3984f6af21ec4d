//! Processes that hold a graph by its lock file without gob, as a client would that does not ask gob: they
//! come and go while everything else goes on.
//!
//! Owns these processes. gob must never end one, nor start a run beside one. A run that existed before the
//! lock, or was being made while it was written, may go on; a run at rest may go on too.

use crate::fleet;
use crate::shared::Shared;
use crate::truth::Truth;
use gob_tests::Gob;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The lock file in a graph's directory.
pub const LOCK: &str = "foreign.lock";

#[derive(Default)]
pub struct Holders(BTreeMap<String, Holder>);

struct Holder {
    process: Child,
    /// The run's leader beside it, where there is one; unknown until everything has come to rest.
    beside: Option<Option<i32>>,
}

impl Holders {
    /// Lets a process take a graph's lock, which is free or a dead process's. `None`: there is a holder
    /// already.
    pub fn come(&mut self, shared: &Shared, graph: &str, owner: Option<&str>) -> io::Result<Option<u32>> {
        if self.0.contains_key(graph) {
            return Ok(None);
        }
        let process = Command::new(std::env::current_exe()?)
            .arg0("foreign-holder")
            .env_clear()
            .env(fleet::DOUBLE, "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let (gob, pid) = (&shared.gob, process.id());
        shared.judge.holds(pid as i32);
        self.0.insert(graph.to_owned(), Holder { process, beside: None });
        let text =
            json!({"repo": graph, "pid": pid, "lock-id": format!("{graph}-{pid}"), "owner-source": owner});
        let (path, whole) = (path(gob, graph), gob.graph_dir(graph).join("foreign.new"));
        fs::create_dir_all(gob.graph_dir(graph))?;
        fs::write(&whole, text.to_string())?;
        // Exclusive, and never seen half written.
        if let Err(e) = fs::hard_link(&whole, &path) {
            if e.kind() != ErrorKind::AlreadyExists {
                return Err(e);
            }
            fs::remove_file(&path).or_else(unless_gone)?;
            fs::hard_link(&whole, &path)?;
        }
        fs::remove_file(whole)?;
        Ok(Some(pid))
    }

    /// Kills a holder, which leaves its lock or removes it first. `None`: there is none.
    pub fn go(&mut self, gob: &Gob, graph: &str, leaves_lock: bool) -> io::Result<Option<u32>> {
        let Some(mut holder) = self.0.remove(graph) else { return Ok(None) };
        if !leaves_lock {
            fs::remove_file(path(gob, graph)).or_else(unless_gone)?;
        }
        holder.process.kill()?;
        holder.process.wait()?;
        Ok(Some(holder.process.id()))
    }

    pub fn pids(&self) -> BTreeMap<String, i32> {
        self.0.iter().map(|(graph, holder)| (graph.clone(), holder.process.id() as i32)).collect()
    }

    /// Returns holders that were ended by another program.
    pub fn ended(&mut self) -> Vec<String> {
        let ended = self.0.iter_mut().filter_map(|(graph, holder)| {
            let status = holder.process.try_wait().expect("a child")?;
            Some(format!("the holder of {graph}, {}, was ended: {status}", holder.process.id()))
        });
        ended.collect()
    }

    /// Checks that nothing was started beside a holder. Called when everything is at rest.
    pub fn check(&mut self, truth: &Truth) -> Result<(), String> {
        for (graph, holder) in &mut self.0 {
            let now = truth.leaders().find(|(name, _)| name == graph).map(|(_, proc)| proc.pid);
            match holder.beside {
                Some(before) if now.is_some() && now != before => {
                    let pid = holder.process.id();
                    return Err(format!("{graph} is held by {pid}, and {now:?} was started beside it"));
                }
                _ => holder.beside = Some(now),
            }
        }
        Ok(())
    }
}

impl Drop for Holders {
    fn drop(&mut self) {
        for holder in self.0.values_mut() {
            // A holder that is gone was reported as a violation.
            drop(holder.process.kill());
            drop(holder.process.wait());
        }
    }
}

fn path(gob: &Gob, graph: &str) -> PathBuf {
    gob.graph_dir(graph).join(LOCK)
}

/// gob may remove a dead holder's lock at the same time.
fn unless_gone(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

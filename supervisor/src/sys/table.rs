//! Who carries which tag, looked up again and again at little cost.
//!
//! A look at the whole process table costs a system call for each process of the machine, and the end of one run takes
//! several looks. The kernel gives process numbers in rising order and tells the last one (`ns_last_pid`, pid_namespaces(7)):
//! whoever was not there at the last look has a number above that. So within a short time of a whole look only the new
//! numbers are looked at. Beyond that time, or where the numbers began anew or are not told, the whole table is.

use super::process::{self, Found, LastPid};
use super::tag::{self, Life, Tag};
use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

/// How long new numbers are told from old ones: far less than it takes to give all there are, which are 32,768 at least.
const FRESH: Duration = Duration::from_millis(100);
/// So many numbers beyond the last one are looked at too.
const AHEAD: i32 = 4;
/// More new numbers than this are not worth telling from old ones.
const MANY: i32 = 2_048;

/// The processes of one supervisor's life.
#[derive(Debug)]
pub(crate) struct Table {
    life: Life,
    /// Where the kernel tells it.
    last: Option<LastPid>,
    looked: Option<Looked>,
}

/// What the last looks came to.
#[derive(Debug)]
struct Looked {
    /// When the whole table was looked at.
    at: Instant,
    /// The last number that had been given before the last look, if that is told.
    last: Option<i32>,
    pids: HashMap<Tag, Vec<i32>>,
}

impl Table {
    /// Of processes that carry tags of this life.
    pub(crate) fn new(life: Life) -> Self {
        Self { life, last: LastPid::open().ok(), looked: None }
    }

    /// Looks who there is now.
    ///
    /// # Errors
    /// When the table could not be looked at: whoever is not found then may be alive.
    pub(crate) fn look(&mut self) -> io::Result<()> {
        let last = self.last.as_ref().and_then(|last| last.get().ok());
        let life = self.life;
        let tag_of = |pid| tag::of(pid).filter(|tag| life.has(*tag)).map(Tag);
        if let Some(looked) = &mut self.looked
            && looked.at.elapsed() < FRESH
            && let (Some(before), Some(now)) = (looked.last, last)
            && (before..=before.saturating_add(MANY)).contains(&now)
        {
            // The newest first, and those that are given meanwhile: who goes on as its own child is among them.
            for pid in (before + 1..=now.saturating_add(AHEAD)).rev() {
                if let Some(tag) = tag_of(pid).filter(|_| process::is_leader(pid)) {
                    let pids = looked.pids.entry(tag).or_default();
                    if !pids.contains(&pid) {
                        pids.push(pid);
                    }
                }
            }
            looked.last = last;
            return Ok(());
        }
        // What is known is worth nothing if this fails.
        self.looked = None;
        let at = Instant::now();
        let mut pids: HashMap<Tag, Vec<i32>> = HashMap::new();
        for pid in process::pids()? {
            let pid = pid?;
            if let Some(tag) = tag_of(pid) {
                pids.entry(tag).or_default().push(pid);
            }
        }
        self.looked = Some(Looked { at, last, pids });
        Ok(())
    }

    /// Who of a run is alive of those that the last look has found.
    ///
    /// # Errors
    /// When one of them could not be looked at, or there was no look.
    pub(crate) fn members(&mut self, of: Tag) -> io::Result<Vec<Found>> {
        let looked = self.looked.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let Some(pids) = looked.pids.get_mut(&of) else { return Ok(Vec::new()) };
        let mut alive = Vec::with_capacity(pids.len());
        for pid in &*pids {
            // The number may be somebody else's by now.
            if let Some(found) = process::stat(*pid)?.filter(|_| tag::of(*pid) == Some(of.0)) {
                alive.push(found);
            }
        }
        // What is dead never comes back to life, and a new process has a new number.
        pids.clear();
        pids.extend(alive.iter().map(|found| found.id.pid));
        if pids.is_empty() {
            looked.pids.remove(&of);
        }
        Ok(alive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_after_the_first_look_is_seen_and_threads_are_not() {
        let me = i32::try_from(std::process::id()).unwrap();
        let tag = Tag(tag::of(me).unwrap());
        let mut table = Table::new(Life::of(tag.0));
        let sees = |table: &mut Table, pid: i32| {
            table.look().unwrap();
            table.members(tag).unwrap().iter().any(|found| found.id.pid == pid)
        };
        assert!(sees(&mut table, me));
        for _ in 0..20 {
            let thread = std::thread::spawn(|| nix::unistd::gettid().as_raw());
            let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
            let pid = i32::try_from(child.id()).unwrap();
            assert!(sees(&mut table, pid) && sees(&mut table, me));
            assert!(!sees(&mut table, thread.join().unwrap()));
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(!sees(&mut table, pid));
        }
    }
}

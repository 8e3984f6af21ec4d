//! The processes that carry a tag, read again and again at little cost.
//!
//! A scan of the whole process table costs a system call for each process of the machine, and the end of one run takes
//! several scans. The kernel gives process numbers in rising order and tells the last one (`ns_last_pid`, pid_namespaces(7)):
//! a process that was not there at the last scan has a number above that. So within a short time of a whole scan only the new
//! numbers are read. Beyond that time, or where the numbers began anew or are not told, the whole table is.

use super::kernel::Kernel;
use super::process::Found;
use super::tag::{Life, Tag};
use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

/// Limits how long new numbers are told from old ones: far less than it takes to give all there are, which are 32,768 at least.
const FRESH: Duration = Duration::from_millis(100);
/// Counts the numbers beyond the last one that are read too.
const AHEAD: i32 = 4;
/// Limits how many new numbers are worth telling from old ones.
const MANY: i32 = 2_048;

/// The processes of one supervisor's life.
#[derive(Debug)]
pub(crate) struct Table {
    life: Life,
    scanned: Option<Scanned>,
}

/// The outcome of the last scans.
#[derive(Debug)]
struct Scanned {
    /// When the whole table was read.
    at: Instant,
    /// The last number that had been given before the last scan, if that is told.
    last: Option<i32>,
    pids: HashMap<Tag, Vec<i32>>,
}

impl Table {
    /// A table of the processes that carry tags of this life.
    pub(crate) const fn new(life: Life) -> Self {
        Self { life, scanned: None }
    }

    /// Scans the process table, or only its new numbers where the last scan is fresh.
    ///
    /// # Errors
    /// When the table could not be read: a process that is not found then may be alive.
    pub(crate) fn scan(&mut self, kernel: &impl Kernel) -> io::Result<()> {
        let last = kernel.last_pid().ok();
        let life = self.life;
        let tag_of = |pid| kernel.tag(pid).filter(|tag| life.has(*tag)).map(Tag);
        if let Some(scanned) = &mut self.scanned
            && kernel.now().saturating_duration_since(scanned.at) < FRESH
            && let (Some(before), Some(now)) = (scanned.last, last)
            && (before..=before.saturating_add(MANY)).contains(&now)
        {
            // The newest first, and those that are given meanwhile: a process that goes on as its own child is among them.
            for pid in (before + 1..=now.saturating_add(AHEAD)).rev() {
                if let Some(tag) = tag_of(pid).filter(|_| kernel.is_process(pid)) {
                    let pids = scanned.pids.entry(tag).or_default();
                    if !pids.contains(&pid) {
                        pids.push(pid);
                    }
                }
            }
            scanned.last = last;
            return Ok(());
        }
        // The last scan is worth nothing if this fails.
        self.scanned = None;
        let at = kernel.now();
        let mut pids: HashMap<Tag, Vec<i32>> = HashMap::new();
        for pid in kernel.pids()? {
            let pid = pid?;
            if let Some(tag) = tag_of(pid) {
                pids.entry(tag).or_default().push(pid);
            }
        }
        self.scanned = Some(Scanned { at, last, pids });
        Ok(())
    }

    /// Returns the processes of a run that are alive, of those that the last scan has found.
    ///
    /// # Errors
    /// When one of them could not be read, or there was no scan.
    pub(crate) fn members(&mut self, kernel: &impl Kernel, of: Tag) -> io::Result<Vec<Found>> {
        let scanned = self.scanned.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let Some(pids) = scanned.pids.get_mut(&of) else { return Ok(Vec::new()) };
        let mut alive = Vec::with_capacity(pids.len());
        for pid in &*pids {
            // The number may be another process's by now.
            if let Some(found) = kernel.stat(*pid)?.filter(|_| kernel.tag(*pid) == Some(of.0)) {
                alive.push(found);
            }
        }
        // A dead process never comes back to life, and a new one has a new number.
        pids.clear();
        pids.extend(alive.iter().map(|found| found.id.pid));
        if pids.is_empty() {
            scanned.pids.remove(&of);
        }
        Ok(alive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::linux::Linux;
    use crate::sys::tag;

    #[test]
    fn a_process_after_the_first_scan_is_found_and_threads_are_not() {
        let me = i32::try_from(std::process::id()).unwrap();
        let tag = Tag(tag::of(me).unwrap());
        let (kernel, mut table) = (Linux::new(), Table::new(Life::of(tag.0)));
        let sees = |table: &mut Table, pid: i32| {
            table.scan(&kernel).unwrap();
            table.members(&kernel, tag).unwrap().iter().any(|found| found.id.pid == pid)
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

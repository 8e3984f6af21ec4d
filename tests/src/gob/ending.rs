//! The processes of a world, and its end: in order, with nothing left.

use super::Gob;
use crate::process::{self, Handle};
use crate::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time that the supervisor has to stop in order before the harness kills it.
const PATIENCE: Duration = Duration::from_secs(3);

impl Gob {
    /// Returns the processes of this world, gobctl included.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        process::belonging_to(&self.dir)
    }

    /// Returns the processes of this world that run one of its programs.
    #[must_use]
    pub fn running(&self, program: &str) -> Vec<i32> {
        self.processes().into_iter().filter(|pid| self.runs(*pid, program)).collect()
    }

    /// Waits until no process of this world is alive; returns those that still are.
    #[must_use]
    pub fn wait_empty(&self, timeout: Duration) -> Vec<i32> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = self.processes();
            let remaining = deadline.saturating_duration_since(Instant::now());
            if left.is_empty() || remaining.is_zero() {
                return left;
            }
            // A process that has ended may have left others, which the next scan finds.
            left.iter().filter_map(|pid| Handle::open(*pid)).all(|handle| handle.wait_gone(remaining));
        }
    }

    /// Returns every log of this world, the end of each.
    #[must_use]
    pub fn logs(&self) -> String {
        let mut text = String::new();
        let mut folders = vec![self.state_dir()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                } else if path.extension().is_some_and(|ext| ext == "log") {
                    text.push_str(&format!("--- {}\n{}\n", path.display(), tail(&path)));
                }
            }
        }
        text
    }

    /// Stops the supervisor in order, or else kills it, and waits until nothing is left.
    fn shut(&self) -> Vec<i32> {
        let gobd = || self.processes().into_iter().filter(|pid| self.runs(*pid, "gobd"));
        let stop = |signal: Signal| {
            let handles = gobd().filter_map(Handle::open).filter(|handle| self.runs(handle.pid, "gobd"));
            handles.for_each(|handle| handle.signal(signal));
        };
        stop(Signal::SIGTERM);
        if self.wait_empty(PATIENCE).is_empty() {
            return Vec::new();
        }
        // The keeper sweeps and starts another one, which has nothing to do and goes when it is told.
        let before: Vec<i32> = gobd().collect();
        if before.is_empty() {
            return self.wait_empty(DEADLINE);
        }
        stop(Signal::SIGKILL);
        if !wait::until(DEADLINE, || gobd().any(|pid| !before.contains(&pid)) && self.answers()) {
            return self.processes();
        }
        stop(Signal::SIGTERM);
        self.wait_empty(DEADLINE)
    }

    /// Returns whether a supervisor serves: the socket of a killed one stays where it is, and refuses.
    fn answers(&self) -> bool {
        std::os::unix::net::UnixStream::connect(self.socket()).is_ok()
    }

    fn runs(&self, pid: i32, program: &str) -> bool {
        process::exe(pid).is_some_and(|exe| exe == self.bin(program))
    }
}

impl Drop for Gob {
    fn drop(&mut self) {
        let left = self.shut();
        let failed = std::thread::panicking();
        let told: Vec<String> = left.iter().map(|pid| process::describe(*pid)).collect();
        if failed || (self.checks && !left.is_empty()) {
            eprintln!("{}", self.logs());
        }
        for handle in left.iter().filter_map(|pid| Handle::open(*pid)) {
            if process::belonging_to(&self.dir).contains(&handle.pid) {
                handle.signal(Signal::SIGKILL);
            }
        }
        drop(self.wait_empty(PATIENCE));
        // A test may have taken rights away.
        drop(fs::set_permissions(&self.dir, fs::Permissions::from_mode(0o700)));
        let removed = fs::remove_dir_all(&self.dir);
        if !failed && self.checks {
            assert!(told.is_empty(), "left behind: {told:#?}");
            assert!(removed.is_ok(), "{}: {removed:?}", self.dir.display());
        }
    }
}

fn tail(path: &Path) -> String {
    const SHOWN: u64 = 16 * 1024;
    let mut bytes = Vec::new();
    if let Ok(mut file) = fs::File::open(path) {
        let len = file.metadata().map_or(0, |meta| meta.len());
        if file.seek(SeekFrom::Start(len.saturating_sub(SHOWN))).is_ok() {
            drop(file.read_to_end(&mut bytes));
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

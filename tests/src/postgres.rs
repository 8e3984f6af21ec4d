//! A PostgreSQL server of a test's own: in a directory of its own, on a Unix socket only, as another user where the test is root.
//!
//! The tests of `gob-store` include this file: it uses nothing but the standard library.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// The user that runs the server where the test is root: `nobody`.
const USER: u32 = 65_534;
/// Time within which the server comes.
const START: Duration = Duration::from_secs(60);

/// A server.
#[derive(Debug)]
pub struct Postgres {
    dir: PathBuf,
    programs: PathBuf,
    is_root: bool,
    server: Option<Child>,
}

impl Postgres {
    /// Makes a database in a directory that is there, and starts its server; `None` where PostgreSQL is not installed, with the reason.
    ///
    /// # Errors
    /// When it is installed and does not start.
    pub fn start(dir: &Path) -> io::Result<Result<Self, String>> {
        let Some(programs) = programs() else { return Ok(Err("no initdb here, nor postgres".to_owned())) };
        let dir = dir.to_owned();
        let is_root = fs::metadata("/proc/self")?.uid() == 0;
        if is_root && !has_setpriv() {
            return Ok(Err("PostgreSQL does not run as root, and setpriv is not here".to_owned()));
        }
        if is_root {
            chown(&dir, Some(USER), Some(USER))?;
        }
        let mut server = Self { dir, programs, is_root, server: None };
        let log = File::create(server.dir.join("initdb.log"))?;
        let mut initdb = server.program("initdb");
        initdb.arg("-D").arg(server.data()).args([
            "-U",
            "gob",
            "-A",
            "trust",
            "-N",
            "--no-locale",
            "-E",
            "UTF8",
        ]);
        let made = initdb.stdout(log.try_clone()?).stderr(log).status()?;
        if !made.success() {
            let log = fs::read_to_string(server.dir.join("initdb.log"))?;
            return Err(io::Error::other(format!("initdb: {made}: {log}")));
        }
        server.run()?;
        Ok(Ok(server))
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = if self.is_root {
            let mut command = Command::new("setpriv");
            let user = USER.to_string();
            command
                .args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()])
                .arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(&self.dir).env("HOME", &self.dir).env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    /// Starts the server, and waits until it answers.
    ///
    /// # Errors
    /// When it does not come.
    pub fn run(&mut self) -> io::Result<()> {
        let until = Instant::now() + START;
        loop {
            if self.comes(until)? {
                return Ok(());
            }
            // Processes of a server that was killed may still be there.
            if Instant::now() >= until {
                return Err(io::Error::other(self.log()));
            }
            pause();
        }
    }

    /// Starts the server; false where it ended again.
    fn comes(&mut self, until: Instant) -> io::Result<bool> {
        let log = File::options().create(true).append(true).open(self.dir.join("server.log"))?;
        let mut postgres = self.program("postgres");
        postgres.arg("-D").arg(self.data()).arg("-k").arg(&self.dir).args(["-h", ""]);
        postgres.args(["-c", "max_connections=100", "-c", "shared_buffers=32MB"]);
        let mut child = postgres.stdout(log.try_clone()?).stderr(log).spawn()?;
        loop {
            if child.try_wait()?.is_some() {
                return Ok(false);
            }
            if self.is_ready()? || Instant::now() >= until {
                self.server = Some(child);
                return Ok(true);
            }
            pause();
        }
    }

    fn is_ready(&self) -> io::Result<bool> {
        let mut ask = self.program("pg_isready");
        ask.arg("-h").arg(&self.dir).args(["-U", "gob", "-d", "postgres"]);
        Ok(ask.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("server.log")).unwrap_or_default()
    }

    /// Kills the server, as a crash does: what was committed is there after the next start.
    ///
    /// # Errors
    /// When it can't be killed.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(mut server) = self.server.take() {
            server.kill()?;
            server.wait()?;
        }
        Ok(())
    }

    /// Returns the server's process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Returns the address of the database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://gob@{}/postgres", self.dir.to_string_lossy().replace('/', "%2F"))
    }

    /// Returns the directory of its socket.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // An orderly end, at once.
            let asked = Command::new("kill").arg("-INT").arg(server.id().to_string()).status();
            let until = Instant::now() + Duration::from_secs(10);
            while asked.is_ok()
                && Instant::now() < until
                && server.try_wait().is_ok_and(|ended| ended.is_none())
            {
                pause();
            }
            drop(server.kill());
            drop(server.wait());
        }
    }
}

fn has_setpriv() -> bool {
    Command::new("setpriv").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Returns the directory of PostgreSQL's programs.
fn programs() -> Option<PathBuf> {
    let has =
        |dir: &PathBuf| ["initdb", "postgres", "pg_isready"].iter().all(|name| dir.join(name).is_file());
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    versions.into_iter().rev().chain(std::env::split_paths(&path)).find(has)
}

/// Waits a moment.
fn pause() {
    let (lock, never) = (Mutex::new(()), Condvar::new());
    if let Ok(guard) = lock.lock() {
        drop(never.wait_timeout(guard, Duration::from_millis(20)));
    }
}

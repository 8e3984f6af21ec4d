//! The records of jobs and of holders: each is on the disk before the next step.

use gob_tests::dice::Dice;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Writes a file that must not be there, on the disk when this returns.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Notes a broken promise.
fn accuse(dir: &Path, what: &str) {
    let path = dir.join("violations");
    let file = OpenOptions::new().create(true).append(true).open(path);
    let noted = file.and_then(|mut file| {
        file.write_all(format!("{what}\n").as_bytes())?;
        file.sync_all()
    });
    if let Err(error) = noted {
        eprintln!("{what}; and it can't be noted: {error}");
    }
}

/// Returns this process as a stamp has it: its pid, and when it began, so that no other one is taken for it.
fn own() -> String {
    let pid = std::process::id();
    format!("{pid} {}", begun(pid).unwrap_or_default())
}

/// Returns when a process that lives began; `None` of one that does not run.
fn begun(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let is_dead = matches!(*fields.first()?, "Z" | "X");
    (!is_dead).then(|| fields.get(19).map(|began| (*began).to_owned()))?
}

/// A mark that one process alone may have. A dead one's is taken over.
struct Stamp(PathBuf);

impl Stamp {
    fn take(dir: &Path, name: &str) -> io::Result<Self> {
        let path = dir.join(format!("{name}.stamp"));
        // Nobody sees a stamp that is half written.
        let whole = dir.join(format!("{name}.{}.new", std::process::id()));
        put(&whole, &own())?;
        let taken = Self::take_whole(dir, name, &whole, path);
        fs::remove_file(&whole)?;
        taken
    }

    fn take_whole(dir: &Path, name: &str, whole: &Path, path: PathBuf) -> io::Result<Self> {
        for _ in 0..100 {
            match fs::hard_link(whole, &path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let other = fs::read_to_string(&path).unwrap_or_default();
                    let (pid, began) = other.split_once(' ').unwrap_or_default();
                    if pid.parse().ok().and_then(begun).is_some_and(|now| now == began) {
                        accuse(dir, &format!("{name}: two at once, {other} and {}", own()));
                    }
                    fs::remove_file(&path).or_else(absent)?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("the stamp comes again and again"))
    }
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

impl Drop for Stamp {
    fn drop(&mut self) {
        fs::remove_file(&self.0).or_else(absent).unwrap_or_default();
    }
}

/// The program of a job.
pub(crate) fn job(dir: &Path, key: &str) -> ExitCode {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let (id, attempt) = (variable("GOB_JOB_ID"), variable("GOB_ATTEMPT"));
    let worked = || -> io::Result<bool> {
        let stamp = Stamp::take(dir, &id)?;
        if put(&dir.join(format!("{id}.{attempt}.begun")), key).is_err() {
            accuse(dir, &format!("{id}: attempt {attempt} began twice"));
        }
        let mut dice = Dice::new(u64::from(std::process::id()) ^ attempt.parse::<u64>().unwrap_or_default());
        // Some last long enough to be under way when their supervisor is killed.
        let most = if dice.below(8) == 0 { 1_500 } else { 20 };
        gob_tests::wait::while_time_passes(Duration::from_millis(dice.below(most)));
        let is_good = dice.below(20) != 0;
        put(&dir.join(format!("{id}.{attempt}.{}", if is_good { "good" } else { "bad" })), key)?;
        drop(stamp);
        Ok(is_good)
    };
    match worked() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            accuse(dir, &format!("{id}: {error}"));
            ExitCode::from(3)
        }
    }
}

/// The command under the lock: its token is higher than that of every holder before it.
pub(crate) fn hold(dir: &Path) -> ExitCode {
    let held = || -> io::Result<()> {
        let stamp = Stamp::take(dir, "lock")?;
        let token: u64 =
            std::env::var("GOB_LOCK_TOKEN").unwrap_or_default().parse().map_err(io::Error::other)?;
        let path = dir.join("lock.tokens");
        let all = fs::read_to_string(&path).unwrap_or_default();
        let last = all.lines().next_back().and_then(|line| line.parse().ok()).unwrap_or(0);
        if token <= last {
            accuse(dir, &format!("the lock: token {token} after {last}"));
        }
        let mut file = File::options().create(true).append(true).open(&path)?;
        file.write_all(format!("{token}\n").as_bytes())?;
        file.sync_all()?;
        // Some hold it while their supervisor is killed.
        let most = if Dice::new(token).below(8) == 0 { 1_000 } else { 10 };
        gob_tests::wait::while_time_passes(Duration::from_millis(Dice::new(token).below(most)));
        drop(stamp);
        Ok(())
    };
    match held() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            accuse(dir, &format!("the lock: {error}"));
            ExitCode::from(3)
        }
    }
}

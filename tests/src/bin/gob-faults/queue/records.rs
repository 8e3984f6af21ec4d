//! The records of claimants: lines in a file of each, on the disk before it goes on.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, read_dir, read_to_string};
use std::io::{self, Write};
use std::path::Path;

/// Returns a time that all processes of this machine share and no one sets, in nanoseconds.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place is a timespec of our own.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    assert_eq!(result, 0, "CLOCK_MONOTONIC");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The file of one claimant.
pub struct Journal(File);

impl Journal {
    pub fn create(dir: &Path, serial: &str) -> io::Result<Self> {
        OpenOptions::new().create_new(true).append(true).open(dir.join(format!("{serial}.log"))).map(Self)
    }

    /// Writes a line with the present time, and returns when it is on the disk.
    pub fn write(&mut self, what: &str, job: &str, attempt: u64, more: &str) -> io::Result<()> {
        self.0.write_all(format!("{what} {job} {attempt} {} {more}\n", now_ns()).as_bytes())?;
        self.0.sync_data()
    }
}

/// Records that a claimant is about to be killed.
pub fn killed(dir: &Path, serial: u64, at: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(dir.join("killed"))?;
    file.write_all(format!("{serial} {at}\n").as_bytes())
}

/// One attempt, as its claimant has recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub job: String,
    pub number: u64,
    /// The claimant.
    pub serial: u64,
    /// The claim was answered.
    pub begun: u64,
    /// The work was over, before the finish was sent; and whether it went well.
    pub ended: Option<(u64, bool)>,
    /// The finish was answered; with the status of the job.
    pub acknowledged: Option<(u64, String)>,
    /// The claimant heard that it is not its own any more, or has given up.
    pub lost: Option<u64>,
    /// The claimant was killed.
    pub killed: Option<u64>,
}

impl Attempt {
    /// Returns the time after which nothing was done any more for it.
    pub fn over(&self) -> u64 {
        let ends = [self.ended.map(|(at, _)| at), self.lost, self.killed];
        ends.into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

/// All records.
pub struct Records {
    pub attempts: Vec<Attempt>,
    /// Lines that are none, other than the last one of a claimant that was killed.
    pub torn: Vec<String>,
}

impl Records {
    /// Reads all files of a directory.
    pub fn read(dir: &Path) -> io::Result<Self> {
        let mut killed = BTreeMap::new();
        for line in read_to_string(dir.join("killed")).unwrap_or_default().lines() {
            if let Some((serial, at)) = line.split_once(' ') {
                killed.insert(serial.to_owned(), at.parse().unwrap_or(0));
            }
        }
        let (mut attempts, mut torn) = (Vec::new(), Vec::new());
        for entry in read_dir(dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Some(serial) = name.strip_suffix(".log") else { continue };
            let text = read_to_string(dir.join(&name))?;
            let mut own = Vec::new();
            for line in text.lines() {
                if take(&mut own, serial.parse().unwrap_or(0), line).is_none() {
                    torn.push(format!("{name}: {line:?}"));
                }
            }
            own.iter_mut().for_each(|attempt| attempt.killed = killed.get(serial).copied());
            attempts.append(&mut own);
        }
        Ok(Self { attempts, torn })
    }
}

/// Takes a line of a claimant; `None` where it is none.
fn take(own: &mut Vec<Attempt>, serial: u64, line: &str) -> Option<()> {
    let words: Vec<&str> = line.split(' ').collect();
    let [what, job, number, at, more] = words.as_slice() else { return None };
    let (number, at) = (number.parse().ok()?, at.parse().ok()?);
    if *what == "begun" {
        let (ended, acknowledged, lost, killed) = (None, None, None, None);
        own.push(Attempt {
            job: (*job).to_owned(),
            number,
            serial,
            begun: at,
            ended,
            acknowledged,
            lost,
            killed,
        });
        return Some(());
    }
    let attempt = own.last_mut().filter(|last| last.job == *job && last.number == number)?;
    match *what {
        "ended" => attempt.ended = Some((at, *more == "good")),
        "acknowledged" => attempt.acknowledged = Some((at, (*more).to_owned())),
        "lost" => attempt.lost = Some(at),
        _ => return None,
    }
    Some(())
}

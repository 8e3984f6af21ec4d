//! The keeper's messages, on standard error. Detached, this is `gobd.log` in the state directory, which the
//! supervisor inherits for messages that it can't write elsewhere.

use crate::error::Error;
use nix::sys::stat::fstat;
use nix::unistd::dup2_stderr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const NAME: &str = "gobd.log";
const NAME_OF_OLD: &str = "gobd.log.1";

/// Size at which a log is moved aside when the keeper starts, in bytes.
const MAX_BYTES: u64 = 10 << 20;

/// Standard error is `gobd.log`, opened by this process.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// Writes a line as it is.
pub(crate) fn plain(message: &str) {
    // A failure of standard error can't be reported anywhere.
    io::stderr().write_all(format!("{message}\n").as_bytes()).unwrap_or_default();
}

/// Writes a line with time and program.
pub(crate) fn event(message: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    plain(&format!("{} gob-keeper: {message}", utc(now)));
}

/// Makes `gobd.log` standard error.
pub(crate) fn to_file(state: &Path) -> Result<File, Error> {
    let path = state.join(NAME);
    // Without O_NONBLOCK the open of a FIFO in its place would wait for a reader.
    let flags = libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(&path);
    let file = opened.and_then(|file| {
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        dup2_stderr(&file)?;
        IS_OURS.store(true, Ordering::Relaxed);
        Ok(file)
    });
    file.map_err(|source| Error::Path { operation: "write the log", path, source })
}

/// Standard error is `gobd.log`, opened by another program of this process.
pub(crate) fn is_ours() {
    IS_OURS.store(true, Ordering::Relaxed);
}

/// Begins a new log, for this process and for the next supervisor, where the old one was deleted.
pub(crate) fn find_again(state: &Path) -> Result<(), Error> {
    let own = fstat(io::stderr()).map(|own| (own.st_dev, own.st_ino));
    let there = std::fs::symlink_metadata(state.join(NAME));
    let is_there = there.is_ok_and(|there| own == Ok((there.dev(), there.ino())));
    if IS_OURS.load(Ordering::Relaxed) && !is_there {
        drop(to_file(state)?);
    }
    Ok(())
}

/// Moves a log that grew too large aside and begins a new one. Only the holder of the locks may call this.
pub(crate) fn cap(state: &Path) -> Result<(), Error> {
    let path = state.join(NAME);
    if std::fs::symlink_metadata(&path).is_ok_and(|file| file.len() > MAX_BYTES) {
        std::fs::rename(&path, state.join(NAME_OF_OLD)).map_err(|source| Error::Path {
            operation: "move the log aside",
            path,
            source,
        })?;
        drop(to_file(state)?);
    }
    Ok(())
}

/// Seconds since the epoch as RFC 3339 (days to dates after H. Hinnant, "chrono-compatible date algorithms").
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_795_168_800), "2026-11-20T10:00:00Z");
    }
}

//! Users of this machine, from `/etc/passwd` alone: the packaged programs are static, and in those the C library's own query loads
//! modules of the machine's C library and crashes where it is another one. Users of a directory service are not found; they have HOME.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Bytes of the file that are read at most.
const MAX_BYTES: u64 = 16 << 20;

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name of the login.
    pub name: String,
    /// The home directory.
    pub home: PathBuf,
}

/// Returns the user of a number; `None` when the file has no line for it, or can't be read.
#[must_use]
pub fn user(uid: u32) -> Option<User> {
    find(File::open(Path::new("/etc/passwd")).ok()?, uid)
}

fn find(file: impl Read, uid: u32) -> Option<User> {
    let lines = BufReader::new(file.take(MAX_BYTES)).split(b'\n');
    lines.map_while(Result::ok).find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, _password, number) = (fields.next()?, fields.next()?, fields.next()?);
        let is_theirs = std::str::from_utf8(number).ok()?.parse() == Ok(uid);
        let home = PathBuf::from(OsStr::from_bytes(fields.nth(2)?));
        is_theirs.then(|| User { name: String::from_utf8_lossy(name).into_owned(), home })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_by_its_number_among_others_and_damaged_ones() {
        let text = b"root:x:0:0:root:/root:/bin/sh\n\nshort:x:7\n#:x\nada:x:1000:1000:Ada,,,:/home/ada:/bin/zsh\n\xff:x:8:8::/h\xff:\n";
        let ada = User { name: "ada".to_owned(), home: "/home/ada".into() };
        assert_eq!(find(&text[..], 1000), Some(ada));
        assert_eq!(find(&text[..], 7), None);
        assert_eq!(find(&text[..], 1), None);
        assert_eq!(find(&text[..], 8).unwrap().home.as_os_str().as_bytes(), b"/h\xff");
    }
}

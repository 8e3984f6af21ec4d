//! Decides whether a configuration file may be trusted: it names the programs to run, so only this user and
//! root may write it.

use crate::MAX_CONFIG_FILES;
use std::ffi::OsString;

/// Largest configuration file, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Metadata of the open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// It is a regular file.
    pub is_file: bool,
    /// Its owner.
    pub uid: u32,
    /// Its permission bits, as chmod(1) has them.
    pub mode: u32,
    /// Its length in bytes.
    pub len: u64,
}

/// Returns why user `me` must not use the file; `None` when the file is fine. Root's own file is fine: root
/// may write any.
pub(super) fn refusal(file: FileFacts, me: u32) -> Option<String> {
    if !file.is_file {
        return Some("it is not a regular file".to_owned());
    }
    if file.uid != me && file.uid != 0 {
        return Some(format!("it belongs to uid {}, not to you (uid {me})", file.uid));
    }
    if file.mode & 0o022 != 0 {
        let mode = file.mode & 0o777;
        return Some(format!(
            "others may write it (mode {mode:04o}), and it says which programs run; chmod go-w it"
        ));
    }
    if file.len > MAX_CONFIG_BYTES {
        return Some(format!("it has {} bytes, at most {MAX_CONFIG_BYTES} are read", file.len));
    }
    None
}

/// Returns why user `me` must not use the files of a directory.
pub(super) fn dir_refusal(dir: FileFacts, me: u32) -> Option<String> {
    if dir.uid != me && dir.uid != 0 {
        return Some(format!("it belongs to uid {}, not to you (uid {me})", dir.uid));
    }
    let mode = dir.mode & 0o777;
    let open = dir.mode & 0o022 != 0;
    open.then(|| {
        format!(
            "others may write to it (mode {mode:04o}), and its files say which programs run; chmod go-w it"
        )
    })
}

/// Decodes a file.
///
/// # Errors
/// The reason why the bytes are not text.
pub(super) fn text_of(bytes: Vec<u8>) -> Result<String, String> {
    // UTF-16, with or without its mark, has a NUL in every second byte of most texts.
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    let is_wide = bytes.len() > 3 && zeros * 3 >= bytes.len();
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || is_wide {
        return Err("it is UTF-16; save it as UTF-8".to_owned());
    }
    String::from_utf8(bytes).map_err(|e| format!("it is not UTF-8: {e}"))
}

/// Returns the names in `config.d` that are read, sorted, and how many more there are.
pub(super) fn file_names(names: impl IntoIterator<Item = OsString>) -> (Vec<OsString>, usize) {
    let is_read = |name: &OsString| {
        let name = name.as_encoded_bytes();
        name.ends_with(b".toml") && !name.starts_with(b".")
    };
    let mut names: Vec<OsString> = names.into_iter().filter(is_read).collect();
    names.sort();
    let more = names.len().saturating_sub(MAX_CONFIG_FILES);
    names.truncate(MAX_CONFIG_FILES);
    (names, more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_may_write_is_refused() {
        let good = FileFacts { is_file: true, uid: 1000, mode: 0o100_644, len: 10 };
        assert_eq!(refusal(good, 1000), None);
        assert_eq!(refusal(FileFacts { uid: 0, ..good }, 1000), None);
        for bad in [
            FileFacts { is_file: false, ..good },
            FileFacts { uid: 1001, ..good },
            FileFacts { mode: 0o664, ..good },
            FileFacts { mode: 0o646, ..good },
            FileFacts { len: MAX_CONFIG_BYTES + 1, ..good },
        ] {
            assert!(refusal(bad, 1000).is_some(), "{bad:?}");
        }
    }
}

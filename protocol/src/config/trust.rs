//! Whether a configuration file may be trusted: it says which programs run, so nobody else may write it.

/// Largest configuration file, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// What the file system says of the open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Whether it is a regular file.
    pub is_file: bool,
    /// Its owner.
    pub uid: u32,
    /// Its rights, as chmod(1) has them.
    pub mode: u32,
    /// Its length in bytes.
    pub len: u64,
}

/// Why the user with this id does not use the file; `None` when he may. Root's own file is fine: root may write any.
#[must_use]
pub fn refusal(file: FileFacts, me: u32) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_else_may_write() {
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

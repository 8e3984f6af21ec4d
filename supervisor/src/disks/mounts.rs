//! The mount of a path, as far as its text tells: no disk is asked, since it may hang.

use std::path::{Path, PathBuf};

/// The mount points.
#[derive(Debug, Default)]
pub(super) struct Mounts(Vec<PathBuf>);

impl Mounts {
    /// Reads the mount points of this process; none where they can't be read, so that all paths share one
    /// mount.
    pub(super) fn read() -> Self {
        Self::parse(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
    }

    /// Parses the format of proc_pid_mountinfo(5): the fifth field is the mount point.
    pub(super) fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped).collect())
    }

    /// Returns a number for the mount of a path: the longest mount point, of equal ones the last,
    /// which hides the others.
    pub(super) fn of(&self, path: &str) -> usize {
        let above = self.0.iter().enumerate().filter(|(_, mount)| Path::new(path).starts_with(mount));
        above.max_by_key(|(at, mount)| (mount.as_os_str().len(), *at)).map_or(usize::MAX, |(at, _)| at)
    }
}

/// Returns a mount in a directory, by the text of proc_pid_mountinfo(5).
pub(crate) fn mounted_below(text: &str, dir: &Path) -> Option<PathBuf> {
    let Mounts(mounts) = Mounts::parse(text);
    mounts.into_iter().find(|mount| mount.starts_with(dir))
}

/// Decodes blanks, line ends and backslashes, which are written as three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code.zip(part.get(3..)) {
            Some((code, rest)) => {
                path.push(char::from(code));
                path.push_str(rest);
            }
            None => path.push_str(part),
        }
    }
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_on_the_longest_mount_and_on_the_last_of_equal_ones() {
        let mounts = Mounts::parse(
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
             2 1 0:2 / /mnt rw shared:1 - nfs a:/b rw\n\
             3 1 0:3 / /mnt/with\\040blank rw - tmpfs tmpfs rw\n\
             4 1 0:4 / /mnt rw - tmpfs tmpfs rw\n\
             garbage\n",
        );
        let on =
            ["/", "/mntx", "/mnt", "/mnt/a", "/mnt/with blank/a", "/mnt/with"].map(|path| mounts.of(path));
        assert_eq!(on, [0, 0, 3, 3, 2, 3]);
        assert_ne!(Mounts::read().of("/proc/self/stat"), Mounts::read().of("/"));
        assert_eq!(Mounts::default().of("/a"), Mounts::default().of("/b"));
    }
}

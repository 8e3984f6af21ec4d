//! Gathers the files of a configuration and decides which of them may be used. A [`ConfigDisk`] does the
//! reading.

use crate::files::{CONFIG_DIR, FileText, MAX_ALL_CONFIG_BYTES};
use crate::trust::{FileFacts, MAX_CONFIG_BYTES, dir_refusal, file_names, refusal, text_of};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Access to the files.
pub trait ConfigDisk {
    /// Opens a file without waiting for a writer, and reads at most [`MAX_CONFIG_BYTES`] and one more byte of
    /// a regular file.
    ///
    /// # Errors
    /// As open(2) and read(2).
    fn read(&self, path: &Path) -> io::Result<(FileFacts, Vec<u8>)>;

    /// Returns the target of a symbolic link, if `path` is one.
    fn link(&self, path: &Path) -> Option<PathBuf>;

    /// Lists the names in a directory; a few thousand are enough.
    ///
    /// # Errors
    /// As opendir(3).
    fn list(&self, dir: &Path) -> io::Result<(FileFacts, Vec<OsString>)>;
}

/// Reads `config.toml` and the files of `config.d` beside it. `is_needed`: the user named the file, so that
/// it must exist.
pub fn gather(path: &Path, is_needed: bool, me: u32, disk: &impl ConfigDisk) -> Vec<FileText> {
    let mut files: Vec<FileText> = file(path, is_needed, me, disk).into_iter().collect();
    let dir = path.parent().unwrap_or(Path::new("/")).join(CONFIG_DIR);
    let refused = |why: String| FileText { is_main: false, ..FileText::unread(dir.to_string_lossy(), why) };
    let names = match disk.list(&dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && disk.link(&dir).is_none() => return files,
        Err(e) => {
            files.push(refused(format!("it cannot be read: {e}")));
            return files;
        }
        Ok((facts, names)) => match dir_refusal(facts, me) {
            Some(why) => {
                files.push(refused(why));
                return files;
            }
            None => names,
        },
    };
    let (names, more) = file_names(names);
    let mut room = MAX_ALL_CONFIG_BYTES;
    for name in names {
        let Some(mut text) = file(&dir.join(name), true, me, disk) else { continue };
        text.is_main = false;
        let len = text.text.as_ref().map_or(0, |text| text.len() as u64);
        match room.checked_sub(len) {
            Some(left) => room = left,
            None => {
                text.text = None;
                text.refused =
                    Some(format!("all files of {CONFIG_DIR} have more than {MAX_ALL_CONFIG_BYTES} bytes"));
            }
        }
        files.push(text);
    }
    if more > 0 {
        files.push(refused(format!("it has {more} files more than are read")));
    }
    files
}

fn file(path: &Path, is_needed: bool, me: u32, disk: &impl ConfigDisk) -> Option<FileText> {
    let unread = |why: String| Some(FileText::unread(path.to_string_lossy(), why));
    let (facts, bytes) = match disk.read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return match disk.link(path) {
                Some(to) => unread(format!("it is a symbolic link to {}, which is not there", to.display())),
                None if is_needed => unread("it is not there, and GOB_CONFIG names it".to_owned()),
                None => None,
            };
        }
        Err(e) => return unread(format!("it cannot be read: {e}")),
        Ok(read) => read,
    };
    let why = refusal(facts, me);
    if facts.is_file && facts.len <= MAX_CONFIG_BYTES && bytes.len() as u64 > MAX_CONFIG_BYTES {
        return unread(format!("it has more than {MAX_CONFIG_BYTES} bytes"));
    }
    match text_of(bytes) {
        // The text of a file that others may write is not used, but it tells which graphs the file concerns.
        Ok(text) if facts.is_file && facts.len <= MAX_CONFIG_BYTES => {
            Some(FileText { refused: why, ..FileText::read(path.to_string_lossy(), text) })
        }
        Ok(_) => unread(why.unwrap_or_default()),
        Err(wrong) => unread(why.unwrap_or(wrong)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Files by their paths; `None` where a link has no target.
    #[derive(Default)]
    struct Disk(BTreeMap<&'static str, Option<(u32, &'static [u8])>>, u32);

    impl ConfigDisk for Disk {
        fn read(&self, path: &Path) -> io::Result<(FileFacts, Vec<u8>)> {
            let found = self.0.get(path.to_str().unwrap()).copied().flatten();
            let (mode, bytes) = found.ok_or(io::ErrorKind::NotFound)?;
            let facts = FileFacts { is_file: true, uid: 1, mode, len: bytes.len() as u64 };
            Ok((facts, bytes.to_vec()))
        }

        fn link(&self, path: &Path) -> Option<PathBuf> {
            self.0.get(path.to_str().unwrap()).filter(|file| file.is_none()).map(|_| "/gone".into())
        }

        fn list(&self, dir: &Path) -> io::Result<(FileFacts, Vec<OsString>)> {
            let of = |path: &&str| Some(Path::new(path).strip_prefix(dir).ok()?.as_os_str().to_owned());
            let names: Vec<OsString> = self.0.keys().filter_map(of).collect();
            let facts = FileFacts { is_file: false, uid: 1, mode: self.1, len: 0 };
            if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok((facts, names)) }
        }
    }

    fn all(disk: &Disk, is_needed: bool) -> Vec<(String, bool, String)> {
        let files = gather(Path::new("/c/config.toml"), is_needed, 1, disk);
        let each = |file: FileText| (file.path, file.text.is_some(), file.refused.unwrap_or_default());
        files.into_iter().map(each).collect()
    }

    fn entry(path: &str, read: bool, refused: &str) -> (String, bool, String) {
        (path.to_owned(), read, refused.to_owned())
    }

    #[test]
    fn a_named_or_linked_file_must_exist() {
        assert!(all(&Disk::default(), false).is_empty());
        let want = "it is not there, and GOB_CONFIG names it";
        assert_eq!(all(&Disk::default(), true), [entry("/c/config.toml", false, want)]);
        let dangling = Disk([("/c/config.toml", None)].into(), 0o700);
        let want = "it is a symbolic link to /gone, which is not there";
        assert_eq!(all(&dangling, false), [entry("/c/config.toml", false, want)]);
    }

    #[test]
    fn the_files_of_the_directory_follow_by_name() {
        let mut disk = Disk::default();
        disk.0.insert("/c/config.toml", Some((0o644, b"")));
        disk.0.insert("/c/config.d/b.toml", Some((0o666, b"[kind.b]")));
        disk.0.insert("/c/config.d/a.toml", Some((0o644, b"")));
        disk.0.insert("/c/config.d/c.toml", None);
        disk.0.insert("/c/config.d/README", Some((0o644, b"")));
        disk.1 = 0o755;
        let open = "others may write it (mode 0666), and it says which programs run; chmod go-w it";
        let want = [
            entry("/c/config.toml", true, ""),
            entry("/c/config.d/a.toml", true, ""),
            entry("/c/config.d/b.toml", true, open),
            entry("/c/config.d/c.toml", false, "it is a symbolic link to /gone, which is not there"),
        ];
        assert_eq!(all(&disk, false), want);
        disk.1 = 0o777;
        let found = all(&disk, false);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].2.contains("others may write to it"), "{found:?}");
    }
}

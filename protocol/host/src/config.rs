//! Reads the files of the configuration, as far as they may be trusted. Their meaning is
//! [`gob_config`]'s.

use gob_config::{ConfigDisk, FileFacts, MAX_CONFIG_BYTES};
use nix::fcntl::OFlag;
use std::ffi::OsString;
use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Most names of `config.d` that are listed.
const MAX_NAMES: usize = 4096;

/// The file system of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl ConfigDisk for Disk {
    fn read(&self, path: &Path) -> io::Result<(FileFacts, Vec<u8>)> {
        // Without O_NONBLOCK the open of a FIFO in its place would wait for a writer.
        let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
        let facts = facts(&file.metadata()?);
        let mut bytes = Vec::new();
        if facts.is_file && facts.len <= MAX_CONFIG_BYTES {
            // The file may grow during the read.
            file.take(MAX_CONFIG_BYTES + 1).read_to_end(&mut bytes)?;
        }
        Ok((facts, bytes))
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        path.read_link().ok()
    }

    fn list(&self, dir: &Path) -> io::Result<(FileFacts, Vec<OsString>)> {
        let facts = facts(&dir.metadata()?);
        let names = dir.read_dir()?.take(MAX_NAMES).map(|entry| entry.map(|entry| entry.file_name()));
        Ok((facts, names.collect::<io::Result<_>>()?))
    }
}

fn facts(found: &Metadata) -> FileFacts {
    FileFacts { is_file: found.is_file(), uid: found.uid(), mode: found.mode(), len: found.len() }
}

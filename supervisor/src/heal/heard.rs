//! Sorts the kernel's reports on gob's files and on workers' sockets.
//!
//! A socket is lost when it is deleted, moved away, or replaced from another directory. A publication is a
//! rename within the directory, from a name that is no socket's; a replacement before that was read is taken
//! for it, since the kernel merges the two events, and is found by the worker's own check once a minute. A
//! worker that removes its socket at its end looks like a loss as well: the core decides which losses matter.

use gob_core::{Lost, SOCKET_SUFFIX};
use std::collections::BTreeSet;

/// Limit of names that are kept; beyond it, any socket may be gone.
const MAX_NAMES: usize = 1_024;
/// Limit of renames with one half heard; beyond it, the oldest count as losses.
const MAX_RENAMES: usize = 64;
/// Bytes of `struct inotify_event` before its name (inotify(7)).
const HEADER: usize = 16;

/// Reports that were heard and not taken yet.
#[derive(Debug)]
pub(super) struct Heard {
    /// The watch of the directory of sockets.
    sockets: Option<i32>,
    /// gob's own files, or unknown ones, have changed.
    files: bool,
    names: BTreeSet<String>,
    any: bool,
    /// Cookies of renames from a name that is no socket's.
    renames: BTreeSet<u32>,
}

impl Heard {
    pub(super) fn new(sockets: Option<i32>) -> Self {
        Self { sockets, files: false, names: BTreeSet::new(), any: false, renames: BTreeSet::new() }
    }

    /// Takes whether gob's own files have changed.
    pub(super) fn take_files(&mut self) -> bool {
        std::mem::take(&mut self.files)
    }

    /// Takes the lost sockets, if there are any.
    pub(super) fn take_lost(&mut self) -> Option<Lost> {
        let names = std::mem::take(&mut self.names);
        match std::mem::take(&mut self.any) {
            true => Some(Lost::Any),
            false => (!names.is_empty()).then_some(Lost::Files(names)),
        }
    }

    /// Adds the result of one read: whole events, one after the other.
    pub(super) fn add(&mut self, mut events: &[u8]) {
        while let Some((header, rest)) = events.split_first_chunk::<HEADER>() {
            let field = |at: usize| {
                let bytes = header.get(at..).and_then(|bytes| bytes.first_chunk()).copied();
                u32::from_ne_bytes(bytes.unwrap_or_default())
            };
            let len = usize::try_from(field(12)).unwrap_or(usize::MAX).min(rest.len());
            let (name, rest) = rest.split_at(len);
            events = rest;
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(len);
            // A name that is not UTF-8 is no worker's socket.
            let name = String::from_utf8_lossy(name.get(..end).unwrap_or_default());
            self.event(field(0).cast_signed(), field(4), field(8), &name);
        }
    }

    fn event(&mut self, watch: i32, mask: u32, cookie: u32, name: &str) {
        if mask & libc::IN_Q_OVERFLOW != 0 {
            (self.files, self.any) = (true, true);
        } else if self.sockets != Some(watch) || name.is_empty() {
            self.files = true;
        } else if !name.ends_with(SOCKET_SUFFIX) {
            if mask & libc::IN_MOVED_FROM != 0 {
                if self.renames.len() >= MAX_RENAMES {
                    self.renames.clear();
                }
                self.renames.insert(cookie);
            }
        } else if mask & libc::IN_MOVED_TO == 0 || !self.renames.remove(&cookie) {
            if self.names.len() >= MAX_NAMES {
                self.names.clear();
                self.any = true;
            }
            self.names.insert(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKETS: i32 = 7;

    fn event(watch: i32, mask: u32, cookie: u32, name: &str) -> Vec<u8> {
        // The kernel pads names with zeros.
        let len = if name.is_empty() { 0 } else { (name.len() / HEADER + 1) * HEADER };
        let mut bytes = watch.to_ne_bytes().to_vec();
        for field in [mask, cookie, len as u32] {
            bytes.extend(field.to_ne_bytes());
        }
        bytes.extend(name.bytes());
        bytes.resize(HEADER + len, 0);
        bytes
    }

    fn heard(events: &[Vec<u8>]) -> (bool, Option<Lost>) {
        let mut heard = Heard::new(Some(SOCKETS));
        heard.add(&events.concat());
        let told = (heard.take_files(), heard.take_lost());
        assert_eq!((heard.take_files(), heard.take_lost()), (false, None), "it was taken");
        told
    }

    fn lost(names: &[&str]) -> Option<Lost> {
        Some(Lost::Files(names.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn sockets_are_reported_by_name_and_the_rest_as_files() {
        let deleted = |name| event(SOCKETS, libc::IN_DELETE, 0, name);
        assert_eq!(
            heard(&[deleted("a.sock"), deleted("b.sock"), deleted("a.sock")]).1,
            lost(&["a.sock", "b.sock"])
        );
        assert_eq!(heard(&[deleted("a.sock")]), (false, lost(&["a.sock"])));
        assert_eq!(heard(&[deleted("junk")]), (false, None));
        assert_eq!(heard(&[event(SOCKETS, libc::IN_MOVED_FROM, 1, "a.sock")]), (false, lost(&["a.sock"])));
        assert_eq!(heard(&[event(3, libc::IN_DELETE | libc::IN_ISDIR, 0, "graphs")]), (true, None));
        assert_eq!(heard(&[event(SOCKETS, libc::IN_DELETE_SELF, 0, "")]), (true, None));
        assert_eq!(heard(&[event(3, libc::IN_ATTRIB, 0, ""), deleted("a.sock")]), (true, lost(&["a.sock"])));
        assert_eq!(heard(&[event(-1, libc::IN_Q_OVERFLOW, 0, "")]), (true, Some(Lost::Any)));
        // A watch without that directory has no such events.
        let mut nowhere = Heard::new(None);
        nowhere.add(&event(-1, libc::IN_DELETE, 0, "a.sock"));
        assert_eq!((nowhere.take_files(), nowhere.take_lost()), (true, None));
    }

    #[test]
    fn a_published_socket_is_not_lost_and_a_replaced_one_is() {
        let from = |cookie, name| event(SOCKETS, libc::IN_MOVED_FROM, cookie, name);
        let to = |cookie, name| event(SOCKETS, libc::IN_MOVED_TO, cookie, name);
        assert_eq!(heard(&[from(1, ".gob-1"), to(1, "a.sock")]), (false, None));
        let mixed = [from(1, ".gob-1"), from(2, ".gob-2"), to(1, "a.sock"), to(2, "b.sock")];
        assert_eq!(heard(&mixed), (false, None));
        assert_eq!(heard(&[to(1, "a.sock")]), (false, lost(&["a.sock"])));
        assert_eq!(heard(&[from(1, "b.sock"), to(1, "a.sock")]), (false, lost(&["a.sock", "b.sock"])));
        // One read may end between the two.
        let mut halves = Heard::new(Some(SOCKETS));
        halves.add(&from(1, ".gob-1"));
        halves.add(&to(1, "a.sock"));
        assert_eq!(halves.take_lost(), None);
    }

    #[test]
    fn names_and_renames_are_bounded() {
        let mut heard = Heard::new(Some(SOCKETS));
        for n in 0..=u32::try_from(MAX_NAMES).unwrap() {
            heard.add(&event(SOCKETS, libc::IN_DELETE, 0, &format!("{n}.sock")));
            heard.add(&event(SOCKETS, libc::IN_MOVED_FROM, n, ".gob-1"));
        }
        assert!(heard.names.len() <= MAX_NAMES && heard.renames.len() <= MAX_RENAMES);
        assert_eq!(heard.take_lost(), Some(Lost::Any));
    }
}

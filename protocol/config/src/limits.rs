//! `rlimits` of a kind: resource limits by their names (getrlimit(2)), as numbers or as sizes.

use crate::kind::{MAX_RLIMIT, RLIMITS};
use crate::reader::{Reader, Section};
use crate::scalar::size_bytes;
use gob_protocol::suggest::nearest;
use std::collections::BTreeMap;

/// Limits whose unit is not bytes.
const COUNTS: [&str; 3] = ["cpu", "nofile", "nproc"];

impl<'t> Reader<'t> {
    pub(super) fn rlimits(&mut self, section: &Section<'_, 't>) -> BTreeMap<String, u64> {
        let Some(limits) = self.section(section, "rlimits") else { return BTreeMap::new() };
        let mut all = BTreeMap::new();
        for (key, item) in limits.table {
            let name = key.get_ref().as_ref();
            if !RLIMITS.contains(&name) {
                let message = match nearest(name, RLIMITS) {
                    Some(near) => format!("there is no such limit; did you mean `{near}`?"),
                    None => format!("there is no such limit; there are: {}", RLIMITS.join(", ")),
                };
                self.problem(key.span().start, limits.key_of(name), message);
                continue;
            }
            let value = if item.get_ref().is_str() && !COUNTS.contains(&name) {
                self.parsed(&limits, name, size_bytes)
            } else {
                // A program can live with a limit of zero only for core files.
                self.count(&limits, name, u64::from(name != "core")..=MAX_RLIMIT)
            };
            all.extend(value.map(|value| (name.to_owned(), value)));
        }
        all
    }
}

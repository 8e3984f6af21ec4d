//! The supervisor's own resources: descriptors and memory, compared at each rest with the number of runs so
//! far. A leak per run shows as growth with that number.

use gob_protocol::limits::RING_BYTES;
use gob_tests::{process, wait};
use serde_json::Value;
use std::time::Duration;

/// Runs before the first comparison: until then buffers and tables grow to their size.
const WARM: u64 = 150;
/// Runs between two compared samples.
const ENOUGH: u64 = 150;
/// Growth per run that is no leak: pages come and go.
const BYTES_PER_RUN: u64 = 8 * 1024;
/// Runs whose events fill the ring of the last ones.
const RING_RUNS: u64 = 400;
/// Time in which memory that clients no longer use is given back (supervisor, `memory`).
const GIVEN_BACK: Duration = Duration::from_secs(12);
/// Log files that the writer may keep open, and descriptors that come and go.
const FILES: u64 = 48;

/// The resources of one supervisor at a rest.
#[derive(Debug, Clone)]
struct Use {
    instance: String,
    runs: u64,
    files: u64,
    bytes: u64,
}

/// The rest that later ones are compared with.
#[derive(Debug, Default)]
pub struct Vitals(Option<Use>);

impl Vitals {
    /// Compares the resources of a supervisor after `runs` runs, of which `live` are there, with the earlier
    /// ones.
    pub fn check(&mut self, status: &Value, runs: u64, live: u64) -> Result<String, String> {
        let pid = status["pid"].as_i64().unwrap_or_default() as i32;
        let instance = status["instance"].as_str().unwrap_or_default().to_owned();
        // A live run has its handle, its pipes and its lock; a connection has one.
        let expected = live * 6 + status["connections"].as_u64().unwrap_or_default();
        let files = process::open_files(pid).saturating_sub(expected);
        let bytes = process::smaps_bytes(pid, "Pss_Anon").unwrap_or_default();
        let now = Use { instance, runs, files, bytes };
        let said = format!("{runs} runs, {files} files, {} KiB", bytes / 1024);
        let Some(before) = self.0.as_ref().filter(|before| before.instance == now.instance) else {
            self.0 = (runs >= WARM).then_some(now);
            return Ok(said);
        };
        let more = now.runs.saturating_sub(before.runs);
        if more < ENOUGH {
            return Ok(said);
        }
        if now.files > before.files + FILES.min(more / 2) {
            return Err(format!(
                "{} descriptors more after {more} runs: {before:?}, {now:?}",
                now.files - before.files
            ));
        }
        let ring = if before.runs < RING_RUNS { RING_BYTES as u64 } else { 0 };
        let most = before.bytes + more * BYTES_PER_RUN + ring;
        let is_within = || process::smaps_bytes(pid, "Pss_Anon").is_some_and(|bytes| bytes <= most);
        if now.bytes > most && !wait::until(GIVEN_BACK, is_within) {
            let grown = (now.bytes - before.bytes) / 1024;
            return Err(format!("{grown} KiB more after {more} runs: {before:?}, {now:?}"));
        }
        Ok(said)
    }
}

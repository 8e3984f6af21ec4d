//! The workers' output, byte for byte: the logs of those that flood hold nothing but their lines and their
//! handshake.

use crate::fleet::Fleet;
use crate::shared::{Shared, lock};
use gob_protocol::name::encode_safe;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

/// Checks every log of the workers that flood.
pub fn check(shared: &Shared, fleet: &Mutex<Fleet>) -> Result<(), String> {
    for name in lock(fleet).flooding() {
        let dir = shared.gob.state_dir().join("logs").join(encode_safe(&name));
        // A worker that never ran, or was removed, has none.
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.to_string_lossy().contains(".stdout.log") {
                lines(&path)?;
            }
        }
    }
    Ok(())
}

/// Rotation and dropped output cut lines anywhere, so that only the bytes of a line are known.
fn lines(path: &Path) -> Result<(), String> {
    // Rotation takes it away at any time.
    let Ok(bytes) = fs::read(path) else { return Ok(()) };
    for line in bytes.split(|byte| *byte == b'\n') {
        let is_flood = line.iter().all(|byte| *byte == b'x');
        let text = String::from_utf8_lossy(line);
        if !is_flood && !text.contains("\"ready\":true") {
            return Err(format!("{}: a line that its worker never wrote: {text:.200}", path.display()));
        }
    }
    Ok(())
}

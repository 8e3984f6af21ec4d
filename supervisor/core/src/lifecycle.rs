//! How a worker moves from phase to phase: the table in ARCHITECTURE.md.
//!
//! | file | columns |
//! |---|---|
//! | `up` | spawned, failed |
//! | `readiness` | ready, never ready, start timeout, probed |
//! | `stop` | stop, restart |
//! | `ask` | half and end of the grace, the answer to a stop by HTTP |
//! | `down` | exited, swept |
//! | `sweep` | what a sweep comes to |
//! | `foreign` | who holds the graph without gob; stop and restart of that |
//! | `liveness` | probed, `WATCHDOG=1` |
//! | `unfit` | what is known of the graph on disk does not fit |
//! | `rest` | due for the next try; external |
//! | `answers` | what those hear who wait |

mod answers;
mod ask;
mod down;
mod foreign;
mod liveness;
mod readiness;
mod rest;
mod stop;
mod sweep;
mod unfit;
mod up;

pub(crate) use foreign::{Looking, held_by};
pub(crate) use sweep::survived;
pub(crate) use unfit::to_begin_anew;

use crate::Core;
use crate::io::RunKey;
use crate::worker::Worker;

impl Core {
    /// The worker, if this is its latest run: what is said of an older one is too late to matter.
    fn current(&mut self, key: &RunKey) -> Option<&mut Worker> {
        self.workers.get_mut(&key.name).filter(|worker| worker.run == key.run)
    }
}

//! Sockets that workers were given and that somebody took away: which worker is told.
//!
//! It is told by SIGURG, which harms nobody: by default it is ignored. A worker that is ending takes its socket away by
//! itself, and one without a process has none yet.

use crate::io::{Effect, RunKey};
use crate::plan::{SOCKET_SUFFIX, takes_socket};
use crate::worker::{Phase, Worker};
use crate::{Core, Lost};
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::Name;
use gob_protocol::name::decode_safe;

/// What a worker hears when its socket is gone.
const SIGNAL: &str = "SIGURG";

impl Core {
    pub(crate) fn sockets_lost(&mut self, lost: &Lost) {
        let concerned: Vec<RunKey> = match lost {
            Lost::Any => self.workers.values().filter(|worker| listens(worker)).map(Worker::key).collect(),
            Lost::Files(files) => {
                let workers = files.iter().filter_map(|file| self.worker_on(file));
                workers.filter(|worker| listens(worker)).map(Worker::key).collect()
            }
        };
        let signals = concerned.into_iter().map(|key| Effect::Signal {
            key,
            signal: String::from(SIGNAL),
            asked_by: None,
        });
        self.out.extend(signals);
    }

    /// The worker whose socket has this file name. Sockets come and go with every run, so none but those of long names,
    /// which their files don't tell, cost a look at all workers.
    fn worker_on(&self, file: &str) -> Option<&Worker> {
        let stem = file.strip_suffix(SOCKET_SUFFIX)?;
        let paths = &self.config.paths;
        if paths.is_cut(stem) {
            return self.workers.values().find(|worker| paths.socket_file(&worker.name) == file);
        }
        self.workers.get(&Name::any(&decode_safe(stem)?).ok()?)
    }
}

/// Whether the worker has a process that may listen on the socket that it was given.
fn listens(worker: &Worker) -> bool {
    let lives = match &worker.phase {
        Phase::Starting { pid } => pid.is_some(),
        Phase::Ready { .. } | Phase::Unhealthy { .. } => true,
        Phase::Idle | Phase::Failed | Phase::Ceded | Phase::External(_) | Phase::Backoff => false,
        Phase::Ending(_) => false,
    };
    lives && takes_socket(&worker.kind)
}

//! Lost sockets of workers, and the workers that are notified.
//!
//! The notification is SIGURG, which harms no program: by default it is ignored. A worker that is ending takes its socket away by
//! itself, and one without a process has none yet.

use crate::io::Effect;
use crate::parts::Lost;
use crate::paths::SOCKET_SUFFIX;
use crate::state::Core;
use crate::worker::Worker;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::Name;
use gob_protocol::name::decode_safe;

/// The signal for a worker whose socket is gone.
const SIGNAL: &str = "SIGURG";

impl Core {
    pub(crate) fn sockets_lost(&mut self, lost: &Lost) {
        let concerned: Vec<&Worker> = match lost {
            Lost::Any => self.workers.values().collect(),
            Lost::Files(files) => files.iter().filter_map(|file| self.worker_on(file)).collect(),
        };
        let concerned = concerned.into_iter().filter(|worker| listens(worker)).map(Worker::key);
        for key in concerned.collect::<Vec<_>>() {
            self.cx.push(Effect::Signal { key, signal: String::from(SIGNAL), asked_by: None });
        }
    }

    /// The worker whose socket has this file name. Sockets come and go with every run, so none but those of long names,
    /// which their files don't tell, cost a pass over all workers.
    fn worker_on(&self, file: &str) -> Option<&Worker> {
        let stem = file.strip_suffix(SOCKET_SUFFIX)?;
        let paths = &self.cx.setup.paths;
        if paths.is_cut(stem) {
            return self.workers.values().find(|worker| paths.socket_file(&worker.name) == file);
        }
        self.workers.get(&Name::any(&decode_safe(stem)?).ok()?)
    }
}

/// Tells whether the worker has a process that may listen on its socket.
fn listens(worker: &Worker) -> bool {
    let lives = worker.live().is_some_and(|run| run.end().is_none() && run.pid().is_some());
    lives && worker.spec.policy.takes_socket()
}

//! Getting a run its process: directories, port, pipes, and the watch on its output.

use super::Shell;
use crate::files;
use crate::graph_lock::{HeldLock, NoLock};
use crate::output::{Pattern, Pipes, Watch, Watches};
use crate::readiness::with_port;
use crate::runs::SpawnFailure;
use crate::sys::fds;
use gob_core::{Input, SpawnPlan};
use gob_protocol::handshake::HandshakeReader;
use gob_protocol::kind::Check;

impl Shell {
    pub(super) fn spawn(&mut self, plan: &SpawnPlan) -> Input {
        let key = plan.key.clone();
        match self.try_spawn(plan) {
            Ok((pid, port)) => Input::Spawned { key, pid, port },
            Err(NoLock::Held(holder)) => {
                tracing::warn!(worker = %key.name, run = key.run, pid = holder.pid, path = %holder.path, "held");
                Input::Held { key, holder }
            }
            Err(NoLock::Failed(SpawnFailure { errno, message })) => {
                tracing::warn!(worker = %key.name, run = key.run, %message, "cannot start");
                Input::SpawnFailed { key, errno, message }
            }
        }
    }

    fn try_spawn(&mut self, plan: &SpawnPlan) -> Result<(i32, Option<u16>), NoLock> {
        for dir in &plan.make_dirs {
            files::make_private_dirs(dir.as_ref())
                .map_err(|e| SpawnFailure::io(&format!("make directory {dir}"), &e))?;
        }
        // First of all: without it, what lies there is somebody else's.
        let lock = plan.lock.as_ref().map(HeldLock::take).transpose()?;
        if let Some(socket) = &plan.stale_socket {
            files::remove_stale_socket(socket.as_ref());
        }
        let pipe = || fds::pipe().map_err(|e| SpawnFailure::io("make pipe", &e));
        let ((stdout, stdout_end), (stderr, stderr_end)) = (pipe()?, pipe()?);
        let port = if plan.needs_port {
            Some(self.ports.give().map_err(|e| SpawnFailure::io("find a free port", &e))?)
        } else {
            None
        };
        let ready = watch(&plan.check)?;
        let well = plan.liveness.as_ref().map_or(Ok(None), watch)?;
        let filled = port.map(|port| with_port(plan, port));
        let fd = lock.as_ref().map(HeldLock::fd);
        let leader = self.runs.spawn(filled.as_ref().unwrap_or(plan), (&stdout_end, &stderr_end), fd)?;
        if let Some((held, lock)) = lock.zip(plan.lock.as_ref()) {
            held.hand_over(lock, leader);
        }
        let pipes = Pipes { stdout: Some(stdout), stderr: Some(stderr) };
        if let Some(port) = port {
            self.ports.keep(plan.key.clone(), port);
        }
        let tap = self.output.attach(plan.key.clone(), pipes, Watches { ready, well });
        self.taps.insert(plan.key.clone(), tap);
        Ok((leader.pid, port))
    }
}

/// What is to be looked for in a run's output.
fn watch(check: &Check) -> Result<Option<Box<dyn Watch>>, SpawnFailure> {
    Ok(match check {
        Check::None | Check::Notify | Check::Http { .. } | Check::Connect { .. } | Check::Delay { .. } => {
            None
        }
        Check::Log { pattern, stream } => {
            let pattern = Pattern::new(pattern, *stream);
            Some(Box::new(pattern.map_err(|message| SpawnFailure { errno: "EINVAL".to_owned(), message })?))
        }
        Check::Handshake => Some(Box::new(HandshakeReader::default())),
    })
}

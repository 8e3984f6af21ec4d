//! Gives a prepared run its process: pipes, and the watch on its output.

use super::Shell;
use super::prepare::{Preparing, refused};
use crate::output::{Pattern, Pipes, Watch, Watches};
use crate::program;
use crate::runs::Place;
use crate::sys::fds;
use gob_config::kind::Check;
use gob_core::{Input, RunKey, SpawnFailure, SpawnPlan, SpawnStep};
use gob_protocol::handshake::HandshakeReader;
use nix::errno::Errno;
use std::sync::Arc;

impl Shell {
    /// Writes the record of the graph that a run serves.
    pub(super) fn remember(&self, key: &RunKey) {
        if let Some(held) = self.runs.lock(key) {
            let path = held.path().to_owned();
            self.disks.begin(&path.clone(), vec![path], move |_| held.served().begin());
        }
    }

    /// Writes the record of the graph whose run was asked to end, where it can be written before the end: then the lock can be
    /// let go as soon as nothing is left of the run.
    pub(super) fn remember_end(&self, key: &RunKey) {
        let Some(held) = self.runs.lock(key).filter(|held| held.served().begins_to_leave()) else { return };
        let path = held.path().to_owned();
        self.disks.begin(&path.clone(), vec![path], move |_| held.served().leave());
    }

    pub(super) fn spawn(&mut self, preparing: &Preparing, place: Place) -> Input {
        let Preparing { plan, port, .. } = preparing;
        let key = plan.key.clone();
        match self.try_spawn(plan, *port, &place) {
            Ok(pid) => {
                self.programs.begin(key.clone(), place.form);
                Input::Spawned { key, pid, port: *port, new: place.new }
            }
            Err(failure) => {
                self.let_go(place.lock);
                refused(key, failure.into())
            }
        }
    }

    fn try_spawn(&mut self, plan: &SpawnPlan, port: Option<u16>, place: &Place) -> Result<i32, SpawnFailure> {
        let pipe = || fds::pipe().map_err(|e| program::failure(SpawnStep::Pipe, &e));
        let ((stdout, stdout_end), (stderr, stderr_end)) = (pipe()?, pipe()?);
        let ready = watch(&plan.check)?;
        let well = plan.liveness.as_ref().map_or(Ok(None), watch)?;
        let leader = self.runs.spawn(plan, (&stdout_end, &stderr_end), place)?;
        if let Some((held, lock)) = place.lock.as_ref().zip(plan.lock.clone()) {
            let held = Arc::clone(held);
            self.disks.begin(&lock.path.clone(), vec![lock.path.clone()], move |_| held.note(&lock, leader));
        }
        let pipes = Pipes { stdout: Some(stdout), stderr: Some(stderr) };
        if let Some(port) = port {
            self.ports.keep(plan.key.clone(), port);
        }
        let tap = self.output.attach(plan.key.clone(), pipes, Watches { ready, well });
        self.taps.insert(plan.key.clone(), tap);
        Ok(leader.pid)
    }
}

/// Returns the watch for a run's output, if its check needs one.
fn watch(check: &Check) -> Result<Option<Box<dyn Watch>>, SpawnFailure> {
    Ok(match check {
        Check::None | Check::Notify | Check::Http { .. } | Check::Connect { .. } | Check::Delay { .. } => {
            None
        }
        Check::Log { pattern, stream } => {
            let pattern = Pattern::new(pattern, *stream);
            Some(Box::new(pattern.map_err(|flaw| program::because(SpawnStep::Pattern(flaw), Errno::EINVAL))?))
        }
        Check::Handshake => Some(Box::new(HandshakeReader::default())),
    })
}

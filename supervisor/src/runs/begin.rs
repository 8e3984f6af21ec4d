//! The begin of a run: its process, its tag, its line in the journal.

use super::end::empty_group;
use super::run::Run;
use super::{Place, Runs};
use crate::cgroups::Cgroups;
use crate::program;
use crate::sys::closing;
use crate::sys::fds;
use crate::sys::kernel::Kernel;
use crate::sys::spawn::{ChildStep, LOCK_FD, Limit, SECOND_FD, SpawnError, Spec, Started};
use crate::sys::tag::Tag;
use crate::upgrade::{Candidate, Tester};
use gob_core::{SpawnFailure, SpawnPlan, SpawnStep};
use gob_protocol::ProcessId;
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

impl<K: Kernel> Runs<K> {
    /// Starts a run's process with these ends of its output pipes. Its whole tree inherits its locks.
    ///
    /// # Errors
    /// The step that failed, on what, and why. There is no process then.
    pub(crate) fn spawn(
        &mut self,
        plan: &SpawnPlan,
        (stdout, stderr): (&OwnedFd, &OwnedFd),
        place: &Place,
    ) -> Result<ProcessId, SpawnFailure> {
        let Place { lock, program, cwd, form: _, new: _ } = place;
        let argv = program::c_strings(plan.command.iter().cloned())?;
        let envp = program::c_strings(plan.env.iter().map(|(name, value)| format!("{name}={value}")))?;
        let limits: Option<Vec<Limit>> =
            plan.rlimits.iter().map(|(name, value)| Limit::new(name, *value)).collect();
        let limits = limits.ok_or_else(|| program::because(SpawnStep::LimitName, Errno::EINVAL))?;
        let tag = self.tags.next();
        let cgroup = self.cgroups.as_ref().and_then(|cgroups| cgroups.make(&self.reach.kernel, tag));
        let spec = Spec {
            program,
            argv: &argv,
            envp: &envp,
            cwd: cwd.as_fd(),
            stdin: self.null.as_fd(),
            stdout: stdout.as_fd(),
            stderr: stderr.as_fd(),
            umask: plan.umask,
            nice: plan.nice,
            open_files: self.open_files,
            tag,
            limits: &limits,
            cgroup: cgroup.as_ref().map(File::as_fd),
            lock: lock.as_ref().map(|lock| lock.fd()),
            second_lock: lock.as_ref().and_then(|lock| lock.second_fd()),
            close_first: closing::is_quick(),
        };
        let started = self.reach.kernel.spawn(&spec).map_err(|error| {
            if let Some(cgroups) = self.cgroups.as_ref().filter(|_| cgroup.is_some()) {
                empty_group(cgroups, &self.reach.kernel, tag);
            }
            failure(&error, plan, program)
        })?;
        if let Some(cgroups) = self.cgroups.as_mut().filter(|_| cgroup.is_some() && !started.in_cgroup) {
            Cgroups::refuse(cgroups, &self.reach.kernel, tag);
        }
        Ok(self.add(plan, place, tag, started))
    }

    /// Starts a program on a state that it is to judge. It is no run's: no sweep ends it, and its end is nobody's.
    ///
    /// # Errors
    /// When there is no process.
    pub(crate) fn spawn_trial(
        &mut self,
        candidate: &Candidate,
        state: &File,
    ) -> io::Result<Tester<K::Handle>> {
        let (said, says) = fds::pipe()?;
        fds::do_not_block(&said)?;
        let (hears, again) = fds::pipe()?;
        let root = File::open("/")?;
        let argv = [candidate.path.as_str(), "--try-state", &LOCK_FD.to_string()].map(CString::new);
        let argv: Result<Vec<CString>, _> = argv.into_iter().collect();
        let program = CString::new(format!("/proc/self/fd/{SECOND_FD}"))?;
        let tag = self.tags.next();
        let started = self.reach.kernel.spawn(&Spec {
            program: &program,
            argv: &argv?,
            envp: &[],
            cwd: root.as_fd(),
            stdin: hears.as_fd(),
            stdout: says.as_fd(),
            stderr: says.as_fd(),
            umask: 0o077,
            nice: None,
            open_files: self.open_files,
            tag,
            limits: &[],
            cgroup: None,
            lock: Some(state.as_fd()),
            second_lock: Some(candidate.file.as_fd()),
            close_first: closing::is_quick(),
        });
        let Started { id, pidfd, .. } = started.map_err(|error| error.source)?;
        self.by_leader.insert(id.pid, tag);
        Ok(Tester { pidfd, said, again })
    }

    /// Adds a run that has its process.
    fn add(&mut self, plan: &SpawnPlan, place: &Place, tag: Tag, started: Started<K::Handle>) -> ProcessId {
        let Started { id, pidfd, in_cgroup } = started;
        let key = plan.key.clone();
        self.by_key.insert(key.clone(), tag);
        self.by_leader.insert(id.pid, tag);
        self.journal.note(&key, id, tag);
        // A hard limit on file locks may be in the way.
        let tagged = self.reach.kernel.tag_of_anybody(id.pid) == Some(tag.0);
        if !tagged {
            tracing::warn!(
                worker = %key.name, run = key.run,
                "its processes can't be marked (a hard limit on file locks?); its tree is known by its parents"
            );
        }
        let run = Run {
            key,
            tagged,
            leader: id.pid,
            start_time: id.start_time,
            pidfd,
            lock: place.lock.clone(),
            tag,
            reaped: false,
            asked: None,
            group_asked: false,
            lingering: None,
            sweeping: false,
            grouped: in_cgroup,
            ending: None,
        };
        self.by_tag.insert(tag, run);
        if self.journal.is_large() {
            self.journal.shrink(self.by_tag.values().map(|run| (&run.key, run.id(), run.tag)));
        }
        id
    }
}

/// Returns the step that failed, with the file that it was about.
fn failure(error: &SpawnError, plan: &SpawnPlan, program: &CStr) -> SpawnFailure {
    let SpawnError { step, source } = error;
    let program = program.to_string_lossy().into_owned();
    let step = match *step {
        ChildStep::Chdir => SpawnStep::Chdir { path: plan.cwd.clone() },
        ChildStep::Exec => {
            let flaw = program::exec_flaw(&Path::new(&plan.cwd).join(&program), source);
            SpawnStep::Exec { program, flaw }
        }
        ChildStep::Other(step) => SpawnStep::Fork { step, program },
    };
    program::failure(step, source)
}

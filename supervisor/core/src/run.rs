//! One run of a worker, from the moment that it is wanted until nothing of it is left. All of it dies with it; what others
//! still see of it afterwards is its [`Shown`].

mod shown;

use crate::cx::Cx;
use crate::ids::{Now, RunKey};
use crate::io::Effect;
use crate::parts::{Orphan, PORT_MARK};
use crate::stage::{At, Awaited, End, Stage};
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use gob_protocol::view::Port;
use gob_protocol::{Exit, State, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use shown::Shown;

/// A change may be held back for so long. A starting run that is chatty does not drive everything else out of the ring, and
/// the end of a leader is published together with the end of its tree.
const TELL_MS: u64 = 100;

/// A sweep that takes longer than this is reported to those who wait for it; it goes on.
const SWEEP_MS: u64 = 5_000;

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) key: RunKey,
    stage: Stage,
    /// Its leader, from the moment that it has one. [`Run::pid`] says whether it is alive.
    leader: Option<i32>,
    /// The port that it was given.
    pub(crate) port: Option<u16>,
    /// As long as its port is not known and its plan leaves room for it.
    marked: Option<Box<Marked>>,
    /// There was nothing of its graph before.
    pub(crate) is_new: bool,
    /// Where it is reached, once it was ready.
    pub(crate) endpoint: Option<Arc<str>>,
    /// It reported its endpoint itself, or was seen to listen there.
    pub(crate) endpoint_is_its_own: bool,
    /// Ports on which its tree listens, where that was found out.
    pub(crate) ports: Vec<Port>,
    /// The looks at its ports that are over; `None` when no more is waited for.
    #[serde(default)]
    pub(crate) looks: Option<u8>,
    /// Another program lies where its own lay when it began.
    #[serde(default)]
    pub(crate) program_changed: bool,
    /// When it became ready.
    pub(crate) ready_mono_ms: Option<u64>,
    /// Time of the latest event with its own status while it starts.
    told_mono_ms: Option<u64>,
    /// Changes that are in no event yet; views leave them out until one has them.
    held: Held,
    /// How often it found the graph's lock busy without a process that has it.
    pub(crate) busy_locks: usize,
    /// Workers that gob did not start are ended in its favour, or were.
    pub(crate) eviction: Option<Eviction>,
    /// A probe of it is under way.
    pub(crate) probing: bool,
    pub(crate) health: Health,
    /// The last lines that it wrote, once it is swept.
    pub(crate) last_lines: Vec<String>,
    pub(crate) shown: Shown,
}

/// Program, arguments and directory of a run with [`PORT_MARK`] in the port's place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Marked {
    command: Arc<[String]>,
    cwd: Arc<str>,
}

/// Changes that are held back for [`TELL_MS`], so that one that does not last costs no event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Held {
    /// The words of a starting run about itself.
    status: Option<String>,
    /// The end of the leader of a run that was asked to end, and when that was.
    exit: Option<(Exit, Timestamp)>,
}

/// The end of workers without gob, where their kind says so: asked first, then killed, and examined once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Eviction {
    /// The processes that have not ended yet; none of them are left when it is over.
    pub(crate) left: Vec<Orphan>,
    /// They were killed, not only asked.
    pub(crate) is_killing: bool,
}

/// The health of a run, as its probes have seen it since its present stage began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Health {
    /// Failures in a row.
    pub(crate) failures: u32,
    /// Successes in a row.
    pub(crate) successes: u32,
    /// It was heard of since the last probe.
    pub(crate) heard: bool,
    /// When probes began to look whether it is ready.
    pub(crate) since_ms: u64,
    /// Its own idea of how often it is to be heard of.
    pub(crate) watchdog_ms: Option<u64>,
}

impl Health {
    /// Counts one more answer.
    pub(crate) fn counts(&mut self, is_well: bool) {
        (self.failures, self.successes) = if is_well {
            (0, self.successes.saturating_add(1))
        } else {
            (self.failures.saturating_add(1), 0)
        };
    }
}

/// Program, directory and logs of a run, as its plan has them.
#[derive(Debug)]
pub(crate) struct Outline {
    pub(crate) command: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) logs: [String; 2],
}

impl Run {
    /// A run that begins. Its view has nothing of the run before, not even that one's end.
    pub(crate) fn new(key: RunKey, outline: Outline) -> Self {
        let Outline { command, cwd, logs: [stdout, stderr] } = outline;
        let shown =
            Shown { stdout_path: Some(stdout.into()), stderr_path: Some(stderr.into()), ..Shown::default() };
        let marked = Some(Box::new(Marked { command: command.into(), cwd: cwd.into() }));
        let mut run = Self {
            key,
            stage: Stage::Looking,
            leader: None,
            port: None,
            marked,
            is_new: false,
            endpoint: None,
            endpoint_is_its_own: false,
            ports: Vec::new(),
            looks: None,
            program_changed: false,
            ready_mono_ms: None,
            told_mono_ms: None,
            held: Held::default(),
            busy_locks: 0,
            eviction: None,
            probing: false,
            health: Health::default(),
            last_lines: Vec::new(),
            shown,
        };
        run.show_port(None);
        run
    }

    pub(crate) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The end of a run that is on its way down.
    pub(crate) const fn end(&self) -> Option<&End> {
        match &self.stage {
            Stage::Ending(end) => Some(end),
            Stage::Looking | Stage::Preparing | Stage::Starting | Stage::Ready | Stage::Unhealthy => None,
        }
    }

    /// The end of a run that is on its way down, except for [`End::at`], which [`Run::comes_to`] changes.
    pub(crate) const fn end_mut(&mut self) -> Option<&mut End> {
        match &mut self.stage {
            Stage::Ending(end) => Some(end),
            Stage::Looking | Stage::Preparing | Stage::Starting | Stage::Ready | Stage::Unhealthy => None,
        }
    }

    /// Its leader, while that is alive.
    pub(crate) const fn pid(&self) -> Option<i32> {
        match &self.stage {
            Stage::Looking | Stage::Preparing => None,
            Stage::Starting | Stage::Ready | Stage::Unhealthy => self.leader,
            Stage::Ending(end) => match end.at {
                At::Asked | At::Killing => self.leader,
                At::CallingOff { .. } | At::Lingering(_) | At::Sweeping(_) | At::Finishing(_) => None,
                At::Examining(_) => None,
            },
        }
    }

    /// Its leader as it is shown: one that has just ended is shown until that is told.
    pub(crate) const fn shown_pid(&self) -> Option<i32> {
        if self.held.exit.is_some() { self.leader } else { self.pid() }
    }

    /// Notes its own status; true when it is to be published at once.
    pub(crate) fn says(&mut self, status: String, cx: &mut Cx) -> bool {
        let latest = self.held.status.as_ref().or(self.shown.reason.as_ref());
        if latest == Some(&status) {
            return false;
        }
        self.held.status = Some(status);
        let next = self.told_mono_ms.map_or(0, |at| at.saturating_add(TELL_MS));
        if next > cx.now.mono_ms {
            cx.timers.arm(Timer::Tell(self.key.name.clone()), next);
            return false;
        }
        self.told_mono_ms = Some(cx.now.mono_ms);
        self.show_held(cx);
        true
    }

    /// Notes the end of its leader, to be published after a short delay or with the next change.
    pub(crate) fn loses_leader(&mut self, exit: Exit, cx: &mut Cx) {
        self.held.exit = Some((exit, cx.now.wall));
        cx.arm(Timer::Tell(self.key.name.clone()), TELL_MS);
    }

    /// Shows whatever was held back, for an event that tells it; false when that is nothing.
    pub(crate) fn show_held(&mut self, cx: &mut Cx) -> bool {
        cx.timers.cancel(&Timer::Tell(self.key.name.clone()));
        let Held { status, exit } = core::mem::take(&mut self.held);
        let is_any = status.is_some() || exit.is_some();
        if status.is_some() {
            self.shown.reason = status;
        }
        if let Some((exit, at)) = exit {
            (self.shown.exit, self.shown.stopped_at) = (Some(exit), Some(at));
        }
        is_any
    }

    /// It is time to tell what was held back; false when that is nothing.
    pub(crate) fn tells_held(&mut self, cx: &mut Cx) -> bool {
        self.told_mono_ms = Some(cx.now.mono_ms);
        self.show_held(cx)
    }

    pub(crate) const fn state(&self) -> State {
        match &self.stage {
            Stage::Looking | Stage::Preparing | Stage::Starting => State::Starting,
            Stage::Ready => State::Ready,
            Stage::Unhealthy => State::Unhealthy,
            Stage::Ending(_) => State::Stopping,
        }
    }

    /// Tells whether it serves clients.
    pub(crate) const fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Ready | Stage::Unhealthy)
    }

    /// Tells whether its spawn is under way, wanted or not.
    pub(crate) const fn awaits_spawn(&self) -> bool {
        match &self.stage {
            Stage::Preparing => true,
            Stage::Ending(end) => matches!(end.at, At::CallingOff { awaited: Awaited::Spawned, .. }),
            Stage::Looking | Stage::Starting | Stage::Ready | Stage::Unhealthy => false,
        }
    }

    /// How long it has been ready; `None` when it never was.
    pub(crate) fn was_ready_ms(&self, now_ms: u64) -> Option<u64> {
        self.ready_mono_ms.map(|at| now_ms.saturating_sub(at))
    }

    /// Tells whether processes without gob are being ended in its favour.
    pub(crate) fn is_evicting(&self) -> bool {
        self.eviction.as_ref().is_some_and(|eviction| !eviction.left.is_empty())
    }

    /// Tells whether it has had a process and never was ready.
    pub(crate) const fn was_never_ready(&self) -> bool {
        self.leader.is_some() && self.ready_mono_ms.is_none()
    }

    /// Notes its leader and its port.
    pub(crate) fn gets_process(&mut self, leader: i32, port: Option<u16>, now: Now) {
        (self.leader, self.port) = (Some(leader), port);
        (self.shown.pid, self.shown.began_mono_ms) = (Some(leader), Some(now.mono_ms));
        self.shown.started_at = Some(now.wall);
        self.show_port(port);
        self.marked = None;
    }

    /// Notes the end of its leader.
    pub(crate) fn lasted(&mut self, now: Now) {
        self.shown.lasted_ms = self.shown.began_mono_ms.map(|began| now.mono_ms.saturating_sub(began));
    }

    /// Shows the port where its plan left room for it.
    fn show_port(&mut self, port: Option<u16>) {
        let Some(Marked { command, cwd }) = self.marked.as_deref() else { return };
        let is_marked = |text: &str| text.contains(PORT_MARK);
        if !command.iter().any(|arg| is_marked(arg)) && !is_marked(cwd) {
            (self.shown.command, self.shown.cwd) = (Arc::clone(command), Some(Arc::clone(cwd)));
            self.marked = None;
            return;
        }
        let port = port.map_or_else(|| "{port}".into(), |port| port.to_string());
        let fill = |text: &str| text.replace(PORT_MARK, &port);
        self.shown.command = command.iter().map(|arg| fill(arg)).collect();
        self.shown.cwd = Some(fill(cwd).into());
    }

    /// Enters a stage. Deadlines and probes that belong to the one before end with it.
    pub(crate) fn enter(&mut self, stage: Stage, cx: &mut Cx) {
        self.stage = stage;
        self.keep_deadlines(cx);
    }

    /// Has an ending run come this far.
    pub(crate) fn comes_to(&mut self, at: At, cx: &mut Cx) {
        if let Stage::Ending(end) = &mut self.stage {
            end.at = at;
            self.keep_deadlines(cx);
        }
    }

    /// Cancels the deadlines that its stage has no use for.
    fn keep_deadlines(&mut self, cx: &mut Cx) {
        let stage = &self.stage;
        let keeps = |timer: &Timer| match stage {
            Stage::Looking => matches!(timer, Timer::Start(_) | Timer::Evict(_)),
            Stage::Preparing => matches!(timer, Timer::Start(_)),
            Stage::Starting => {
                matches!(timer, Timer::Start(_) | Timer::Delay(_) | Timer::Tell(_) | Timer::Probe(_))
            }
            Stage::Ready | Stage::Unhealthy => matches!(timer, Timer::Probe(_) | Timer::Idle(_)),
            Stage::Ending(end) => match &end.at {
                At::CallingOff { .. } => matches!(timer, Timer::Kill(_) | Timer::Then(_) | Timer::Evict(_)),
                At::Asked => matches!(timer, Timer::Kill(_) | Timer::Then(_)),
                At::Lingering(_) => matches!(timer, Timer::Kill(_) | Timer::Then(_) | Timer::Tell(_)),
                At::Killing => matches!(timer, Timer::Sweep(_)),
                At::Sweeping(_) => matches!(timer, Timer::Sweep(_) | Timer::Tell(_)),
                At::Finishing(_) => matches!(timer, Timer::Tell(_)),
                At::Examining(_) => matches!(timer, Timer::Tell(_) | Timer::Evict(_)),
            },
        };
        for timer in Timer::of_run(&self.key.name).iter().filter(|timer| !keeps(timer)) {
            cx.timers.cancel(timer);
        }
        if !matches!(self.stage, Stage::Starting) && !self.is_up() {
            self.stops_probes(cx);
        }
    }

    /// Ends its probe, and those that were to follow.
    pub(crate) fn stops_probes(&mut self, cx: &mut Cx) {
        cx.timers.cancel(&Timer::Probe(self.key.name.clone()));
        if core::mem::take(&mut self.probing) {
            cx.push(Effect::EndProbe { key: self.key.clone() });
        }
    }

    /// Has whatever is left of it killed.
    pub(crate) fn sweep(&self, cx: &mut Cx) {
        cx.arm(Timer::Sweep(self.key.name.clone()), SWEEP_MS);
        cx.push(Effect::Sweep { key: self.key.clone() });
    }
}

#[cfg(test)]
impl Run {
    pub(crate) const fn holds_back(&self) -> bool {
        self.held.status.is_some() || self.held.exit.is_some()
    }
}

//! The plan of a run: program, arguments, environment and directories (docs/CONFIGURATION.md).

use crate::ids::RunKey;
use crate::making::{Making, Subject};
use crate::parts::{ExaminePlan, PORT_MARK, PortWish, SpawnPlan};
use crate::paths::notify_socket;
use crate::setup::Setup;
use crate::spec::needs_port;
use crate::target::Target;
use alloc::format;
use alloc::string::{String, ToString};
use gob_config::kind::{Check, HttpPort};
use gob_config::placeholder::filled;
use gob_protocol::Timestamp;
use gob_protocol::logindex::{Stream, log_path};

/// The variables by which a job of the queue knows itself.
const JOB_ID: &str = "GOB_JOB_ID";
const ATTEMPT: &str = "GOB_ATTEMPT";

impl Subject<'_> {
    /// Makes the plan of the run.
    pub(crate) fn plan(&self, setup: &Setup, wall: Timestamp) -> SpawnPlan {
        let paths = &setup.paths;
        let Making { command, cwd, make_dirs, stale_socket, umask, lock } = self.making(setup, wall);
        let values = self.values(setup, PORT_MARK.into());
        let kind = &self.spec.policy;
        let mut env = self.spec.passes(self.spec.env.as_deref().unwrap_or(&setup.base_env));
        for (name, value) in &kind.env {
            env.set(name, filled(value, |name| values.get(name).cloned()));
        }
        env.set("GOB_NAME", self.name.as_str());
        env.set("GOB_RUN", self.run.to_string());
        env.set("GOB_SOCKET", &*paths.socket);
        env.set("GOB_INSTANCE", &*setup.server.instance);
        for name in [JOB_ID, ATTEMPT] {
            env.remove(name);
        }
        let queued = self.spec.queued();
        if let Some(queued) = queued {
            env.set(JOB_ID, queued.id.as_str());
            env.set(ATTEMPT, queued.attempt.to_string());
        }
        let lane = queued.and_then(|queued| setup.settings.lanes.get(queued.lane.as_str()));
        env.remove("GOB_OWNER");
        env.remove("NOTIFY_SOCKET");
        let watchdog = kind.liveness.as_ref().filter(|liveness| liveness.check == Check::Notify);
        if kind.readiness.check == Check::Notify || watchdog.is_some() {
            env.set("NOTIFY_SOCKET", notify_socket(&paths.runtime_dir));
        }
        env.remove("WATCHDOG_USEC");
        if let Some(liveness) = watchdog {
            env.set("WATCHDOG_USEC", liveness.interval_ms.saturating_mul(1_000).to_string());
        }
        SpawnPlan {
            key: RunKey { name: self.name.clone(), run: self.run },
            command,
            cwd,
            make_dirs,
            stale_socket,
            env,
            umask,
            nice: lane.and_then(|lane| lane.nice),
            check: kind.readiness.check.clone(),
            liveness: kind.liveness.as_ref().map(|liveness| liveness.check.clone()),
            rlimits: kind.rlimits.iter().map(|(name, value)| (name.clone(), *value)).collect(),
            lock,
            port: self.port_wish(),
            after_ms: 0,
        }
    }

    /// The port to give to the run; `None` where its policy has no use for one. A port that a run was ready on is wished for
    /// again, so that the worker's clients find it where it was.
    fn port_wish(&self) -> Option<PortWish> {
        let kind = &self.spec.policy;
        needs_port(kind).then(|| match (kind.port, self.last_port) {
            (Some(port), _) => PortWish::Only(port),
            (None, Some(port)) => PortWish::Rather(port),
            (None, None) => PortWish::Any,
        })
    }

    /// The file that a stream of the run is written to.
    pub(crate) fn log_path(&self, setup: &Setup, stream: Stream) -> String {
        format!("{}/logs/{}", setup.paths.state_dir, log_path(self.name, self.run, stream))
    }

    /// How the shell finds the processes that hold the graph without gob. Nothing holds a job so, and its kind has nobody look.
    pub(crate) fn examine_plan(&self, setup: &Setup, wall: Timestamp) -> ExaminePlan {
        let (kind, graph) = (&self.spec.policy, self.spec.graph());
        let health = match &kind.readiness.check {
            Check::Http { path, .. } => Some(self.filled(setup, path)),
            Check::None | Check::Handshake | Check::Notify | Check::Connect { .. } => None,
            Check::Log { .. } | Check::Delay { .. } => None,
        };
        ExaminePlan {
            lock_file: kind.foreign.lock_file.as_ref().map(|path| self.filled(setup, path)),
            command: self.making(setup, wall).command,
            graph: graph.map_or(self.name, |graph| &graph.name).to_string(),
            root_dir: graph.map_or_else(String::new, |graph| graph.root_dir.as_ref().into()),
            health,
        }
    }

    /// The target of a check that looks from outside; `None` for the others.
    pub(crate) fn target(&self, setup: &Setup, check: &Check) -> Option<Target> {
        match check {
            Check::Http { path, status, port } => {
                let port = match port {
                    HttpPort::Given => self.port,
                    HttpPort::Discover => None,
                    HttpPort::Fixed(port) => Some(*port),
                };
                Some(Target::Http { port, path: self.filled(setup, path), status: *status })
            }
            Check::Connect { address } => Some(Target::Connect { address: self.filled(setup, address) }),
            Check::None | Check::Handshake | Check::Notify | Check::Log { .. } | Check::Delay { .. } => None,
        }
    }
}

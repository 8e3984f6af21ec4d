//! Free ports for `{port}`.
//!
//! A port is free at the time of its search; if another program takes it before the worker does,
//! [`Ports::is_taken`] shows it after the worker has failed.

use gob_core::{PORT_MARK, PortWish, RunKey, SpawnPlan};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};

/// Recently given ports that are not given again: their workers may still be about to bind them.
const RECENT: usize = 256;
/// Tries for another port when a recent one comes up.
const TRIES: usize = 64;
/// The addresses on which a port must be free: a server on `localhost` may bind either of them.
const LOOPBACKS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// The given ports.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    recent: VecDeque<u16>,
    by_run: HashMap<RunKey, u16>,
}

/// The reason why a run gets no port.
#[derive(Debug)]
pub(crate) struct NoPort {
    /// The port, where no other would do.
    pub(crate) only: Option<u16>,
    /// The kernel's error.
    pub(crate) source: io::Error,
}

/// The given ports as data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PortsState {
    recent: Vec<u16>,
    by_run: Vec<(RunKey, u16)>,
}

impl Ports {
    /// Returns what another program needs to go on with it.
    pub(crate) fn hand_over(&self) -> PortsState {
        let by_run = self.by_run.iter().map(|(key, port)| (key.clone(), *port)).collect();
        PortsState { recent: self.recent.iter().copied().collect(), by_run }
    }

    /// Goes on with the ports that another program gave.
    pub(crate) fn resume(PortsState { recent, by_run }: PortsState) -> Self {
        Self { recent: recent.into(), by_run: by_run.into_iter().collect() }
    }

    /// Gives a free port to a run that may come to be.
    ///
    /// # Errors
    /// When the kernel has none, or the one requested port is not free.
    pub(crate) fn give(&mut self, wish: PortWish) -> Result<u16, NoPort> {
        match wish {
            PortWish::Only(port) => {
                free(port).map_err(|source| NoPort { only: Some(port), source })?;
                Ok(port)
            }
            PortWish::Rather(port) if free(port).is_ok() => Ok(port),
            PortWish::Rather(_) | PortWish::Any => self.any().map_err(|source| NoPort { only: None, source }),
        }
    }

    fn any(&mut self) -> io::Result<u16> {
        // Recent ones are held during the search, or the kernel might offer the same for ever.
        let mut held = Vec::new();
        for _ in 0..TRIES {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let port = listener.local_addr()?.port();
            if self.recent.contains(&port) || bind((Ipv6Addr::LOCALHOST, port).into()).is_err() {
                held.push(listener);
                continue;
            }
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(port);
            return Ok(port);
        }
        Err(ErrorKind::AddrInUse.into())
    }

    /// Notes the port of a run that has a process now; [`Ports::is_taken`] follows.
    pub(crate) fn keep(&mut self, key: RunKey, port: u16) {
        self.by_run.insert(key, port);
    }

    /// Takes a run's port back, when nothing of the run is left, and returns whether another program has it.
    pub(crate) fn is_taken(&mut self, key: &RunKey) -> bool {
        self.by_run.remove(key).is_some_and(|port| free(port).is_err())
    }
}

/// Checks that a port of the loopback interface has no listener.
fn free(port: u16) -> io::Result<()> {
    LOOPBACKS.iter().try_for_each(|ip| bind((*ip, port).into()))
}

/// Binds an address for a moment. An address of a missing family counts as free.
fn bind(address: std::net::SocketAddr) -> io::Result<()> {
    match TcpListener::bind(address) {
        Err(e) if e.raw_os_error() == Some(libc::EAFNOSUPPORT) => Ok(()),
        Err(e) if e.kind() == ErrorKind::AddrNotAvailable => Ok(()),
        bound => bound.map(drop),
    }
}

/// Returns the plan with its port filled in.
pub(crate) fn with_port(plan: &SpawnPlan, port: u16) -> SpawnPlan {
    let port = port.to_string();
    let fill = |text: &str| text.replace(PORT_MARK, &port);
    SpawnPlan {
        command: plan.command.iter().map(|arg| fill(arg)).collect(),
        cwd: fill(&plan.cwd),
        env: plan.env.iter().map(|(name, value)| (name, fill(value))).collect(),
        ..plan.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gob_protocol::Name;

    #[test]
    fn ports_are_given_once_and_taken_ones_are_seen() {
        let mut ports = Ports::default();
        let keys: Vec<RunKey> = (1..100).map(|run| RunKey { name: Name::graph("w").unwrap(), run }).collect();
        let given: std::collections::BTreeSet<u16> =
            keys.iter().map(|_| ports.give(PortWish::Any).unwrap()).collect();
        assert_eq!(given.len(), keys.len());
        assert!(ports.by_run.is_empty(), "a run that gets no process leaves nothing");
        keys.iter().zip(given).for_each(|(key, port)| ports.keep(key.clone(), port));
        let port = ports.by_run[&keys[0]];
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(ports.is_taken(&keys[0]));
        drop(taken);
        assert!(!ports.is_taken(&keys[0]), "it is told once");
        assert!(!ports.is_taken(&keys[1]));
        assert_eq!(ports.by_run.len(), keys.len() - 2);
    }

    #[test]
    fn a_requested_port_is_given_while_it_is_free() {
        let mut ports = Ports::default();
        let port = ports.give(PortWish::Any).unwrap();
        assert_eq!(ports.give(PortWish::Rather(port)).unwrap(), port);
        assert_eq!(ports.give(PortWish::Only(port)).unwrap(), port);
        for ip in LOOPBACKS {
            // A machine without IPv6 has no listener there.
            let Ok(taken) = TcpListener::bind((ip, port)) else { continue };
            assert_ne!(ports.give(PortWish::Rather(port)).unwrap(), port, "{ip}");
            let refused = ports.give(PortWish::Only(port)).unwrap_err();
            assert_eq!(refused.source.kind(), ErrorKind::AddrInUse, "{ip}");
            assert_eq!(refused.only, Some(port), "{refused:?}");
            drop(taken);
        }
    }
}

//! Free ports for `{port}`.
//!
//! A port is free when it was looked for; who takes it before the worker does is seen by [`Ports::is_taken`] after the
//! worker has failed.

use gob_core::{PORT_MARK, SpawnPlan};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, TcpListener};

use gob_core::RunKey;

/// So many ports are not given again soon: their workers may still be about to take them.
const RECENT: usize = 256;
/// So often another one is looked for when a recent one comes up.
const TRIES: usize = 64;

/// The ports that were given.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    recent: VecDeque<u16>,
    by_run: HashMap<RunKey, u16>,
}

impl Ports {
    /// Gives a free port to a run that may come to be.
    ///
    /// # Errors
    /// When the kernel has none.
    pub(crate) fn give(&mut self) -> io::Result<u16> {
        // Recent ones are held on to while looking, or the kernel might offer the same for ever.
        let mut held = Vec::new();
        for _ in 0..TRIES {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let port = listener.local_addr()?.port();
            if self.recent.contains(&port) {
                held.push(listener);
                continue;
            }
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(port);
            return Ok(port);
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// Notes which port a run was given, now that it has a process; [`Ports::is_taken`] follows.
    pub(crate) fn keep(&mut self, key: RunKey, port: u16) {
        self.by_run.insert(key, port);
    }

    /// Takes a run's port back, now that nothing of the run is left, and says whether somebody else has it.
    pub(crate) fn is_taken(&mut self, key: &RunKey) -> bool {
        let port = self.by_run.remove(key);
        port.is_some_and(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err())
    }
}

/// The plan with its port in it.
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
        let given: std::collections::BTreeSet<u16> = keys.iter().map(|_| ports.give().unwrap()).collect();
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
}

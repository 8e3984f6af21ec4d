//! The looks at a run from outside: at its program on disk, and at where it listens: when the shell looks by itself, and the meaning of what it sees.
//!
//! A run is looked at a few times after it got its process, and as often again after it became ready; from then on only
//! when a client asks (`ports`). So a worker that rests costs nothing.

use crate::cx::Cx;
use crate::io::Effect;
use crate::parts::Listener;
use crate::run::Run;
use crate::stage::Stage;
use crate::step::{Given, Step};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::limits::PORTS_SHOWN;
use gob_protocol::view::Port;
use gob_protocol::{Actor, EventKind};

/// The pause before each look.
const PAUSES_MS: [u64; 4] = [250, 750, 3_000, 11_000];

/// The run got its process, or became ready: the looks begin, or begin anew.
pub(crate) fn begin(run: &mut Run, cx: &mut Cx) -> Step {
    if run.looks != Some(0) {
        run.looks = Some(0);
        push(run, cx);
    }
    Step::Stay
}

/// A look that was due is over, whatever came of it.
pub(crate) fn next(run: &mut Run, cx: &mut Cx) -> Step {
    run.looks = run.looks.map(|done| done.saturating_add(1));
    push(run, cx);
    Step::Stay
}

/// Pushes again the look that is waited for.
pub(crate) fn resume(run: &mut Run, cx: &mut Cx) -> Step {
    push(run, cx);
    Step::Stay
}

/// Has the shell look after the next pause, if there is one.
fn push(run: &mut Run, cx: &mut Cx) {
    let pause = run.looks.and_then(|done| PAUSES_MS.get(usize::from(done))).filter(|_| listens(run));
    match pause {
        Some(after_ms) => cx.push(Effect::LookForPorts { key: run.key.clone(), after_ms: *after_ms }),
        None => run.looks = None,
    }
}

/// Tells whether a run may listen, and is not on its way down.
pub(crate) const fn listens(run: &Run) -> bool {
    matches!(run.stage(), Stage::Starting | Stage::Ready | Stage::Unhealthy)
}

/// Where the run listens was seen.
pub(crate) fn seen(run: &mut Run, cx: &mut Cx, listeners: &[Listener]) -> Step {
    let ports = shown(listeners, run.pid());
    if !listens(run) || ports == run.ports {
        return Step::Stay;
    }
    run.ports = ports;
    // An event tells all of the worker as it is.
    run.show_held(cx);
    Step::Tell(EventKind::WorkerUpdated, Actor::Supervisor)
}

/// The program of the run was looked at: another one lies there than it runs, or does no longer.
pub(crate) fn program(run: &mut Run, given: &Given<'_>, cx: &mut Cx, is_other: bool) -> Step {
    // A job of the queue is not restarted, and has a run of its own for each attempt.
    if !listens(run) || given.spec.queued().is_some() || run.program_changed == is_other {
        return Step::Stay;
    }
    run.program_changed = is_other;
    run.show_held(cx);
    Step::Tell(EventKind::WorkerUpdated, Actor::Supervisor)
}

/// The ports as a view shows them: each once, with the leader's process if it is one of several, or else the lowest.
fn shown(listeners: &[Listener], leader: Option<i32>) -> Vec<Port> {
    let mut by_port = BTreeMap::new();
    for Listener { port, protocol, pid, .. } in listeners {
        let holder = by_port.entry((*port, *protocol)).or_insert(*pid);
        if Some(*pid) == leader || (Some(*holder) != leader && pid < holder) {
            *holder = *pid;
        }
    }
    let ports = by_port.into_iter().take(PORTS_SHOWN);
    ports
        .map(|((port, protocol), pid)| Port { port, protocol: String::from(protocol.as_str()), pid })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::Transport;
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::vec;

    fn at(port: u16, protocol: Transport, address: IpAddr, pid: i32) -> Listener {
        Listener { port, protocol, address, pid }
    }

    #[test]
    fn a_view_has_each_port_once_with_the_leader_or_the_lowest_process() {
        let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
        let listeners = [
            at(80, Transport::Tcp, v4, 9),
            at(80, Transport::Tcp, v6, 5),
            at(80, Transport::Udp, v4, 9),
            at(22, Transport::Tcp, v4, 9),
            at(22, Transport::Tcp, v6, 7),
            at(22, Transport::Tcp, v6, 3),
        ];
        let of = |ports: Vec<Port>| -> Vec<_> {
            ports.into_iter().map(|port| (port.port, port.protocol, port.pid)).collect()
        };
        let all = vec![(22, "tcp".into(), 7), (80, "tcp".into(), 5), (80, "udp".into(), 9)];
        assert_eq!(of(shown(&listeners, Some(7))), all);
        assert_eq!(of(shown(&listeners, None)).first(), Some(&(22, "tcp".into(), 3)));
    }

    #[test]
    fn a_view_has_the_lowest_ports_and_not_more_than_fit() {
        let v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let listeners: Vec<_> = (1..=2_000).rev().map(|port| at(port, Transport::Tcp, v4, 1)).collect();
        let ports = shown(&listeners, Some(1));
        assert_eq!((ports.len(), ports.last().map(|port| port.port)), (PORTS_SHOWN, Some(64)));
    }
}

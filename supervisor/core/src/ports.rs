//! `ports`: who is looked at for a request, and the answer. All requests that wait share a look.

use crate::conns::{Caller, Conns};
use crate::cx::Cx;
use crate::ids::RunKey;
use crate::io::Effect;
use crate::looks;
use crate::parts::{Listener, PortsSeen};
use crate::refusals;
use crate::target::Miss;
use crate::underway::Underway;
use crate::worker::Worker;
use crate::workers::Workers;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::answer::{PortsData, WorkerPort};
use gob_protocol::limits::MAX_PORTS;
use gob_protocol::request::Ports;
use gob_protocol::{Data, Name, WireError};

/// Where the runs listen that were looked at.
type Found = Result<BTreeMap<RunKey, Vec<Listener>>, Miss>;

/// Takes a request: one about no living run is answered at once.
pub(crate) fn ask(caller: &Caller, asked: Ports, workers: &Workers, underway: &mut Underway, cx: &mut Cx) {
    if let Some(name) = asked.name.as_ref().filter(|name| workers.get(name).is_none()) {
        return cx.answer(caller, Err(refusals::not_found(name)));
    }
    let of = living(asked.name.as_ref(), workers);
    if of.is_empty() {
        return cx.answer(caller, Ok(Data::Ports(PortsData { ports: Vec::new(), more: false })));
    }
    let ticket = underway.asks_ports(caller.conn, caller.id.clone(), asked.name);
    cx.push(Effect::FindPorts { ticket, of });
}

/// Pushes again the look that requests wait for.
pub(crate) fn resume(workers: &Workers, underway: &Underway, cx: &mut Cx) {
    if let Some(ticket) = underway.awaits_ports() {
        cx.push(Effect::FindPorts { ticket, of: living(None, workers) });
    }
}

/// The shell has looked.
pub(crate) fn seen(
    seen: PortsSeen,
    workers: &mut Workers,
    conns: &Conns,
    underway: &mut Underway,
    cx: &mut Cx,
) {
    let PortsSeen { ticket, due, mut found } = seen;
    if let Ok(found) = &mut found {
        found.values_mut().for_each(|listeners| {
            listeners.sort_unstable();
            listeners.dedup_by_key(|at| (at.port, at.protocol, at.address));
        });
        found.retain(|key, _| workers.get(&key.name).is_some_and(|worker| worker.run == key.run));
        for (key, listeners) in found {
            if let Some(worker) = workers.get_mut(&key.name) {
                worker.step(cx, |run, _, cx| looks::seen(run, cx, listeners));
            }
        }
    }
    for key in due {
        if let Some(worker) = workers.get_mut(&key.name).filter(|worker| worker.run == key.run) {
            worker.step(cx, |run, _, cx| looks::next(run, cx));
        }
    }
    for asked in underway.take_ports(ticket) {
        if let Some(caller) = conns.caller(asked.conn, asked.id) {
            let answer = told(&found, asked.name.as_ref());
            cx.answer(&caller, answer);
        }
    }
}

/// The runs that may listen, of this worker or of all.
fn living(name: Option<&Name>, workers: &Workers) -> Vec<RunKey> {
    let is_meant = |worker: &&Worker| name.is_none_or(|name| worker.name == *name);
    let lives = |worker: &&Worker| worker.live().is_some_and(looks::listens);
    workers.values().filter(is_meant).filter(lives).map(Worker::key).collect()
}

fn told(found: &Found, name: Option<&Name>) -> Result<Data, Box<WireError>> {
    let found = found.as_ref().map_err(refusals::ports_unseen)?;
    let is_meant = |key: &RunKey| name.is_none_or(|name| key.name == *name);
    let of = found.iter().filter(|(key, _)| is_meant(key));
    let mut all = of.flat_map(|(key, listeners)| listeners.iter().map(|at| entry(&key.name, at)));
    let ports: Vec<_> = all.by_ref().take(MAX_PORTS).collect();
    Ok(Data::Ports(PortsData { ports, more: all.next().is_some() }))
}

fn entry(name: &Name, at: &Listener) -> WorkerPort {
    WorkerPort {
        name: name.clone(),
        port: at.port,
        protocol: String::from(at.protocol.as_str()),
        address: at.address.to_string(),
        pid: at.pid,
    }
}

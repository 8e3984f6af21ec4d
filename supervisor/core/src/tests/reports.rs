//! Facts as a shell reports them to the core: holders, records, probes, ends; and all that a late shell may still report.

use crate::failure::{Errno, SpawnFailure, SpawnStep};
use crate::target::{Answered, Miss, Missed, Target};
use crate::worker::Worker;
use crate::{
    Examined, Holder, Input, Listener, New, Note, Place, PortsSeen, RECORD_VERSION, Record, RunKey,
    Transport, Unfit,
};
use core::net::{IpAddr, Ipv4Addr};
use gob_protocol::handshake::{Handshake, HandshakeError};
use gob_protocol::{Exit, Leftover, Name, Owner, ProcessId, Receipt, Timestamp};
use std::boxed::Box;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// Processes of a worker that an earlier supervisor has left.
pub(super) fn leftovers(name: &Name, pids: &[i32]) -> impl Iterator<Item = Leftover> {
    let process = |pid: &i32| ProcessId { pid: *pid, start_time: 1 }.into();
    pids.iter().map(move |pid| Leftover { worker: Some(name.clone()), process: process(pid) })
}

/// A process of this owner that is not ours.
pub(super) fn holder(owner: &str) -> Holder {
    Holder {
        pid: 77,
        start_time: 7,
        owner: Owner::new(owner).unwrap_or_else(|_| Owner::unknown()),
        path: "/lock".into(),
        endpoint: Some("http://127.0.0.1:77".into()),
    }
}

/// The record of a graph on disk.
pub(super) fn record(graph: &Name, kind: &str, root: &str) -> Record {
    Record {
        gob_record: RECORD_VERSION,
        graph: graph.clone(),
        kind: kind.into(),
        root_dir: root.into(),
        data: Place::Dir(std::format!("{root}/{graph}")),
        owner: Owner::cli(),
        last_used_at: Timestamp(7),
        held_data: true,
    }
}

/// The answer of a probe.
pub(super) fn seen(is_well: bool) -> Result<Answered, Box<Missed>> {
    let why = Miss::Machine(Errno { name: "EPROTO".into(), text: "no answer".into() });
    let missed = Missed { target: Target::Output, why, listens: None, is_explained: true };
    if is_well { Ok(Answered::default()) } else { Err(Box::new(missed)) }
}

/// A start that failed with this errno.
pub(super) fn failed(errno: &str) -> SpawnFailure {
    SpawnFailure { step: SpawnStep::Prepare, errno: Errno { name: errno.into(), text: "late".into() } }
}

/// A socket on which a process of a worker listens.
const LISTENER: Listener =
    Listener { port: 80, protocol: Transport::Tcp, address: IpAddr::V4(Ipv4Addr::LOCALHOST), pid: 9 };

/// The inputs that a late shell may still report about a run that is over.
pub(super) fn stale_inputs(worker: &Worker) -> Vec<Input> {
    let run = if worker.is_running() { worker.run.wrapping_sub(1) } else { worker.run };
    let key = RunKey { name: worker.name.clone(), run };
    let survivors = vec![ProcessId { pid: 9, start_time: 9 }.into()];
    vec![
        Input::Spawned { key: key.clone(), pid: 9, port: None, new: New(false) },
        Input::SpawnFailed { key: key.clone(), why: failed("EAGAIN") },
        Input::CalledOff { key: key.clone() },
        Input::Ready { key: key.clone(), handshake: Handshake::default(), ports: Vec::new() },
        Input::NeverReady {
            key: key.clone(),
            error: HandshakeError::Refused("late".into()),
            last_lines: Vec::new(),
        },
        Input::Told { key: key.clone(), status: "late".into() },
        Input::Notified { key: key.clone(), note: Note { ready: true, stopping: true, ..Note::default() } },
        Input::Examined { key: key.clone(), found: Examined::Nobody },
        Input::OrphanEnded { key: key.clone(), pid: 8 },
        Input::Held { key: key.clone(), holder: holder("cli") },
        Input::Unfit {
            key: key.clone(),
            why: Unfit::Kind(Box::new(record(
                worker.spec.graph().map_or(&worker.name, |graph| &graph.name),
                "graph",
                "/data",
            ))),
        },
        // A holder may still be about to answer under the number of an earlier run.
        Input::StopAnswered { key: RunKey { name: worker.name.clone(), run: u64::MAX }, taken: false },
        Input::Probed { key: key.clone(), found: seen(false) },
        Input::Exited { key: key.clone(), exit: Exit::Code { code: 0 } },
        Input::Swept { key: key.clone(), receipt: Receipt::default() },
        Input::ReadOut { key: key.clone(), last_lines: Vec::new(), port_taken: true },
        Input::Freed { key: key.clone() },
        Input::Ports(Box::new(PortsSeen {
            ticket: 0,
            due: vec![key.clone()],
            found: Ok([(key.clone(), vec![LISTENER])].into()),
        })),
        Input::Surviving { key, receipt: Receipt { survivors, ..Receipt::default() } },
    ]
}

/// The inputs that end a run whose leader is gone.
pub(super) fn ends(key: &RunKey, receipt: Receipt, last_lines: Vec<String>, port_taken: bool) -> [Input; 3] {
    [
        Input::Swept { key: key.clone(), receipt },
        Input::ReadOut { key: key.clone(), last_lines, port_taken },
        Input::Freed { key: key.clone() },
    ]
}

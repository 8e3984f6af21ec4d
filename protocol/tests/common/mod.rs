//! Reads messages into their types and writes them again, for the document and the golden files.

use gob_protocol::answer::{
    BlameData, CreateData, EmptyData, GraphDeleteData, GraphsData, HelloData, HistoryData, ListData,
    LockAcquireData, LockBreakData, LockStatusData, NukeData, PingData, PortsData, QueueAddData,
    QueueClaimData, QueueJobData, QueueLaneData, QueueListData, ReloadData, RemovedData, RunsData,
    RunsDeleteData, ScheduleData, ScheduleListData, ScheduleRemoveData, ShutdownData, StartData, StopData,
    SubscribeData, UpgradeData, WorkerData,
};
use gob_protocol::envelope::{ServerFrame, parse_request, parse_server_frame, write_request, write_response};
use gob_protocol::{Event, Lagged, Stats, Status};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a message into its type and writes it back.
pub(crate) fn through<T: Serialize + DeserializeOwned>(text: &str) -> Value {
    let typed: T = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    serde_json::to_value(typed).unwrap()
}

/// Reads `text` into `T` and expects the same value back.
pub(crate) fn same<T: Serialize + DeserializeOwned>(text: &str) {
    assert_eq!(through::<T>(text), serde_json::from_str::<Value>(text).unwrap(), "{text}");
}

/// Checks that a request parses strictly and gives the same bytes again; returns its type.
pub(crate) fn request(line: &str) -> &'static str {
    let incoming = parse_request(line.as_bytes()).unwrap_or_else(|e| panic!("{e:?}: {line}"));
    let id = incoming.id.unwrap_or_else(|| panic!("no id: {line}"));
    let written = write_request(&id, &incoming.request).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), format!("{line}\n"));
    incoming.request.type_name()
}

/// Checks a successful response to a request of this type.
pub(crate) fn response(type_name: &str, line: &str) {
    let ServerFrame::Response { id, result: Ok(data) } = parse_server_frame(line.as_bytes()).unwrap() else {
        panic!("not a successful response: {line}");
    };
    let typed = data_through(type_name, data.get());
    let mut written = Vec::new();
    write_response(&mut written, id.as_ref(), Ok(&typed)).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&written).unwrap(),
        serde_json::from_str::<Value>(line).unwrap(),
        "{line}"
    );
}

fn data_through(type_name: &str, data: &str) -> Value {
    match type_name {
        "hello" => through::<HelloData>(data),
        "ping" => through::<PingData>(data),
        "start" | "add" => through::<StartData>(data),
        "create" => through::<CreateData>(data),
        "stop" | "restart" => through::<StopData>(data),
        "signal" | "hand_over" | "lease" | "release" | "get" => through::<WorkerData>(data),
        "list" => through::<ListData>(data),
        "runs" => through::<RunsData>(data),
        "runs_delete" => through::<RunsDeleteData>(data),
        "stats" => through::<Stats>(data),
        "blame" => through::<BlameData>(data),
        "history" => through::<HistoryData>(data),
        "queue_add" => through::<QueueAddData>(data),
        "queue_claim" => through::<QueueClaimData>(data),
        "queue_heartbeat" => through::<EmptyData>(data),
        "queue_finish" | "queue_get" | "queue_cancel" | "queue_retry" => through::<QueueJobData>(data),
        "queue_list" => through::<QueueListData>(data),
        "queue_pause" | "queue_resume" | "queue_clear" | "queue_width" => through::<QueueLaneData>(data),
        "schedule_add" => through::<ScheduleData>(data),
        "schedule_list" => through::<ScheduleListData>(data),
        "schedule_remove" => through::<ScheduleRemoveData>(data),
        "ports" => through::<PortsData>(data),
        "graphs" => through::<GraphsData>(data),
        "graph_delete" => through::<GraphDeleteData>(data),
        "reload" => through::<ReloadData>(data),
        "remove" | "cleanup" => through::<RemovedData>(data),
        "nuke" => through::<NukeData>(data),
        "shutdown" => through::<ShutdownData>(data),
        "upgrade" => through::<UpgradeData>(data),
        "subscribe" => through::<SubscribeData>(data),
        "unsubscribe" => through::<EmptyData>(data),
        "status" => through::<Status>(data),
        "lock_acquire" => through::<LockAcquireData>(data),
        "lock_release" => through::<EmptyData>(data),
        "lock_status" => through::<LockStatusData>(data),
        "lock_break" => through::<LockBreakData>(data),
        other => panic!("no type for the data of {other}"),
    }
}

/// Checks a failed response; returns its code.
pub(crate) fn error(line: &str) -> &'static str {
    let ServerFrame::Response { id, result: Err(error) } = parse_server_frame(line.as_bytes()).unwrap()
    else {
        panic!("not a failed response: {line}");
    };
    let mut written = Vec::new();
    write_response::<()>(&mut written, id.as_ref(), Err(&error)).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&written).unwrap(),
        serde_json::from_str::<Value>(line).unwrap(),
        "{line}"
    );
    error.code.as_str()
}

/// Checks an event or `lagged`; returns its name.
pub(crate) fn event(line: &str) -> String {
    let ServerFrame::Event(text) = parse_server_frame(line.as_bytes()).unwrap() else {
        panic!("not an event: {line}");
    };
    let value: Value = serde_json::from_str(text).unwrap();
    let name = value["event"].as_str().unwrap().to_owned();
    if name == "lagged" {
        same::<Lagged>(text)
    } else {
        same::<Event>(text)
    }
    name
}

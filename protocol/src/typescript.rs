//! Writes the TypeScript types of `client/node` from the types of this crate, and checks that the committed ones are those.
//!
//! Payloads are told as they are read (a default may be left out), everything else as it is written (a field that is always
//! there is required, and null where it has no value). `GOB_WRITE_TYPES=1 cargo test -p gob-protocol --lib typescript` writes
//! the files.

mod by_hand;
mod shape;

use crate::answer::{
    BlameData, CreateData, EmptyData, GraphDeleteData, GraphsData, HelloData, HistoryData, ListData,
    LockAcquireData, LockBreakData, LockStatusData, NukeData, PingData, PortsData, QueueAddData,
    QueueClaimData, QueueJobData, QueueLaneData, QueueListData, ReloadData, RemovedData, RunsData,
    RunsDeleteData, ScheduleData, ScheduleListData, ScheduleRemoveData, ShutdownData, StartData, StopData,
    SubscribeData, UpgradeData, WorkerData,
};
use crate::event::{Event, Lagged};
use crate::history::Stats;
use crate::request::Described;
use crate::view::Status;
use crate::{ErrorCode, EventKind, Request, WireError, limits};
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use shape::{Definitions, Direction, name_of};
use std::fmt::Write as _;
use std::path::Path;

const HEADER: &str = "// Written from the Rust types of gob-protocol; `GOB_WRITE_TYPES=1 cargo test -p gob-protocol --lib typescript`\n\
                      // writes it again. Changes by hand are lost.\n";

/// Returns the schema of the data of a successful response.
fn data(of: &mut SchemaGenerator, type_name: &str) -> Schema {
    match type_name {
        "hello" => of.subschema_for::<HelloData>(),
        "ping" => of.subschema_for::<PingData>(),
        "start" | "add" => of.subschema_for::<StartData>(),
        "create" => of.subschema_for::<CreateData>(),
        "stop" | "restart" => of.subschema_for::<StopData>(),
        "signal" | "hand_over" | "lease" | "release" | "get" => of.subschema_for::<WorkerData>(),
        "list" => of.subschema_for::<ListData>(),
        "runs" => of.subschema_for::<RunsData>(),
        "runs_delete" => of.subschema_for::<RunsDeleteData>(),
        "stats" => of.subschema_for::<Stats>(),
        "blame" => of.subschema_for::<BlameData>(),
        "history" => of.subschema_for::<HistoryData>(),
        "queue_add" => of.subschema_for::<QueueAddData>(),
        "queue_claim" => of.subschema_for::<QueueClaimData>(),
        "queue_finish" | "queue_get" | "queue_cancel" | "queue_retry" => of.subschema_for::<QueueJobData>(),
        "queue_list" => of.subschema_for::<QueueListData>(),
        "queue_pause" | "queue_resume" | "queue_clear" | "queue_width" => of.subschema_for::<QueueLaneData>(),
        "schedule_add" => of.subschema_for::<ScheduleData>(),
        "schedule_list" => of.subschema_for::<ScheduleListData>(),
        "schedule_remove" => of.subschema_for::<ScheduleRemoveData>(),
        "ports" => of.subschema_for::<PortsData>(),
        "graphs" => of.subschema_for::<GraphsData>(),
        "graph_delete" => of.subschema_for::<GraphDeleteData>(),
        "reload" => of.subschema_for::<ReloadData>(),
        "remove" | "cleanup" => of.subschema_for::<RemovedData>(),
        "nuke" => of.subschema_for::<NukeData>(),
        "shutdown" => of.subschema_for::<ShutdownData>(),
        "upgrade" => of.subschema_for::<UpgradeData>(),
        "subscribe" => of.subschema_for::<SubscribeData>(),
        "status" => of.subschema_for::<Status>(),
        "lock_acquire" => of.subschema_for::<LockAcquireData>(),
        "lock_status" => of.subschema_for::<LockStatusData>(),
        "lock_break" => of.subschema_for::<LockBreakData>(),
        "queue_heartbeat" | "lock_release" | "unsubscribe" => of.subschema_for::<EmptyData>(),
        other => panic!("no type for the data of {other}"),
    }
}

/// A request type with the names of its types in TypeScript.
struct Method {
    type_name: &'static str,
    description: &'static str,
    payload: String,
    data: String,
}

impl Method {
    /// Returns the name of the method: `queueAdd` for `queue_add`.
    fn name(&self) -> String {
        let mut words = self.type_name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
    }
}

/// Returns all types and the methods.
fn types() -> (Definitions, Vec<Method>) {
    let mut reads = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let mut writes = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut methods: Vec<Method> = Request::described(&mut reads)
        .into_iter()
        .map(|Described { type_name, description, payload }| {
            let data = name_of(&data(&mut writes, type_name));
            Method { type_name, description: description.trim(), payload: name_of(&payload), data }
        })
        .collect();
    for schema in [
        writes.subschema_for::<Event>(),
        writes.subschema_for::<Lagged>(),
        writes.subschema_for::<WireError>(),
    ] {
        name_of(&schema);
    }
    let mut all = Definitions::default();
    all.add(writes.take_definitions(false), Direction::Written);
    for method in &mut methods {
        method.payload = all.payload(&method.payload);
    }
    all.add(reads.take_definitions(false), Direction::Read);
    (all, methods)
}

/// Returns the class with a method for each request.
fn methods_file(types: &Definitions, methods: &[Method]) -> String {
    let mut used: Vec<&str> =
        methods.iter().flat_map(|method| [method.payload.as_str(), method.data.as_str()]).collect();
    used.sort_unstable();
    used.dedup();
    let mut out = format!("{HEADER}import type * as T from \"./types.js\";\n\n");
    out +=
        "/** The payload and the data of each request type (PROTOCOL 5). */\nexport interface Requests {\n";
    for method in methods {
        let Method { type_name, payload, data, .. } = method;
        writeln!(out, "  {type_name}: {{ payload: T.{payload}; data: T.{data} }};").unwrap();
    }
    out += "}\n\n/** The type of a request. */\nexport type RequestType = keyof Requests;\n\n";
    out += "/** A method for each request: its type in camelCase, its payload in, its data out. */\n";
    out += "export abstract class Methods<Options> {\n";
    out += "  /** Sends one request and waits for its answer. */\n";
    out += "  abstract request<K extends RequestType>(type: K, payload: Requests[K][\"payload\"], options?: Options): Promise<Requests[K][\"data\"]>;\n";
    // The client says hello itself, once for each connection.
    for method in methods.iter().filter(|method| method.type_name != "hello") {
        let Method { type_name, description, payload, data } = method;
        let (name, optional) = (method.name(), if types.may_be_empty(payload) { " = {}" } else { "" });
        write!(
            out,
            "\n  /** {description} */\n  {name}(payload: T.{payload}{optional}, options?: Options): Promise<T.{data}> {{\n    \
             return this.request(\"{type_name}\", payload, options);\n  }}\n"
        )
        .unwrap();
    }
    out + "}\n"
}

/// Returns the lists of words and the bounds that a client needs when it runs.
fn words_file() -> String {
    let list = |name: &str, about: &str, words: Vec<&str>| {
        let words: String = words.iter().map(|word| format!("  \"{word}\",\n")).collect();
        format!("\n/** {about} */\nexport const {name} = [\n{words}] as const;\n")
    };
    let number =
        |name: &str, about: &str, value: usize| format!("\n/** {about} */\nexport const {name} = {value};\n");
    let codes = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let kinds = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    [
        HEADER.to_owned(),
        number("PROTOCOL_VERSION", "The version of the protocol.", limits::PROTOCOL as usize),
        number("MAX_REQUEST_BYTES", "Bound of a request, line feed not counted.", limits::MAX_REQUEST_BYTES),
        number(
            "MAX_RESPONSE_BYTES",
            "Bound of a response or event, line feed not counted.",
            limits::MAX_RESPONSE_BYTES,
        ),
        number(
            "MAX_UNANSWERED",
            "Unanswered requests with which the supervisor stops reading.",
            limits::MAX_UNANSWERED,
        ),
        list("REQUEST_TYPES", "The types of requests.", Request::TYPES.to_vec()),
        list("EVENT_KINDS", "The types of events.", kinds),
        list("ERROR_CODES", "The codes of the supervisor's errors (PROTOCOL 10).", codes),
    ]
    .concat()
}

#[test]
fn typescript_types_are_those_of_this_crate() {
    let (types, methods) = types();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/node/src/generated");
    let files = [
        ("types.ts", format!("{HEADER}{}", types.text())),
        ("methods.ts", methods_file(&types, &methods)),
        ("words.ts", words_file()),
    ];
    if std::env::var_os("GOB_WRITE_TYPES").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        return;
    }
    for (name, text) in files {
        let found = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            found == text,
            "{name} differs; GOB_WRITE_TYPES=1 cargo test -p gob-protocol --lib typescript writes it"
        );
    }
}

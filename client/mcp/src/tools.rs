//! The table of tools: a row for each, with what clients are told of it, and a file for each subject.

mod control;
mod jobs;
mod locks;
mod logs;
mod looking;
mod queue;

use crate::arguments::schema_of;
use crate::call::{Call, Done};
use rmcp::model::{Tool as Listed, ToolAnnotations};
use serde_json::{Map, Value};
use std::pin::Pin;
use std::sync::Arc;

pub(crate) use logs::MAX_BYTES;

/// Threads for work that blocks.
pub(crate) const BLOCKING_THREADS: usize = 8;

type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// The effect of a tool, as clients are told of it to ask their users (MCP, ToolAnnotations).
#[derive(Clone, Copy)]
pub(crate) enum Effect {
    /// It only looks.
    Reads,
    /// It makes something run that is the same when it is called twice.
    Ensures,
    /// It ends work; `again` says that a second call ends more.
    Ends {
        /// A second call has an effect of its own.
        again: bool,
    },
    /// It runs a command, which may do anything.
    Runs,
}

impl Effect {
    fn annotations(self, title: &str) -> ToolAnnotations {
        let hints = |reads, destroys, repeats, open| {
            ToolAnnotations::with_title(title)
                .read_only(reads)
                .destructive(destroys)
                .idempotent(repeats)
                .open_world(open)
        };
        match self {
            Self::Reads => hints(true, false, true, false),
            Self::Ensures => hints(false, false, true, false),
            Self::Ends { again } => hints(false, true, !again, false),
            Self::Runs => hints(false, true, false, true),
        }
    }
}

/// A tool.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) effect: Effect,
    /// It waits for the end of a worker, on a connection of its own.
    pub(crate) waits: bool,
    schema: fn() -> Map<String, Value>,
    pub(crate) run: fn(Call, Map<String, Value>) -> Work,
}

/// Makes a row: its arguments are read as the type of `$run`'s second parameter.
macro_rules! tool {
    ($name:literal, $title:literal, $effect:expr, $waits:expr, $arguments:ty, $run:path, $about:expr) => {
        Tool {
            name: $name,
            title: $title,
            about: $about,
            effect: $effect,
            waits: $waits,
            schema: schema_of::<$arguments>,
            run: |call, arguments| {
                Box::pin(async move {
                    let arguments = crate::arguments::read::<$arguments>($name, arguments)?;
                    $run(call, arguments).await
                })
            },
        }
    };
}

const READS: Effect = Effect::Reads;

/// Every tool, in the order in which clients see them.
#[rustfmt::skip]
static TOOLS: &[Tool] = &[
    tool!("list", "List workers", READS, false, looking::List, looking::list,
        "Workers that gob supervises (servers, builds, jobs, graphs): name, state, owner, pid, endpoint or ports, command."),
    tool!("status", "Show one worker or the supervisor", READS, false, looking::Status, looking::status,
        "All about one worker, or with no name the health of the supervisor."),
    tool!("start", "Start a graph or a known worker", Effect::Ensures, false, control::Start, control::start,
        "Make sure that a graph, or a worker that exists already, runs; returns its endpoint. One that runs is used as it is, \
         one at rest becomes yours. For a new command use add or run."),
    tool!("stop", "Stop a worker of yours", Effect::Ends { again: false }, false, control::Stop, control::stop,
        "End a worker and all of its processes. Only its owner can; those of others are refused."),
    tool!("restart", "Restart a worker of yours", Effect::Ends { again: true }, false, control::Restart, control::restart,
        "Stop a worker and start it again. Only its owner can."),
    tool!("add", "Run a command in the background", Effect::Runs, false, jobs::Add, jobs::add,
        "Run a command in the background (a dev server, a watcher), supervised and with its output kept; returns at once. \
         The same command in the same directory is one job: if it runs already, that one is returned."),
    tool!("run", "Run a command to its end", Effect::Runs, true, jobs::Run, jobs::run,
        "Run a command (a build, a test) and wait for its end; returns its exit and the end of its output. After timeout_ms it \
         says that it is still running and for how long it was silent, and the job goes on."),
    tool!("wait", "Wait for the end of a worker", READS, true, jobs::Wait, jobs::wait,
        "Wait until a worker has ended; returns its exit and the end of its output, or that it is still running."),
    tool!("logs", "Read a worker's output", READS, false, logs::Logs, logs::logs,
        "The last lines that a worker wrote, of its latest run; select by grep and since. Says what was left out."),
    tool!("ports", "Where workers listen", READS, false, looking::Ports, looking::ports,
        "The TCP and UDP ports on which a worker's processes listen now, or those of all workers."),
    tool!("blame", "Who did what to a worker", READS, false, looking::Blame, looking::blame,
        "The changes of a worker, newest first, with the program and owner that caused each."),
    tool!("brief", "What changed", READS, false, looking::Brief, looking::brief,
        "What changed since a cursor, what fails and why, and what to call next, in at most 40 lines. The last line is the \
         cursor for the next call."),
    tool!("who", "Who holds a graph", READS, false, looking::Who, looking::who,
        "Which process really holds a graph: a worker, a process without gob, or nobody."),
    tool!("lock_status", "Named locks", READS, false, locks::LockStatus, locks::lock_status,
        "Named locks with their holders and those that wait."),
    tool!("queue_add", "Queue a command", Effect::Runs, false, queue::QueueAdd, queue::queue_add,
        "Add a command to a lane of the durable queue, which runs it in its turn and tries it again when it fails."),
    tool!("queue_list", "List the queue", READS, false, queue::QueueList, queue::queue_list,
        "The lanes of the queue and their jobs: those that run, that wait, and that have ended, newest first."),
];

/// Finds a tool.
pub(crate) fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// Returns the tools as clients see them.
pub(crate) fn listed() -> Vec<Listed> {
    TOOLS
        .iter()
        .map(|tool| {
            Listed::new(tool.name, tool.about, Arc::new((tool.schema)()))
                .with_annotations(tool.effect.annotations(tool.title))
        })
        .collect()
}

/// A tool in words, for documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// Its work.
    pub about: &'static str,
    /// The names of its arguments; those that may be left out end with a question mark.
    pub arguments: Vec<String>,
    /// It changes nothing.
    pub reads: bool,
}

/// Returns every tool in words.
pub fn described() -> impl Iterator<Item = Described> {
    TOOLS.iter().map(|tool| {
        let schema = (tool.schema)();
        let needed = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let names = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let arguments = names.keys().map(|name| {
            let is_needed = needed.iter().any(|needed| needed == name);
            format!("{name}{}", if is_needed { "" } else { "?" })
        });
        let arguments = arguments.collect();
        let reads = matches!(tool.effect, Effect::Reads);
        Described { name: tool.name, about: tool.about, arguments, reads }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 16] = [
        "list",
        "status",
        "start",
        "stop",
        "restart",
        "add",
        "run",
        "wait",
        "logs",
        "ports",
        "blame",
        "brief",
        "who",
        "lock_status",
        "queue_add",
        "queue_list",
    ];

    #[test]
    fn the_tools_are_those_of_the_contract() {
        let names: Vec<&str> = described().map(|tool| tool.name).collect();
        assert_eq!(names, NAMES);
    }

    /// The check of arguments reads these and nothing else of JSON Schema.
    #[test]
    fn every_schema_is_one_that_is_checked() {
        const KEYS: [&str; 12] = [
            "type",
            "properties",
            "required",
            "additionalProperties",
            "description",
            "items",
            "enum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "default",
        ];
        fn walk(schema: &Value, at: &str) {
            let Some(fields) = schema.as_object() else { return };
            for (key, value) in fields {
                let is_bound = ["minimum", "maximum"].contains(&key.as_str());
                assert!(is_bound || KEYS.contains(&key.as_str()), "{at}: {key}");
                match key.as_str() {
                    "properties" => {
                        for (name, inner) in value.as_object().unwrap() {
                            assert!(inner["description"].is_string(), "{at}.{name} has no description");
                            // A word or a table: the supervisor checks it.
                            assert!(inner["type"].is_string() || name == "readiness", "{at}.{name}: {inner}");
                            walk(inner, &format!("{at}.{name}"));
                        }
                    }
                    "items" | "additionalProperties" => walk(value, at),
                    _ => {}
                }
            }
        }
        for tool in TOOLS {
            let schema = Value::Object((tool.schema)());
            assert_eq!(
                (&schema["type"], &schema["additionalProperties"]),
                (&"object".into(), &false.into()),
                "{}",
                tool.name
            );
            walk(&schema, tool.name);
        }
    }

    /// A change of a tool is a change for every client, so that it is seen in a file.
    #[test]
    fn the_list_is_as_it_was_agreed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/tools.json");
        let now = serde_json::to_string_pretty(&listed()).unwrap() + "\n";
        if std::env::var_os("GOB_WRITE_DOCS").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        let agreed = std::fs::read_to_string(path).unwrap();
        assert_eq!(now, agreed, "GOB_WRITE_DOCS=1 cargo test -p gob-mcp --lib writes golden/tools.json");
    }

    /// All of them are in a client's context all the time.
    #[test]
    fn the_list_is_small() {
        let bytes = serde_json::to_string(&listed()).unwrap().len();
        assert!(bytes < 16_000, "{bytes} bytes");
    }
}

//! `gobctl mcp`, with the real supervisor over its standard input and output: every tool, refusals, wrong and oversized lines, many
//! calls at once, the end of the input.

pub(crate) mod session;

use gob_tests::Gob;
use gob_tests::wait::{self, DEADLINE};
use serde_json::json;
use session::Session;
use std::fs;
use std::time::Duration;

const SLEEP: [&str; 2] = ["sleep", "1000"];

#[test]
fn a_client_is_told_what_the_server_is_and_every_request_of_it_is_answered() {
    let gob = Gob::new();
    let mut agent = Session::begin(&gob, &["--no-autostart"]);
    // Before anything else, as some clients do.
    assert_eq!(agent.request("ping", json!({}))["result"], json!({}));
    let client = json!({"protocolVersion": "2099-01-01", "capabilities": {}, "clientInfo": {"name": "x", "version": "0"}});
    let answer = agent.request("initialize", client);
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "the newest with this handshake");
    assert!(answer["result"]["instructions"].as_str().unwrap().len() < 1_000);
    let listed = agent.request("tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 16);
    let hints = |name: &str| tools.iter().find(|tool| tool["name"] == name).unwrap()["annotations"].clone();
    assert_eq!(
        (&hints("logs")["readOnlyHint"], &hints("stop")["destructiveHint"]),
        (&true.into(), &true.into())
    );
    assert_eq!(agent.request("no/such/method", json!({}))["error"]["code"], -32601);
    let answer = agent.request("tools/call", json!({"name": "lsit"}));
    assert_eq!(answer["error"]["code"], -32602);
    assert!(answer["error"]["message"].as_str().unwrap().contains("did you mean list?"), "{answer}");
    // Nothing was started for any of it.
    let refused = agent.refused("list", json!({}));
    assert!(refused.starts_with("supervisor-unreachable: no supervisor is running"), "{refused}");
    assert!(!gob.socket().exists());
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn an_agent_runs_commands_and_reads_what_they_wrote() {
    let gob = Gob::new();
    let mut agent = Session::open(&gob, &[]);
    let told =
        agent.ok("run", json!({"command": ["sh", "-c", "echo one; echo two >&2; exit 3"], "name": "tests"}));
    assert!(told.text.starts_with("tests exited 3 after "), "{}", told.text);
    assert!(told.text.contains("\none\n") && told.text.ends_with("two"), "{}", told.text);
    assert_eq!(told.data["worker"]["exit"], json!({"code": 3}));
    assert_eq!(told.data["running"], false);

    // A run that lasts is told as such, with the next call, and goes on.
    let told = agent.ok(
        "run",
        json!({"command": ["sh", "-c", "echo begun; exec sleep 1000"], "name": "long", "timeout_ms": 300}),
    );
    assert!(told.text.starts_with("long is still running after 300ms, silent for "), "{}", told.text);
    assert!(told.text.contains("next: wait {\"name\":\"long\"} goes on waiting"), "{}", told.text);
    let told = agent.ok("wait", json!({"name": "long", "timeout_ms": 100}));
    assert_eq!(told.data["running"], true);
    let waits = agent.post_call("wait", json!({"name": "long"}));
    assert!(agent.ok("stop", json!({"name": "long"})).text.starts_with("stopped long"));
    assert!(agent.told(waits).text.starts_with("long killed by SIGTERM"));

    let lines = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done";
    agent.ok("run", json!({"command": ["sh", "-c", lines], "name": "lines", "tail": 1}));
    let text = agent.ok("logs", json!({"name": "lines", "tail": 2})).text;
    assert!(
        text.starts_with("run 1 of lines: the last 2 lines, earlier ones are left out (2590 bytes in all)"),
        "{text}"
    );
    assert!(text.ends_with("line 298\nline 299"), "{text}");
    let text = agent.ok("logs", json!({"name": "lines", "grep": "line 1[0-4]$"})).text;
    assert!(text.starts_with("run 1 of lines: 5 matching lines, nothing left out\nline 10\n"), "{text}");
    let text = agent.ok("logs", json!({"name": "lines", "max_bytes": 200, "tail": 5000})).text;
    assert!(text.len() < 500 && text.ends_with("line 299"), "{text}");
    assert!(agent.ok("logs", json!({"name": "lines", "since": "1h", "tail": 1})).text.ends_with("line 299"));
    let command = ["sh", "-c", "sleep 0.2; echo now listening; exec sleep 1000"];
    let ready = json!({"type": "log", "pattern": "listening"});
    let told = agent.ok("add", json!({"command": command, "name": "server", "readiness": ready}));
    assert_eq!(told.data["worker"]["state"], "ready");
    assert!(agent.ok("logs", json!({"name": "server"})).text.ends_with("\nnow listening"));
    let wrong = agent.refused("add", json!({"command": ["true"], "readiness": {"type": "magic"}}));
    assert!(wrong.starts_with("invalid-request: ") && wrong.contains("magic"), "{wrong}");
    assert!(agent.refused("logs", json!({"name": "lines", "grep": "("})).contains("no regular expression"));
    assert!(agent.refused("logs", json!({"name": "lines", "run": 7})).contains("call logs without run"));
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn every_other_tool_answers() {
    let gob = Gob::new();
    let mut agent = Session::open(&gob, &[]);
    assert!(agent.ok("list", json!({})).text.starts_with("no workers; "));
    let told = agent.ok("start", json!({"graph": "demo"}));
    assert!(
        told.text.starts_with("started demo (pid ") && told.text.contains("owner agent"),
        "{}",
        told.text
    );
    assert_eq!(told.data["outcome"], "started");
    assert!(agent.ok("start", json!({"graph": "demo"})).text.contains("demo is already running"));
    assert!(agent.ok("restart", json!({"name": "demo"})).text.starts_with("restarted demo"));
    let text = agent.ok("list", json!({"state": "ready", "limit": 1})).text;
    assert!(text.starts_with("demo: ready (graph, owner agent (you), pid "), "{text}");
    assert!(agent.ok("status", json!({"name": "demo"})).text.contains("\nowner: agent (you)\n"));
    assert!(agent.ok("status", json!({})).text.starts_with("supervisor: gobd "));
    assert!(
        agent.ok("ports", json!({"name": "demo"})).text.contains("demo listens on no port now; call status")
    );
    assert!(agent.ok("blame", json!({"name": "demo"})).text.contains(", by agent (gobctl, pid "));
    assert!(agent.ok("who", json!({"graph": "demo"})).text.starts_with("demo is held by gob's worker (pid "));
    let cursor = agent.ok("brief", json!({})).text.lines().last().unwrap().to_owned();
    agent.ok("add", json!({"command": SLEEP, "name": "web", "description": "the site", "env": {"A": "b"}}));
    let text = agent.ok("brief", json!({"since": cursor})).text;
    assert!(text.contains("changed:\n  web  added, started") && text.contains("next:\n  list"), "{text}");
    assert!(agent.refused("brief", json!({"since": "x y"})).contains("no cursor"));
    assert_eq!(agent.ok("lock_status", json!({})).text, "no lock is held");
    assert_eq!(agent.ok("lock_status", json!({"lock": "build"})).text, "build: held by nobody; nobody waits");
    let told = agent.ok("queue_add", json!({"lane": "ci", "command": ["true"], "dedupe": "k"}));
    let id = told.data["job"]["id"].as_str().unwrap().to_owned();
    assert!(told.text.starts_with(&format!("added {id} to ci")), "{}", told.text);
    let mut done = || {
        agent.ok("queue_list", json!({"lane": "ci", "status": "completed"})).data["jobs"][0]["id"]
            == id.as_str()
    };
    assert!(wait::until(DEADLINE, &mut done), "the job of the queue does not end");
    assert!(agent.ok("stop", json!({"name": "web", "force": true})).text.starts_with("stopped web"));
    assert!(agent.ok("stop", json!({"name": "web"})).text.contains("was not running"));
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn an_agent_uses_the_workers_of_others_and_ends_none_of_them() {
    let gob = Gob::new();
    gob.ctl(["add", "--owner", "desktop", "--name", "site", "sleep", "1000"]).ok();
    let pid = |gob: &Gob| gob.ctl(["get", "site"]).json()["worker"]["pid"].as_i64();
    let before = pid(&gob);
    let mut agent = Session::open(&gob, &[]);
    let text = agent.ok("list", json!({})).text;
    assert!(text.starts_with("site: running (job, owner desktop, pid "), "{text}");
    for (tool, arguments) in [
        ("stop", json!({"name": "site"})),
        ("stop", json!({"name": "site", "force": true})),
        ("restart", json!({"name": "site"})),
    ] {
        let text = agent.refused(tool, arguments);
        assert!(
            text.starts_with("server-owned-by-other: site is owned by desktop, you are agent\n"),
            "{text}"
        );
        assert!(
            text.contains("\nowner: desktop\n") && text.contains("call status for its endpoint"),
            "{text}"
        );
    }
    assert!(agent.ok("status", json!({"name": "site"})).text.contains("owner: desktop"));
    assert_eq!(agent.ok("wait", json!({"name": "site", "timeout_ms": 50})).data["running"], true);
    assert_eq!(pid(&gob), before, "no process was touched");
    assert_eq!(agent.end().0, Some(0));
    // The owner can be said, on the command line and by the environment.
    let mut desktop = Session::open(&gob, &["--owner", "desktop"]);
    assert!(desktop.ok("stop", json!({"name": "site"})).text.starts_with("stopped site"));
    assert_eq!(desktop.end().0, Some(0));
}

#[test]
fn what_an_agent_gets_wrong_is_told_with_the_next_call() {
    let gob = Gob::new();
    gob.ctl(["add", "--name", "web", "sleep", "1000"]).ok();
    let project = gob.dir().join("project");
    fs::create_dir_all(project.join(".config")).unwrap();
    let file = "[[job]]\ncommand = \"make dev\"\nblocked = true\ndescription = \"use make test\"\n";
    fs::write(project.join(".config/gobfile.toml"), file).unwrap();
    let mut agent = Session::open(&gob, &[]);
    for (tool, arguments, code, hint) in [
        ("stop", json!({"name": "wbe"}), "server-not-found", "did you mean web? call list"),
        ("stop", json!({"nmae": "web"}), "invalid-request", "did you mean name? call stop again"),
        ("run", json!({"command": ["true"], "timeout": 5}), "invalid-request", "did you mean timeout_ms?"),
        ("run", json!({"command": "make test"}), "invalid-request", "call run again"),
        ("run", json!({"command": []}), "invalid-request", "call run again"),
        ("run", json!({"command": ["true"], "timeout_ms": 600_001}), "invalid-request", "call run again"),
        (
            "run",
            json!({"command": ["true"], "cwd": "nowhere"}),
            "invalid-request",
            "call the tool again with a cwd",
        ),
        ("run", json!({"command": ["no-such-program"]}), "server-start-failed", "call"),
        ("run", json!({"command": ["make test"]}), "server-start-failed", "[\"sh\", \"-c\""),
        (
            "run",
            json!({"command": ["make", "dev"], "cwd": "project"}),
            "blocked",
            "do not run it in another way; call list",
        ),
        ("add", json!({"command": ["make", "dev"], "cwd": "project"}), "blocked", "call list"),
        (
            "add",
            json!({"command": ["true"], "name": "web"}),
            "server-owned-by-other",
            "call add with another name",
        ),
        ("start", json!({}), "invalid-request", "call start with graph"),
        ("start", json!({"graph": "g", "kind": "none"}), "kind-not-found", "call start without kind"),
        ("start", json!({"graph": "a\nb"}), "invalid-name", "call list"),
        ("list", json!({"state": "redy"}), "invalid-request", "call list again"),
        ("list", json!({"owner": "A B"}), "invalid-owner", "call list without owner"),
    ] {
        let text = agent.refused(tool, arguments.clone());
        assert!(text.starts_with(&format!("{code}: ")), "{tool} {arguments}: {text}");
        let told = text.split("\nhint: ").nth(1).unwrap();
        assert!(told.contains(hint), "{tool} {arguments}: {text}");
    }
    assert!(
        agent.refused("run", json!({"command": ["make", "dev"], "cwd": "project"})).contains("use make test")
    );
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn every_wrong_line_is_answered_and_the_connection_goes_on() {
    let gob = Gob::new();
    let mut agent = Session::open(&gob, &[]);
    agent.send(b"{");
    agent.send(b"no json at all \xff");
    agent.send(b"[]");
    let codes: Vec<_> =
        (0..3).map(|_| agent.take(|message| message["id"].is_null())["error"]["code"].clone()).collect();
    assert_eq!(codes, [-32700, -32700, -32600]);
    // One line of 17 MiB, then one of nearly 16 that is good.
    let mut line = vec![b'x'; 17 << 20];
    line.push(b'\n');
    agent.send_raw(&line);
    assert_eq!(agent.take(|message| message["id"].is_null())["error"]["code"], -32700);
    let long = "y".repeat((16 << 20) - 200);
    let told = agent.refused("stop", json!({"name": long}));
    assert!(told.starts_with("invalid-request: name is 16") && told.len() < 1_000, "{}", told.len());
    // Pieces of a line, at any place.
    for byte in br#"{"jsonrpc":"2.0","id":"bytes","method":"ping"}"# {
        agent.send_raw(std::slice::from_ref(byte));
    }
    agent.send_raw(b"\r\n\n  \n");
    assert_eq!(agent.take(|message| message["id"] == "bytes")["result"], json!({}));
    let answer = agent.request("tools/call", json!({"arguments": {}}));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    // The same id twice at once: both are answered.
    gob.ctl(["add", "--name", "web", "sleep", "1000"]).ok();
    let call = json!({"jsonrpc": "2.0", "id": "same", "method": "tools/call",
        "params": {"name": "wait", "arguments": {"name": "web", "timeout_ms": 700}}});
    agent.send(call.to_string().as_bytes());
    agent.send(call.to_string().as_bytes());
    let first = agent.take(|message| message["id"] == "same");
    assert_eq!(first["error"]["code"], -32600, "{first}");
    assert!(agent.take(|message| message["id"] == "same")["result"].is_object());
    // The last line has no line feed: it is not executed.
    agent.send_raw(br#"{"jsonrpc":"2.0","id":"last","method":"tools/call","params":{"name":"stop","arguments":{"name":"web"}}}"#);
    assert_eq!(agent.end().0, Some(0));
    assert_eq!(gob.ctl(["get", "web"]).json()["worker"]["state"], "ready");
}

#[test]
fn many_calls_at_once_are_all_answered_and_a_wait_delays_no_other() {
    let gob = Gob::new();
    gob.ctl(["add", "--name", "web", "sleep", "1000"]).ok();
    let mut agent = Session::open(&gob, &[]);
    let waits: Vec<i64> =
        (0..20).map(|_| agent.post_call("wait", json!({"name": "web", "timeout_ms": 20_000}))).collect();
    let calls: Vec<i64> = (0..150).map(|_| agent.post_call("list", json!({}))).collect();
    for id in calls.into_iter().rev() {
        assert!(agent.told(id).text.starts_with("web: running"));
    }
    // Beyond 256 that are not answered the next one is refused at once, and a cancelled one makes room.
    for id in &waits {
        agent.send(
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
                .to_string()
                .as_bytes(),
        );
    }
    assert!(agent.ok("list", json!({})).text.starts_with("web: running"));
    let waits: Vec<i64> =
        (0..300).map(|_| agent.post_call("wait", json!({"name": "web", "timeout_ms": 6_000}))).collect();
    let answers: Vec<_> = waits.into_iter().map(|id| agent.answer(id)).collect();
    let waited = answers.iter().filter(|answer| answer["result"]["isError"] == false).count();
    let busy = answers.iter().filter(|answer| {
        answer["result"]["content"][0]["text"].as_str().is_some_and(|text| text.starts_with("busy: "))
            || answer["error"]["code"] == -32000
    });
    assert_eq!((waited, busy.count()), (32, 268), "each was answered, and no more than 32 waited");
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn a_cancelled_run_gets_no_answer_and_its_job_goes_on() {
    let gob = Gob::new();
    let mut agent = Session::open(&gob, &[]);
    let params = json!({"name": "run", "arguments": {"command": SLEEP, "name": "long"}, "_meta": {"progressToken": "p"}});
    let id = agent.post("tools/call", params);
    let progress = agent.take(|message| message["method"] == "notifications/progress");
    assert_eq!(progress["params"]["progressToken"], "p");
    assert!(progress["params"]["message"].as_str().unwrap().starts_with("long: running"), "{progress}");
    let later = agent.take(|message| message["method"] == "notifications/progress");
    assert!(later["params"]["progress"].as_f64() > progress["params"]["progress"].as_f64());
    agent.send(
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
            .to_string()
            .as_bytes(),
    );
    assert!(agent.ok("list", json!({})).text.starts_with("long: running"));
    // Once the same job is waited for again and ends, no late answer is among the messages.
    assert!(agent.ok("stop", json!({"name": "long"})).text.starts_with("stopped"));
    assert!(agent.ok("wait", json!({"name": "long"})).text.starts_with("long killed by"));
    let end = agent.post("ping", json!({}));
    let next = agent.take(|message| message["id"] == id || message["id"] == end);
    assert_eq!(next["id"], end, "{next}");
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn it_ends_with_its_input_also_in_the_middle_of_calls_and_what_runs_goes_on() {
    let gob = Gob::new();
    let mut agent = Session::open(&gob, &[]);
    agent.ok("add", json!({"command": SLEEP, "name": "web"}));
    for _ in 0..3 {
        agent.post_call("wait", json!({"name": "web", "timeout_ms": 600_000}));
    }
    agent.post_call("run", json!({"command": ["sleep", "999"], "name": "long", "timeout_ms": 600_000}));
    assert!(wait::until(DEADLINE, || gob.connect().ask("get", json!({"name": "long"}))["success"] == true));
    let (code, took) = agent.end();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(8), "{took:?}");
    let view = gob.ctl(["get", "long"]).json();
    assert_eq!(view["worker"]["state"], "ready");
    // Bytes without a line feed are answered, and not executed.
    let told = gob.ctl(["mcp"]).stdin("{\"jsonrpc\":\"2.0\"").run();
    assert!(told.code == 0 && told.stdout.contains("-32700"), "{told}");
    // Calls that are short are answered before.
    let lines: String = ["ping", "tools/list"]
        .iter()
        .enumerate()
        .map(|(id, method)| format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": method})))
        .collect();
    let list = json!({"jsonrpc": "2.0", "id": "l", "method": "tools/call", "params": {"name": "list", "arguments": {}}});
    let told = gob.ctl(["mcp"]).stdin(&format!("{lines}{list}\n")).run();
    assert_eq!((told.code, told.stdout.lines().count()), (0, 3), "{told}");
}

#[test]
fn logs_are_resources() {
    let gob = Gob::new();
    gob.ctl(["start", "my graph"]).ok();
    let mut agent = Session::open(&gob, &[]);
    agent.ok("run", json!({"command": ["sh", "-c", "echo hello"], "name": "job"}));
    let listed = agent.request("resources/list", json!({}));
    let uris: Vec<_> = listed["result"]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["uri"].as_str().unwrap())
        .collect();
    assert_eq!(uris, ["gob://workers/job/log", "gob://workers/my%20graph/log"]);
    let templates = agent.request("resources/templates/list", json!({}));
    assert_eq!(templates["result"]["resourceTemplates"][0]["uriTemplate"], "gob://workers/{name}/log");
    let read = agent.request("resources/read", json!({"uri": "gob://workers/job/log"}));
    assert_eq!(read["result"]["contents"][0]["text"], "hello\n");
    assert!(
        agent.request("resources/read", json!({"uri": "gob://workers/my%20graph/log"}))["result"].is_object()
    );
    for bad in ["gob://workers/none/log", "file:///etc/passwd", "gob://workers/a%2/log"] {
        let answer = agent.request("resources/read", json!({"uri": bad}));
        assert_eq!(answer["error"]["code"], -32002, "{answer}");
    }
    assert_eq!(agent.end().0, Some(0));
}

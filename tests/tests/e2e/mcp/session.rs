//! A client of `gobctl mcp` that sends what it wants: raw bytes, any number of requests at once.

use gob_tests::wait::DEADLINE;
use gob_tests::{Ctl, Gob};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A running server.
pub(crate) struct Session {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Messages that were not asked for yet.
    kept: Vec<Value>,
    last: i64,
}

/// The result of a tool.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) is_error: bool,
    pub(crate) data: Value,
}

impl Session {
    /// Starts a server and says what it has to hear first.
    pub(crate) fn open(gob: &Gob, args: &[&str]) -> Self {
        Self::begin(gob, args).initialized()
    }

    /// Starts a server in a directory.
    pub(crate) fn open_in(gob: &Gob, dir: &Path) -> Self {
        Self::begin_in(gob, &[], dir).initialized()
    }

    fn initialized(mut self) -> Self {
        let session = &mut self;
        let client = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "0"}});
        let answer = session.request("initialize", client);
        assert_eq!(answer["result"]["serverInfo"]["name"], "gob", "{answer}");
        session.send(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        self
    }

    /// Starts a server.
    pub(crate) fn begin(gob: &Gob, args: &[&str]) -> Self {
        Self::begin_in(gob, args, gob.dir())
    }

    fn begin_in(gob: &Gob, args: &[&str], dir: &Path) -> Self {
        let mut call: Ctl = gob.ctl(std::iter::once("mcp").chain(args.iter().copied()));
        call.cwd(dir).stdin("");
        let mut child = call.spawn();
        let (told, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| drop(told.send(line)));
        });
        // Read, so that no note stops it.
        let notes = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || notes.lines().map_while(Result::ok).for_each(drop));
        let input = child.stdin.take();
        Self { child, input, lines, kept: Vec::new(), last: 0 }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Sends a line.
    pub(crate) fn send(&mut self, line: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line).and_then(|()| input.write_all(b"\n")).unwrap();
    }

    /// Sends bytes as they are.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Sends a request and does not wait; returns its id.
    pub(crate) fn post(&mut self, method: &str, params: Value) -> i64 {
        self.last += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params});
        self.send(request.to_string().as_bytes());
        self.last
    }

    /// Waits for the next message that is like this.
    pub(crate) fn take(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.kept.iter().position(&is) {
                return self.kept.remove(at);
            }
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|e| panic!("no such message ({e}); there are {:?}", self.kept));
            // Nothing else is ever on standard output.
            self.kept.push(serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}")));
        }
    }

    pub(crate) fn answer(&mut self, id: i64) -> Value {
        self.take(|message| message["id"] == id && message.get("method").is_none())
    }

    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.post(method, params);
        self.answer(id)
    }

    /// Posts a call of a tool.
    pub(crate) fn post_call(&mut self, tool: &str, arguments: Value) -> i64 {
        self.post("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Waits for the result of a call.
    pub(crate) fn told(&mut self, id: i64) -> Told {
        let answer = self.answer(id);
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str();
        let text = text.unwrap_or_else(|| panic!("no text in {answer}")).to_owned();
        Told { text, is_error: result["isError"] == true, data: result["structuredContent"].clone() }
    }

    /// Calls a tool, which has to do its work.
    pub(crate) fn ok(&mut self, tool: &str, arguments: Value) -> Told {
        let id = self.post_call(tool, arguments);
        let told = self.told(id);
        assert!(!told.is_error, "{tool}: {}", told.text);
        assert!(told.text.len() < 70_000, "{tool}: {} bytes", told.text.len());
        told
    }

    /// Calls a tool, which has to refuse; returns the text.
    pub(crate) fn refused(&mut self, tool: &str, arguments: Value) -> String {
        let id = self.post_call(tool, arguments);
        let told = self.told(id);
        assert!(told.is_error, "{tool} does it: {}", told.text);
        assert!(told.text.contains("\nhint: "), "{tool}: {}", told.text);
        for forbidden in ["gobctl ", "--owner", "GOB_OWNER"] {
            assert!(!told.text.contains(forbidden), "{tool}: {}", told.text);
        }
        told.text
    }

    /// Ends the input and returns the exit code and the time until the end.
    pub(crate) fn end(mut self) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        drop(self.input.take());
        let handle = gob_tests::process::Handle::open(self.pid()).expect("a child");
        assert!(handle.wait_gone(DEADLINE), "it goes on without input");
        (self.child.wait().unwrap().code(), begun.elapsed())
    }
}

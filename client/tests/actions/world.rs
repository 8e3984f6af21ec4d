//! A core without a shell, driven by hand: one worker, `w`, and a connection for each requester.

use gob_config::Config as Settings;
use gob_config::kind::Kind;
use gob_core::{Config, ConnId, Core, Effect, Input, LocksMark, New, Now, Paths, Remembered, RunKey};
use gob_protocol::answer::ServerInfo;
use gob_protocol::handshake::Handshake;
use gob_protocol::request::{ByName, HandOver, Hello, Start, Stop};
use gob_protocol::{Data, Env, Exit, Id, Name, Owner, Receipt, Request, State, Timestamp, View};
use std::collections::BTreeMap;

/// The requesters, a connection each; the last one said no name.
pub(crate) const REQUESTERS: [&str; 4] = ["cli", "desktop", "agent", "unknown"];
pub(crate) const CLI: ConnId = ConnId(0);
pub(crate) const DESKTOP: ConnId = ConnId(1);
pub(crate) const AGENT: ConnId = ConnId(2);
pub(crate) const NOBODY: ConnId = ConnId(3);
pub(crate) const LEADER: i32 = 4242;
/// The ids of requests that lead to a case, and of the one that is judged.
pub(crate) const BEFORE: Id = Id::Number(1);

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) core: Core,
    now_ms: u64,
    wake: Option<u64>,
}

impl World {
    pub(crate) fn new(kind: Kind) -> Self {
        let mut settings = Settings::default();
        settings.kinds.insert("graph".to_owned(), kind);
        let dir = |name: &str| format!("/{name}");
        let server = ServerInfo {
            version: "0".into(),
            pid: 1,
            instance: "life".into(),
            started_at: Timestamp(0),
            dirs: None,
            config_invalid: Vec::new(),
        };
        let paths = Paths {
            runtime_dir: dir("run"),
            state_dir: dir("state"),
            data_dir: dir("data"),
            socket: dir("s"),
        };
        let config = Config {
            server,
            settings,
            rejected: Vec::new(),
            paths,
            base_env: Env::default(),
            lease_grace_ms: 1_000,
            leftovers: Vec::new(),
            orphans_recovered: 0,
            last_runs: BTreeMap::new(),
            remembered: Remembered::default(),
            locks_mark: LocksMark::Missing,
            host: String::new(),
            seed: 1,
        };
        let core = Core::new(config, Now { mono_ms: 0, wall: Timestamp(0) });
        let mut world = Self { core, now_ms: 0, wake: None };
        for (number, owner) in (0..).zip(REQUESTERS) {
            let conn = ConnId(number);
            world.feed(Input::Connected { conn, pid: None });
            let owner = Owner::new(owner).ok().filter(|owner| !owner.is_unknown());
            world.ask(conn, Request::Hello(Hello { owner, ..hello() }));
        }
        world
    }

    pub(crate) fn feed(&mut self, input: Input) -> Vec<Effect> {
        let now = Now { mono_ms: self.now_ms, wall: Timestamp(self.now_ms.try_into().unwrap()) };
        let effects = self.core.apply(input, now);
        for effect in &effects {
            if let Effect::WakeAt(at) = effect {
                self.wake = *at;
            }
        }
        effects
    }

    pub(crate) fn ask(&mut self, conn: ConnId, request: Request) -> Vec<Effect> {
        self.feed(Input::Request { conn, id: Some(BEFORE), request })
    }

    /// Lets the time of the next deadline come.
    pub(crate) fn due(&mut self) {
        self.now_ms = self.wake.expect("a deadline");
        self.feed(Input::Due);
    }

    pub(crate) fn view(&mut self, conn: ConnId) -> Option<View> {
        let effects = self.ask(conn, Request::Get(by_name()));
        effects.into_iter().find_map(|effect| {
            let Effect::Reply { result: Ok(Data::Worker(data)), .. } = effect else { return None };
            Some(data.worker)
        })
    }

    pub(crate) fn key(&mut self) -> RunKey {
        RunKey { name: name(), run: self.view(CLI).expect("the worker").run }
    }

    pub(crate) fn start(&mut self, by: ConnId) {
        self.ask(by, start());
    }

    pub(crate) fn spawned(&mut self) {
        let key = self.key();
        self.feed(Input::Spawned { key, pid: LEADER, port: None, new: New(false) });
    }

    pub(crate) fn ready(&mut self) {
        let key = self.key();
        self.feed(Input::Ready { key, handshake: Handshake::default(), ports: Vec::new() });
    }

    pub(crate) fn up(&mut self, by: ConnId) {
        self.start(by);
        self.spawned();
        self.ready();
    }

    pub(crate) fn stop(&mut self) {
        // Its owner, or one that may take it over.
        for conn in [CLI, DESKTOP, AGENT] {
            self.ask(conn, stop());
        }
    }

    pub(crate) fn exited(&mut self, code: i32) {
        let key = self.key();
        self.feed(Input::Exited { key, exit: Exit::Code { code } });
    }

    pub(crate) fn swept(&mut self) {
        let key = self.key();
        self.feed(Input::Swept { key: key.clone(), receipt: Receipt::default() });
        self.feed(Input::Freed { key: key.clone() });
        self.feed(Input::ReadOut { key, last_lines: Vec::new(), port_taken: false });
    }

    /// Lets what is ending end, so that a start behind it comes to light.
    pub(crate) fn settle(&mut self) {
        if self.view(CLI).is_some_and(|view| view.state == State::Stopping) {
            self.exited(0);
            self.swept();
        }
    }
}

pub(crate) fn hello() -> Hello {
    serde_json::from_value(serde_json::json!({"protocol": gob_protocol::limits::PROTOCOL})).unwrap()
}

pub(crate) fn name() -> Name {
    Name::graph("w").unwrap()
}

pub(crate) fn by_name() -> ByName {
    ByName { name: name() }
}

pub(crate) fn start() -> Request {
    Request::Start(Start { graph: Some(name()), ..Start::default() })
}

pub(crate) fn stop() -> Request {
    Request::Stop(Stop { name: name(), force: false, grace_ms: None })
}

pub(crate) fn hand_over(to: &str) -> Request {
    Request::HandOver(HandOver { name: name(), to: Owner::new(to).unwrap() })
}

//! Lanes that several machines share, in a PostgreSQL of the test's own (F17): each supervisor is a machine with directories of its own.

use gob_tests::postgres::Postgres;
use gob_tests::require::{Need, skip};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Gob};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// A password that the database does not ask for, and that nobody may see.
const PASSWORD: &str = "hunter2";

/// A database, in a directory that goes with it.
pub(crate) struct Database {
    dir: PathBuf,
    server: Option<Postgres>,
}

impl Database {
    /// Starts a server; `None` where PostgreSQL is not here.
    pub(crate) fn start(name: &str) -> Option<Self> {
        // The path of its socket has to be short, and another user has to reach it.
        let dir = PathBuf::from(format!("/tmp/gob-e2e-{name}-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o711)).unwrap();
        let own = dir.join("s");
        fs::create_dir(&own).unwrap();
        match Postgres::start(&own).unwrap() {
            Ok(server) => Some(Self { dir, server: Some(server) }),
            Err(why) => {
                fs::remove_dir_all(&dir).unwrap();
                skip(Need::Server("postgresql"), &why);
                None
            }
        }
    }

    pub(crate) fn server(&mut self) -> &mut Postgres {
        self.server.as_mut().unwrap()
    }

    /// Returns a machine whose lane `farm` is in this database.
    fn machine(&mut self) -> Gob {
        self.machine_with_lease("30s")
    }

    pub(crate) fn machine_with_lease(&mut self, lease: &str) -> Gob {
        let gob = Gob::new();
        let url = self.server().url().replace("//gob@", &format!("//gob:{PASSWORD}@"));
        let text = format!(
            "[shared]\nurl = \"{url}\"\n[queue]\nheartbeat = \"1s\"\nstale_after = \"{lease}\"\n[lanes.farm]\nshared = true\n"
        );
        let path = gob.dir().join("config.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        gob
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.server.take());
        drop(fs::remove_dir_all(&self.dir));
    }
}

pub(crate) fn is_open(conn: &mut Conn) {
    let mut seen = Value::Null;
    let is_open = wait::until(DEADLINE, || {
        seen = conn.ok("status", json!({}))["shared"].clone();
        seen["state"] == "open"
    });
    assert!(is_open, "{seen}");
}

fn add(conn: &mut Conn, gob: &Gob, lane: &str, script: &str) -> String {
    let env = json!({"PATH": "/usr/bin:/bin"});
    let job = json!({"lane": lane, "command": ["sh", "-c", script], "cwd": gob.dir(), "env": env});
    conn.ok("queue_add", job)["job"]["id"].as_str().unwrap().to_owned()
}

fn until(conn: &mut Conn, id: &str, status: &str) -> Value {
    let mut seen = Value::Null;
    let is_there = wait::until(DEADLINE, || {
        seen = conn.ask("queue_get", json!({"job_id": id}))["data"]["job"].clone();
        seen["status"] == status
    });
    assert!(is_there, "{id} should be {status}: {seen}");
    seen
}

#[test]
fn two_machines_share_a_lane_and_a_database_that_dies_stops_nothing_else() {
    let Some(mut database) = Database::start("lanes") else { return };
    let (ada, bob) = (database.machine(), database.machine());
    let (mut of_ada, mut of_bob) = (ada.connect_as("cli"), bob.connect_as("cli"));
    is_open(&mut of_ada);
    is_open(&mut of_bob);
    let gate = ada.dir().join("gate");
    let waits = format!("until test -e {}; do sleep 0.02; done", gate.display());
    let ids = [0, 1].map(|_| add(&mut of_ada, &ada, "farm", &waits));
    let jobs = ids.clone().map(|id| until(&mut of_bob, &id, "running"));
    // Each machine runs one: that is the width of the lane.
    let by: BTreeSet<_> = jobs.iter().map(|job| job["locked_by"].as_str().unwrap().to_owned()).collect();
    let pids: BTreeSet<_> =
        by.iter().map(|by| by.rsplit_once("/gobd-").unwrap().1.parse::<i32>().unwrap()).collect();
    assert_eq!(pids, BTreeSet::from([ada.gobd_pid(), bob.gobd_pid()]));
    let host = by.first().unwrap().rsplit_once('/').unwrap().0;
    let list = bob.ctl(["queue", "list"]).ok();
    assert!(
        list.contains("farm: width 1, shared; 2 running") && list.contains(&format!(" on {host}")),
        "{list}"
    );
    let at_ada =
        jobs.iter().position(|job| job["locked_by"].as_str().unwrap().ends_with(&ada.gobd_pid().to_string()));
    let at_ada = at_ada.unwrap();
    let logs = bob.ctl(["queue", "logs", &ids[at_ada]]).run();
    assert!(logs.stderr.contains(&format!("runs on {host}, and its output is there")), "{}", logs.stderr);

    database.server().kill().unwrap();
    let refused = json!({"lane": "farm", "command": ["true"], "cwd": ada.dir(), "env": {}});
    let error = of_ada.err("queue_add", refused, "busy");
    assert!(error["details"]["limit"] == "shared" && error["hint"].is_string(), "{error}");
    let local = add(&mut of_ada, &ada, "local", "true");
    until(&mut of_ada, &local, "completed");
    assert!(wait::until(DEADLINE, || of_ada.ok("status", json!({}))["shared"]["state"] == "away"));
    let doctor = ada.ctl(["doctor"]).run();
    assert!(doctor.stdout.contains("warn shared database: "), "{}", doctor.stdout);
    let list = ada.ctl(["queue", "list"]).run();
    assert!(list.stdout.contains(&local) && list.stdout.contains(&ids[at_ada]), "{}", list.stdout);
    assert!(list.stdout.contains("farm: width 1, shared, away; 1 running here"), "{}", list.stdout);
    assert!(!list.stdout.contains(&ids[1 - at_ada]), "{}", list.stdout);
    assert!(list.stderr.contains("the database of farm is away: "), "{}", list.stderr);
    let list: Value = serde_json::from_str(&ada.ctl(["queue", "list", "--json"]).ok()).unwrap();
    assert!(list.to_string().contains("\"away\":\""), "{list}");
    fs::write(&gate, "").unwrap();
    database.server().run().unwrap();
    for id in &ids {
        assert_eq!(until(&mut of_bob, id, "completed")["attempt"], 1);
    }
    is_open(&mut of_ada);

    let said = [
        ada.ctl(["status", "--json"]).ok(),
        ada.ctl(["config", "show"]).ok(),
        ada.ctl(["doctor", "--json"]).run().stdout,
        doctor.stdout,
        fs::read_to_string(ada.state_dir().join("daemon.log")).unwrap_or_default(),
    ];
    assert!(said[1].contains("postgres://gob@"), "{}", said[1]);
    assert!(said.iter().all(|text| !text.contains(PASSWORD)), "{said:?}");
}

#[test]
fn an_upgraded_supervisor_goes_on_with_what_it_runs_for_the_others() {
    let Some(mut database) = Database::start("upgrade") else { return };
    let gob = database.machine();
    let mut conn = gob.connect_as("cli");
    is_open(&mut conn);
    let gate = gob.dir().join("gate");
    let id = add(&mut conn, &gob, "farm", &format!("until test -e {}; do sleep 0.02; done", gate.display()));
    until(&mut conn, &id, "running");
    let pid = |conn: &mut Conn| conn.ok("get", json!({"name": id}))["worker"]["pid"].as_i64();
    // A job runs once it is claimed; its process comes a moment later.
    let mut before = None;
    assert!(wait::until(DEADLINE, || {
        before = pid(&mut conn);
        before.is_some()
    }));
    let lock = "shared/kept";
    let token = conn.ok("lock_acquire", json!({"lock": lock}))["token"].take();
    for _ in 0..2 {
        let done = gob.ctl(["daemon", "upgrade"]).ok();
        assert!(done.starts_with("upgraded gobd (pid "), "{done}");
    }
    assert_eq!(pid(&mut conn), before);
    // A database that does not answer is not waited for.
    database.server().kill().unwrap();
    gob.ctl(["daemon", "upgrade"]).ok();
    database.server().run().unwrap();
    is_open(&mut conn);
    conn.ok("lock_release", json!({"lock": lock, "token": token}));
    assert!(conn.ok("lock_acquire", json!({"lock": lock}))["token"].as_u64() > token.as_u64());
    fs::write(&gate, "").unwrap();
    assert_eq!(until(&mut conn, &id, "completed")["attempt"], 1);
    let next = add(&mut conn, &gob, "farm", "true");
    until(&mut conn, &next, "completed");
}

#[test]
fn another_password_of_the_database_is_a_change_and_its_lanes_go_on_at_once() {
    let Some(mut database) = Database::start("reload") else { return };
    let gob = database.machine();
    let mut conn = gob.connect_as("cli");
    is_open(&mut conn);
    // It keeps the life of the first connection in the database.
    let held = add(&mut conn, &gob, "farm", "sleep 60");
    until(&mut conn, &held, "running");
    let path = gob.dir().join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(PASSWORD, "hunter3")).unwrap();
    let told = gob.ctl(["config", "reload"]).ok();
    assert_eq!(told.trim(), "read the configuration again: shared.url");
    conn.ok("queue_width", json!({"lane": "farm", "width": 2}));
    let next = add(&mut conn, &gob, "farm", "true");
    until(&mut conn, &next, "completed");
    conn.ok("queue_cancel", json!({"job_id": held}));
}

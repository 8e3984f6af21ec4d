//! Where workers listen, by real servers (D7): `ports`, views and events.

use crate::streams::Running;
use gob_tests::require::{Need, skip};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use serde_json::{Value, json};
use std::fs;

fn ctl<'a>(gob: &Gob, args: impl IntoIterator<Item = &'a str>) -> Ctl {
    let mut call = gob.ctl(args);
    call.cwd(gob.dir());
    call
}

/// Starts a job that runs this Python, which writes what it has to tell into the file `told`.
fn serve(gob: &Gob, name: &str, python: &str) {
    fs::write(gob.dir().join(format!("{name}.py")), format!("{PRELUDE}{python}\ntime.sleep(1000)\n"))
        .unwrap();
    ctl(gob, ["add", "--name", name, "python3", &format!("{name}.py")]).ok();
}

/// `tcp` and `udp` bind and tell the port; each socket is kept.
const PRELUDE: &str = "
import json, os, socket, sys, time
kept, ports = [], {}
def tell():
    with open(sys.argv[0] + '.new', 'w') as f: json.dump(ports, f)
    os.rename(sys.argv[0] + '.new', sys.argv[0] + '.told')
def bind(what, kind, address):
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, kind)
    s.bind((address, 0)); kept.append(s); ports[what] = s.getsockname()[1]
    return s
def tcp(what, address): s = bind(what, socket.SOCK_STREAM, address); s.listen(); return s
def udp(what, address): return bind(what, socket.SOCK_DGRAM, address)
";

/// Returns the ports that a server has told, once it has told these.
fn told(gob: &Gob, name: &str, wanted: &[&str]) -> Value {
    let path = gob.dir().join(format!("{name}.py.told"));
    let read = || -> Option<Value> { serde_json::from_slice(&fs::read(&path).ok()?).ok() };
    let has_all = |ports: Value| wanted.iter().all(|what| ports.get(what).is_some());
    assert!(wait::until(DEADLINE, || read().is_some_and(has_all)), "{name} does not tell {wanted:?}");
    read().unwrap()
}

/// Returns the listening sockets of a worker as `protocol address port`.
fn ports(gob: &Gob, name: &str) -> Vec<String> {
    let data = ctl(gob, ["-q", "ports", name, "--json"]).json();
    let row = |at: &Value| {
        assert_eq!(at["name"], name);
        let text = |key: &str| at[key].as_str().unwrap().to_owned();
        format!("{} {} {}", text("protocol"), text("address"), at["port"])
    };
    let mut rows: Vec<String> = data["ports"].as_array().unwrap().iter().map(row).collect();
    rows.sort();
    rows
}

#[test]
fn tcp_and_udp_sockets_of_the_whole_tree_are_listed() {
    let gob = Gob::new();
    serve(
        &gob,
        "web",
        "
tcp('v4', '127.0.0.1'); tcp('v6', '::1'); udp('udp', '0.0.0.0')
talks = udp('talks', '127.0.0.1'); talks.connect(('127.0.0.1', ports['udp']))
client = socket.create_connection(('127.0.0.1', ports['v4']))
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for s in kept: s.close()
        s = tcp('far', '127.0.0.2'); os.write(w, str(ports['far']).encode()); time.sleep(1000)
    os._exit(0)
ports['far'] = int(os.read(r, 9)); tell()",
    );
    let at = told(&gob, "web", &["v4", "v6", "udp", "far"]);
    let mut expected = vec![
        format!("tcp 127.0.0.1 {}", at["v4"]),
        format!("tcp 127.0.0.2 {}", at["far"]),
        format!("tcp ::1 {}", at["v6"]),
        format!("udp 0.0.0.0 {}", at["udp"]),
    ];
    expected.sort();
    assert_eq!(ports(&gob, "web"), expected);
    let view = ctl(&gob, ["get", "web"]).json()["worker"].clone();
    let rows = ctl(&gob, ["ports", "--json"]).json()["ports"].clone();
    for row in rows.as_array().unwrap() {
        let is_far = row["port"] == at["far"];
        assert_eq!(row["pid"] == view["pid"], !is_far, "{row}");
        let shown = json!({"port": row["port"], "protocol": row["protocol"], "pid": row["pid"]});
        assert!(view["ports"].as_array().unwrap().contains(&shown), "{shown} in {view}");
    }
    let table = ctl(&gob, ["ports"]).ok();
    assert!(table.starts_with("NAME   PORT  PROTOCOL  ADDRESS    PID\nweb   "), "{table}");
    assert_eq!(table.lines().count(), 5, "{table}");
    let list = ctl(&gob, ["list"]).ok();
    assert!(list.contains("tcp:") && view["endpoint"].is_null(), "{list}");
    let status = ctl(&gob, ["status", "web"]).ok();
    assert!(status.contains(&format!("{}/udp (pid ", at["udp"])), "{status}");
}

#[test]
fn a_port_that_opens_late_and_one_that_is_closed_are_told_by_events() {
    let gob = Gob::new();
    ctl(&gob, ["ping"]).ok();
    let mut events = Running::start(&mut ctl(&gob, ["events", "slow", "--json"]));
    serve(
        &gob,
        "slow",
        "
s = tcp('soon', '127.0.0.1'); tell()
time.sleep(3); tcp('late', '127.0.0.1'); s.close(); tell()",
    );
    let at = told(&gob, "slow", &["soon", "late"]);
    // Nobody asks: the supervisor looks by itself.
    let mut seen = Vec::new();
    while seen != [at["late"].clone()] {
        let event: Value = serde_json::from_str(&events.says("worker_updated")).unwrap();
        let ports = event["worker"]["ports"].as_array().unwrap();
        seen = ports.iter().map(|port| port["port"].clone()).collect();
    }
    events.end();
    ctl(&gob, ["stop", "slow"]).ok();
    assert_eq!(ctl(&gob, ["get", "slow"]).json()["worker"]["ports"], json!([]));
}

#[test]
fn thousands_of_sockets_are_listed_and_a_view_stays_small() {
    let gob = Gob::new();
    serve(
        &gob,
        "many",
        "
import resource
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
for i in range(1000): tcp(f't{i}', '127.0.0.1'); udp(f'u{i}', '127.0.0.1')
tell()",
    );
    told(&gob, "many", &["u999"]);
    assert_eq!(ports(&gob, "many").len(), 2_000);
    let view = ctl(&gob, ["get", "many"]).json();
    assert_eq!(view["worker"]["ports"].as_array().unwrap().len(), 64);
    let list = ctl(&gob, ["list"]).ok();
    assert!(list.contains(",…"), "{list}");
}

#[test]
fn workers_that_share_a_socket_are_one_entry_of_the_leader() {
    let gob = Gob::new();
    serve(
        &gob,
        "pre",
        "
tcp('at', '127.0.0.1')
for i in range(4):
    if os.fork() == 0: time.sleep(1000)
tell()",
    );
    let at = told(&gob, "pre", &["at"]);
    let rows = ctl(&gob, ["ports", "pre", "--json"]).json()["ports"].clone();
    let pid = ctl(&gob, ["get", "pre"]).json()["worker"]["pid"].clone();
    assert_eq!(
        rows,
        json!([{"name": "pre", "port": at["at"], "protocol": "tcp", "address": "127.0.0.1", "pid": pid}])
    );
}

#[test]
fn nothing_to_list_is_said_and_an_unknown_name_is_refused() {
    let gob = Gob::new();
    ctl(&gob, ["ping"]).ok();
    let none = ctl(&gob, ["ports"]).run();
    assert!(none.code == 0 && none.stderr.contains("no workers"), "{none}");
    ctl(&gob, ["add", "--name", "server", "sleep", "1000"]).ok();
    let none = ctl(&gob, ["ports", "server"]).run();
    assert!(none.code == 0 && none.stderr.contains("server listens on no port"), "{none}");
    ctl(&gob, ["stop", "server"]).ok();
    let down = ctl(&gob, ["ports", "server", "--json"]).run();
    assert!(down.code == 0 && down.stderr.contains("server does not run (idle)"), "{down}");
    assert_eq!(down.stdout, "{\"ports\":[]}\n");
    let unknown = ctl(&gob, ["ports", "servre"]).fails(4);
    assert!(unknown.stderr.contains("did you mean server?"), "{unknown}");
    ctl(&gob, ["shutdown"]).ok();
    ctl(&gob, ["--no-autostart", "ports"]).fails(7);
}

#[test]
fn sockets_in_a_network_namespace_of_its_own_are_seen() {
    let gob = Gob::new();
    let script = "import socket,time,sys; s=socket.socket(); s.bind(('0.0.0.0',4321)); s.listen(); open('up','w'); time.sleep(1000)";
    let tried = std::process::Command::new("unshare").args(["-n", "true"]).status();
    if !tried.is_ok_and(|status| status.success()) {
        return skip(Need::Namespaces, "a namespace of its own is refused");
    }
    ctl(&gob, ["add", "--name", "apart", "unshare", "-n", "python3", "-c", script]).ok();
    assert!(wait::until(DEADLINE, || gob.dir().join("up").exists()), "no server");
    assert_eq!(ports(&gob, "apart"), ["tcp 0.0.0.0 4321"]);
}

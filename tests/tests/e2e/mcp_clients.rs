//! Agents that are not the tests' own: one that has only the skill file, and clients of the Python package `mcp` and of the npm
//! package `@modelcontextprotocol/sdk`.

use gob_tests::Gob;
use gob_tests::process::is_alive;
use gob_tests::require::{Need, skip};
use gob_tests::wait::{self, DEADLINE};
use std::fs;

/// The commands are those of the skill file, and nothing else is known.
#[test]
fn an_agent_that_has_only_the_skill_starts_a_server_and_cannot_stop_the_desktops() {
    let gob = Gob::new();
    let Some(python) = crate::python::python() else { return };
    gob.ctl(["add", "--owner", "desktop", "--name", "site", "sleep", "1000"]).ok();
    let installed = gob.ctl(["skill", "--install", "skills"]).cwd(gob.dir()).ok();
    assert_eq!(installed, "installed skills/gob/SKILL.md\n");
    assert_eq!(
        gob.ctl(["skill", "--install", "skills"]).cwd(gob.dir()).ok(),
        "is up to date: skills/gob/SKILL.md\n"
    );
    let skill = fs::read_to_string(gob.dir().join("skills/gob/SKILL.md")).unwrap();
    assert_eq!(skill, gob.ctl(["skill", "--print"]).ok());
    assert_eq!(fs::read_dir(gob.dir().join("skills/gob")).unwrap().count(), 1, "nothing is left beside it");
    assert!(skill.contains("export GOB_OWNER=agent"), "{skill}");
    let agent = |line: &str| {
        let mut call = gob.ctl(line.split(' '));
        call.env("GOB_OWNER", "agent").cwd(gob.dir());
        call
    };
    let server = format!("add --name web {} -u -m http.server 0 --bind 127.0.0.1", python.display());
    agent(&server).ok();
    let mut port = String::new();
    let listens = || {
        port = agent("ports web --json").run().stdout;
        port.contains("127.0.0.1")
    };
    assert!(wait::until(DEADLINE, listens), "{port}");
    assert!(wait::until(DEADLINE, || agent("logs -n 20 web").ok().contains("Serving HTTP on 127.0.0.1")));
    assert_eq!(agent("run true").run().code, 0);
    let refused = agent("stop site").fails(5);
    assert!(refused.stderr.contains("site is owned by desktop, you are agent"), "{refused}");
    let pid = gob.ctl(["get", "site"]).json()["worker"]["pid"].as_i64().unwrap();
    assert!(is_alive(i32::try_from(pid).unwrap()));
    agent("stop web").ok();
    assert!(gob.ctl(["skill", "--install", "/dev/null"]).fails(1).stderr.contains("hint: "));
}

/// Runs a client that is not ours against the server.
fn foreign(program: &str, need: Need, script: &str) {
    let Some(program) = crate::servers::tool(program) else {
        return skip(need, &format!("there is no {program} for tests/interop/{script}"));
    };
    let gob = Gob::new();
    gob.ctl(["add", "--owner", "desktop", "--name", "site", "sleep", "1000"]).ok();
    let script = format!("{}/interop/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut call = gob_tests::Ctl::new(&program, gob.env());
    let tools = crate::servers::tools();
    call.env("GOB_TEST_TOOLS", tools.to_str().unwrap()).cwd(gob.dir());
    let path = format!("{}:{}", gob.dir().join("bin").display(), std::env::var("PATH").unwrap());
    call.env("PATH", &path);
    let told = call.args([script.as_str(), gob.bin("gobctl").to_str().unwrap()]).run_within(DEADLINE * 2);
    assert_eq!((told.code, told.stdout.lines().last()), (0, Some("done")), "{told}");
}

#[test]
fn the_python_package_mcp_is_served() {
    let has_package = crate::servers::tools().join("venv/bin/mcp").is_file();
    if !has_package {
        return skip(Need::PythonMcp, "the Python package mcp is not here, so nobody tried it");
    }
    foreign("python", Need::PythonMcp, "mcp_client.py");
}

#[test]
fn the_npm_package_of_the_protocol_is_served() {
    let has_package = crate::servers::tools().join("npm/node_modules/@modelcontextprotocol/sdk").is_dir();
    if !has_package {
        return skip(
            Need::NodeMcp,
            "the npm package @modelcontextprotocol/sdk is not here, so nobody tried it",
        );
    }
    foreign("node", Need::NodeMcp, "mcp-client.mjs");
}

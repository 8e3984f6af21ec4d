//! `gobctl export`, units of systemd and a compose file: what is printed is read back by the programs that it is for.

use gob_tests::{Gob, Worker};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// A word with everything that a unit or a compose file could change.
const HARD: &str = "a b $HOME ${X} 50% \"q\" it's \\ # : é\n\tz";

#[test]
fn a_unit_has_the_command_the_directory_and_a_restart() {
    let gob = Gob::new();
    let dir = gob.dir().join("home");
    let mut add = gob.ctl(["add", "--name", "web", "--", "printf", "%s", HARD, ";", ""]);
    add.cwd(&dir).ok();
    gob.ctl(["wait", "web"]).ok();
    let unit = gob.ctl(["export", "systemd", "web"]).ok();
    let printf =
        if std::path::Path::new("/usr/bin/printf").exists() { "/usr/bin/printf" } else { "/bin/printf" };
    let want = format!(
        "ExecStart={printf} \"%%s\" \"a b $$HOME $${{X}} 50%% \\\"q\\\" it's \\\\ # : é\\n\\tz\" \\; \"\"\n"
    );
    assert!(unit.contains(&want), "{unit}\n{want}");
    assert!(unit.contains(&format!("WorkingDirectory={}\n", dir.display())), "{unit}");
    assert!(unit.contains("Restart=on-failure\n") && unit.contains("WantedBy=default.target\n"), "{unit}");
    let told = gob.ctl(["export", "systemd", "web", "--json"]).json();
    assert_eq!(told, json!({"format": "systemd", "files": [{"name": "web.service", "text": unit}]}));
    // systemd itself, where it is here, finds nothing wrong with it.
    let file = gob.dir().join("web.service");
    fs::write(&file, &unit).unwrap();
    let mut verify = Command::new("systemd-analyze");
    if let Ok(told) = verify.args(["--user", "verify"]).arg(&file).env("XDG_RUNTIME_DIR", gob.dir()).output()
    {
        let said = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(!said.contains("web.service"), "{said}\n{unit}");
    }
}

#[test]
fn several_units_stand_behind_their_names() {
    let gob = Gob::with(Worker::Real);
    gob.ctl(["start", "notes/2026", "b"]).ok();
    let units = gob.ctl(["export", "systemd", "notes/2026", "b"]).ok();
    let heads: Vec<&str> = units.lines().filter(|line| line.starts_with("# ")).collect();
    assert_eq!(heads.len(), 2, "{units}");
    assert_eq!(heads[1], "# b.service");
    let worker = gob.bin("gob-graph-worker");
    assert_eq!(units.matches(&format!("ExecStart={}", worker.display())).count(), 2, "{units}");
}

#[test]
fn a_compose_file_is_read_back_by_yaml() {
    let gob = Gob::with(Worker::Real);
    gob.ctl(["start", "g"]).ok();
    gob.ctl(["add", "--name", "web", "--", "printf", "%s", HARD]).ok();
    gob.ctl(["wait", "web"]).ok();
    let file = gob.ctl(["export", "compose", "g", "web"]).ok();
    // Each value is JSON; the keys stand in the lines before it.
    let mut services: Vec<(String, serde_json::Map<String, Value>)> = Vec::new();
    for line in file.lines().skip(1) {
        let Some(field) = line.strip_prefix("    ") else {
            let name: String = serde_json::from_str(line.trim().strip_suffix(':').unwrap()).unwrap();
            services.push((name, serde_json::Map::new()));
            continue;
        };
        let (key, value) = field.split_once(": ").unwrap();
        services.last_mut().unwrap().1.insert(key.to_owned(), serde_json::from_str(value).unwrap());
    }
    assert_eq!((file.lines().next(), services.len()), (Some("services:"), 2), "{file}");
    let (name, web) = &services[1];
    assert_eq!(name, "web");
    assert_eq!(web["entrypoint"][2], json!(HARD.replace('$', "$$")));
    assert_eq!((&web["network_mode"], &web["init"]), (&json!("host"), &json!(true)));
    let mounted: Vec<&str> = services[0].1["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| volume["source"].as_str().unwrap())
        .collect();
    assert!(mounted.contains(&gob.data_dir().to_str().unwrap()), "{mounted:?}");
}

#[test]
fn a_path_is_read_by_systemd_as_it_is_or_refused() {
    let gob = Gob::new();
    let dir = gob.dir().join("d$y 50%");
    fs::create_dir(&dir).unwrap();
    std::os::unix::fs::symlink("/bin/sleep", dir.join("slp$z")).unwrap();
    let program = dir.join("slp$z").display().to_string();
    let mut add = gob.ctl(["add", "--name", "odd", "--", &program, "1000"]);
    add.cwd(&dir).ok();
    let unit = gob.ctl(["export", "systemd", "odd"]).ok();
    let written = dir.display().to_string().replace('%', "%%");
    for line in [
        format!("RequiresMountsFor=\"{written}\""),
        format!("WorkingDirectory={written}"),
        format!("ExecStart=\"{written}/slp$z\" 1000"),
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}\n{unit}");
    }
    let file = gob.dir().join("odd.service");
    fs::write(&file, &unit).unwrap();
    let mut verify = Command::new("systemd-analyze");
    if let Ok(told) = verify.args(["--user", "verify"]).arg(&file).env("XDG_RUNTIME_DIR", gob.dir()).output()
    {
        let said = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(!said.contains("odd.service") && !said.contains("slp"), "{said}\n{unit}");
    }
    for (at, name) in ["a\nb", "trail ", "back\\"].into_iter().enumerate() {
        let dir = gob.dir().join(name);
        fs::create_dir(&dir).unwrap();
        let worker = format!("w{at}");
        gob.ctl(["add", "--name", &worker, "--", "sleep", "1000"]).cwd(&dir).ok();
        let refused = gob.ctl(["export", "systemd", &worker]).fails(1);
        assert!(
            refused.stderr.contains(&format!("the directory of {worker} cannot stand in a unit")),
            "{refused}"
        );
    }
    let quoted = gob.dir().join("q\"t");
    std::os::unix::fs::symlink("/bin/sleep", &quoted).unwrap();
    gob.ctl(["add", "--name", "q", "--", quoted.to_str().unwrap(), "1000"]).ok();
    let refused = gob.ctl(["export", "systemd", "q"]).fails(1);
    assert!(refused.stderr.contains("the program of q cannot stand in a unit"), "{refused}");
}

#[test]
fn what_cannot_be_exported_is_refused() {
    let gob = Gob::new();
    let missing = gob.ctl(["export", "systemd", "nosuch"]).fails(4);
    assert!(missing.stderr.contains("nosuch") && missing.stdout.is_empty(), "{missing}");
    let form = gob.ctl(["export", "docker", "g"]).fails(2);
    assert!(form.stderr.contains("there are: systemd, compose"), "{form}");
    gob.ctl(["export", "systemd"]).fails(2);
    gob.ctl(["export"]).fails(2);
}

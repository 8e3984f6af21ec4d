use super::{ctl, project};
use gob_tests::Gob;
use gob_tests::terminal::Terminal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

const FILE: &str = "[[job]]\ncommand = \"touch ran\"\nautostart = true\nname = \"t\"\n";

/// Asserts that `up` refuses the file and runs nothing of it.
fn refused(gob: &Gob, dir: &Path, part: &str) {
    let out = ctl(gob, dir, ["up"]).fails(1);
    assert!(out.stderr.contains(part) && out.stderr.contains("hint: "), "{out}");
    assert!(!dir.join("ran").exists(), "it ran");
}

#[test]
fn nothing_runs_before_trust_nor_after_a_change() {
    let gob = Gob::new();
    let dir = project(&gob, FILE);
    let path = dir.join(".config/gobfile.toml");
    refused(&gob, &dir, "is not trusted");
    let told = ctl(&gob, gob.dir(), ["trust", dir.to_str().unwrap()]).ok();
    assert!(told.starts_with("t: touch ran  (autostart)\ntrusted "), "{told}");
    fs::write(&path, FILE.replace("touch ran", "touch ran too")).unwrap();
    refused(&gob, &dir, "has changed since it was trusted");
    let told = ctl(&gob, &dir, ["trust"]).ok();
    assert!(told.contains("\n-command = \"touch ran\"\n+command = \"touch ran too\"\n"), "{told}");
    fs::write(&path, FILE).unwrap();
    refused(&gob, &dir, "has changed since it was trusted");
    let json: Value = ctl(&gob, &dir, ["trust", "--json"]).json();
    assert_eq!((&json["was_trusted"], &json["jobs"][0]["name"]), (&false.into(), &"t".into()));
    let again = ctl(&gob, &dir, ["trust"]).ok();
    assert!(again.contains("is already trusted"), "{again}");
    ctl(&gob, &dir, ["up"]).ok();
    let list = gob.state_dir().join("trusted.json");
    assert_eq!(fs::metadata(&list).unwrap().mode() & 0o777, 0o600);
    fs::write(&list, "{").unwrap();
    let out = ctl(&gob, &dir, ["up"]).fails(1);
    assert!(out.stderr.contains("trusted.json can't be used"), "{out}");
}

#[test]
fn a_terminal_is_asked_and_nothing_but_yes_is_trust() {
    let gob = Gob::new();
    let dir = project(&gob, FILE);
    for (answer, code) in [("\n", 1), ("n\n", 1), ("y\n", 0)] {
        let mut terminal = Terminal::session(ctl(&gob, &dir, ["trust"]), 200);
        terminal.wait_for(|shown| shown.contains("[y/N]"));
        terminal.type_in(answer);
        let (got, shown) = terminal.end();
        assert_eq!(got, code, "{answer:?}: {shown}");
        assert_eq!(gob.state_dir().join("trusted.json").exists(), code == 0);
    }
}

#[test]
fn a_file_moved_or_copied_elsewhere_is_not_trusted() {
    let gob = Gob::new();
    let dir = project(&gob, FILE);
    ctl(&gob, &dir, ["trust"]).ok();
    let other = gob.dir().join("other");
    fs::create_dir_all(other.join(".config")).unwrap();
    fs::copy(dir.join(".config/gobfile.toml"), other.join(".config/gobfile.toml")).unwrap();
    refused(&gob, &other, "is not trusted");
    // By a link the text is read where it lies, and its hash decides.
    let elsewhere = gob.dir().join("elsewhere");
    fs::write(&elsewhere, FILE).unwrap();
    fs::remove_file(other.join(".config/gobfile.toml")).unwrap();
    symlink(&elsewhere, other.join(".config/gobfile.toml")).unwrap();
    ctl(&gob, &other, ["trust"]).ok();
    fs::write(&elsewhere, FILE.replace("ran", "ran2")).unwrap();
    refused(&gob, &other, "has changed since it was trusted");
}

#[test]
fn a_file_with_errors_is_neither_trusted_nor_run_and_each_is_named() {
    let gob = Gob::new();
    let text = "[[job]]\ncommand = \"a\"\nname = \"a\"\ndepends_on = [\"b\"]\n\
                [[job]]\ncommand = \"b\"\nname = \"b\"\ndepends_on = [\"a\"]\nautostrat = true\n";
    let dir = project(&gob, text);
    for verb in ["trust", "up", "down"] {
        let out = ctl(&gob, &dir, [verb]).fails(1);
        for part in [
            "gobfile.toml:4:14: job.depends_on: the jobs wait for each other: a → b → a",
            "gobfile.toml:9:1: job.autostrat: there is no such key; did you mean `autostart`?",
        ] {
            assert!(out.stderr.contains(part), "{verb}: {out}");
        }
    }
    let dir = project(&gob, "[[job]\n");
    let out = ctl(&gob, &dir, ["up"]).fails(1);
    assert!(out.stderr.contains("gobfile.toml:1:7: unclosed array table"), "{out}");
}

#[test]
fn a_command_is_shown_as_a_shell_would_have_to_get_it() {
    let gob = Gob::new();
    let text = "[[job]]\ncommand = \"echo $A | wc -c\"\nenv = { A = \"b c\" }\n";
    let dir = project(&gob, text);
    let told = ctl(&gob, &dir, ["trust"]).ok();
    assert!(told.starts_with("A='b c' echo '$A' '|' wc -c\ntrusted "), "{told}");
}

//! The manual pages, as the real programs read them; and the commands for packagers in `docs/PACKAGING.md`.

use gob_tests::Gob;
use gob_tests::ctl::Ctl;
use gob_tests::require::{Need, skip};
use std::path::{Path, PathBuf};

const PACKAGING: &str = include_str!("../../../docs/PACKAGING.md");

fn pages(dir: &Path) -> Vec<PathBuf> {
    let mut pages: Vec<_> = dir.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    pages
}

/// Has a program read every page; what it says is returned.
fn complaints(gob: &Gob, dir: &Path, program: &'static str, args: &[&str]) -> Vec<String> {
    let path = Path::new("/usr/bin").join(program);
    if !path.exists() {
        skip(Need::Pages(program), &format!("{program} is not here, and did not read the manual pages"));
        return Vec::new();
    }
    let mut said = Vec::new();
    for page in pages(dir) {
        let mut ctl = Ctl::new(&path, gob.env());
        let out = ctl.args(args.iter().copied().chain([page.to_str().unwrap()])).run();
        // mandoc tells on standard output, groff shows the page there.
        let told = if program == "mandoc" { out.stdout } else { out.stderr };
        said.extend(told.lines().map(str::to_owned));
    }
    said
}

#[test]
fn pages_are_written_the_same_each_time_and_read_without_a_warning() {
    let gob = Gob::new();
    let dir = gob.dir().join("man1");
    let call = |dir: &Path| gob.ctl(["man", dir.to_str().unwrap()]).run();
    let missing = call(&dir);
    assert_eq!(missing.code, 1, "{}", missing.stderr);
    assert!(
        missing.stderr.contains("No such file") && missing.stderr.contains("mkdir -p"),
        "{}",
        missing.stderr
    );
    std::fs::create_dir(&dir).unwrap();
    let out = call(&dir);
    assert_eq!(out.code, 0, "{}", out.stderr);
    let written = pages(&dir);
    assert_eq!(out.stdout, format!("wrote {} manual pages to {}\n", written.len(), dir.display()));
    for page in ["gobctl.1", "gobctl-start.1", "gobctl-queue.1", "gobctl-queue-add.1", "gobctl-man.1"] {
        assert!(dir.join(page).exists(), "{page}");
    }
    let texts = || pages(&dir).iter().map(|page| std::fs::read_to_string(page).unwrap()).collect::<Vec<_>>();
    let before = texts();
    assert_eq!(call(&dir).code, 0);
    assert_eq!(texts(), before);
    assert_eq!(call(&dir.join("gobctl.1")).code, 1, "a file is no directory");
    let said = complaints(&gob, &dir, "groff", &["-K", "utf8", "-man", "-Tutf8", "-ww"]);
    assert_eq!(said, Vec::<String>::new());
    // A page without a date says the same whenever it was built.
    let said = complaints(&gob, &dir, "mandoc", &["-T", "lint", "-W", "warning"]);
    let said: Vec<_> = said.into_iter().filter(|line| !line.contains("missing date")).collect();
    assert_eq!(said, Vec::<String>::new());
    assert_eq!(gob.processes(), Vec::<i32>::new(), "no supervisor is started");
}

#[test]
fn the_commands_for_packagers_install_what_they_say() {
    let gob = Gob::new();
    let block = PACKAGING.split("<!-- package -->\n```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let root = gob.dir().join("root");
    let mut ctl = Ctl::new("/bin/sh".as_ref(), gob.env());
    ctl.args(["-euc", block.expect("a block of commands")]).env("DESTDIR", root.to_str().unwrap()).ok();
    let files = [
        ("share/bash-completion/completions/gobctl", "complete -F _gobctl gobctl"),
        ("share/zsh/vendor-completions/_gobctl", "#compdef gobctl"),
        ("share/fish/vendor_completions.d/gobctl.fish", "complete -c gobctl"),
        ("share/man/man1/gobctl.1", ".TH gobctl 1"),
    ];
    for (path, has) in files {
        assert!(
            PACKAGING.contains(path.rsplit_once('/').map_or(path, |(dir, _)| dir)),
            "{path} is documented"
        );
        let text = std::fs::read_to_string(root.join("usr").join(path)).expect(path);
        assert!(text.contains(has), "{path}");
    }
}

//! Checks that the patches of `tests/sabotage`, which test the fault harness itself, fit the present tree.
#![allow(missing_docs, reason = "a test has no interface")]

use std::path::Path;
use std::process::Command;

#[test]
fn every_sabotage_still_applies_and_is_described() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let faults = include_str!("../../docs/FAULTS.md");
    let patches = std::fs::read_dir(top.join("tests/sabotage")).unwrap().map(|entry| entry.unwrap().path());
    let patches: Vec<_> =
        patches.filter(|path| path.extension().is_some_and(|ending| ending == "patch")).collect();
    assert!(patches.len() >= 17, "{patches:?}");
    for patch in patches {
        let name = patch.file_stem().unwrap().to_str().unwrap();
        assert!(faults.contains(&format!("`{name}`")), "docs/FAULTS.md says nothing of {name}");
        let mut apply = Command::new("git");
        apply.args(["apply", "--check", "-p1"]).arg(&patch).current_dir(&top);
        let output = apply.output().expect("git");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name} does not apply any more: {said}");
    }
}

//! `docs/TESTS.md` names tests that there are.
#![allow(missing_docs, reason = "a test has no interface")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const DOCUMENT: &str = include_str!("../../docs/TESTS.md");

/// The tests of each file of `e2e/`.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    // A folder holds what helps the file of its name.
    let files = files.filter(|path| path.is_file() && path.file_stem().is_some_and(|stem| stem != "main"));
    files
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let names =
                text.split("#[test]\nfn ").skip(1).map(|rest| rest.split('(').next().unwrap().to_owned());
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), names.collect())
        })
        .collect()
}

#[test]
fn every_test_that_is_named_exists_and_every_file_is_named() {
    let tests = tests();
    let mut named = BTreeSet::new();
    for reference in DOCUMENT.split('`').skip(1).step_by(2) {
        let Some((file, test)) = reference.split_once("::") else { continue };
        assert!(tests.get(file).is_some_and(|names| names.contains(test)), "there is no test {reference}");
        named.insert(file.to_owned());
    }
    let files: BTreeSet<String> = tests.into_keys().collect();
    assert_eq!(named, files);
}

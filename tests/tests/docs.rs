//! Checks that `docs/TESTS.md` lists the files of `e2e/`, that `docs/FAULTS.md` names existing tests, and `ARCHITECTURE.md` the
//! files. `GOB_WRITE_DOCS=1` writes the table of `docs/TESTS.md` from the files.
#![allow(missing_docs, reason = "a test has no interface")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const FAULTS: &str = include_str!("../../docs/FAULTS.md");

/// Returns the files of `e2e/` with their text, by name.
fn files() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    // A folder holds helpers of the file with its name.
    let files = files.filter(|path| path.is_file() && path.file_stem().is_some_and(|stem| stem != "main"));
    files
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// Returns the tests of each file of `e2e/`.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let names = |text: &str| {
        text.split("#[test]\nfn ").skip(1).map(|rest| rest.split('(').next().unwrap().to_owned()).collect()
    };
    files().into_iter().map(|(file, text)| (file, names(&text))).collect()
}

/// Returns the table of `docs/TESTS.md`: each file with the first paragraph of its documentation.
fn table() -> String {
    let row = |(file, text): (String, String)| {
        let lines = text.lines().map_while(|line| line.strip_prefix("//! "));
        let subject = lines.collect::<Vec<_>>().join(" ");
        assert!(
            !subject.is_empty() && !subject.contains('|'),
            "{file} begins with a line that says what it tests"
        );
        format!("| `{file}` | {subject} |\n")
    };
    files().into_iter().map(row).collect()
}

/// Returns the names of tests in a document: file and name of a test of `e2e/`.
fn references(document: &str) -> impl Iterator<Item = (&str, &str)> {
    document.split('`').skip(1).step_by(2).filter_map(|reference| {
        let (file, test) = reference.split_once("::")?;
        // An argument that chooses tests, or none at all, may follow.
        (!test.is_empty() && !file.contains(' ')).then_some((file, test))
    })
}

#[test]
fn the_table_of_tests_is_that_of_the_files() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/TESTS.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once("|---|---|\n").expect("a table");
    let (found, after) = rest.split_once("\n\n").expect("text behind the table");
    let (found, expected) = (format!("{found}\n"), table());
    if std::env::var_os("GOB_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}|---|---|\n{expected}\n{after}")).unwrap();
        return;
    }
    assert_eq!(found, expected, "GOB_WRITE_DOCS=1 cargo test -p gob-tests --test docs writes it");
}

#[test]
fn every_row_of_the_faults_names_tests_that_exist_or_says_that_there_are_none() {
    let tests = tests();
    let (_, table) = FAULTS.split_once("## The table").unwrap();
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let proof = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let mut named = 0;
        for (file, test) in references(proof) {
            assert!(tests.get(file).is_some_and(|names| names.contains(test)), "no test {file}::{test}");
            named += 1;
        }
        for (file, test) in proof.split('`').filter_map(|reference| reference.split_once(".rs: ")) {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file).with_extension("rs");
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(
                text.contains(&format!("#[test]\nfn {test}("))
                    || text.contains(&format!("#[test]\n    fn {test}(")),
                "no test {test} in {file}.rs"
            );
            named += 1;
        }
        assert!(named > 0 || proof.starts_with("not built yet"), "nothing shows {row}");
    }
}

/// The maps of `ARCHITECTURE.md` that name every file of a folder: the beginning of each, and the folder.
const MAPS: [(&str, &str); 10] = [
    ("In the configuration,", "protocol/config/src"),
    ("On the machine,", "protocol/host/src"),
    ("In the keeper,", "supervisor/keeper/src"),
    ("In the graph worker,", "supervisor/graph/src"),
    ("In the store,", "supervisor/store/src"),
    ("In the client library,", "client/src"),
    ("In the Node client,", "client/node/src"),
    ("In the command line,", "client/cli/src"),
    ("In the server for agents,", "client/mcp/src"),
    ("In the window,", "client/desktop/src"),
];

#[test]
fn maps_of_the_architecture_name_every_file_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    for (title, folder) in MAPS {
        let (_, rest) = text.split_once(title).unwrap();
        let rows =
            rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
        let words = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
        let is_file = |name: &str| [".rs", ".ts", "/"].iter().any(|end| name.ends_with(end));
        let named: BTreeSet<String> = words.filter(|word| is_file(word)).map(str::to_owned).collect();
        for name in &named {
            assert!(root.join(folder).join(name).exists(), "{title} there is no {folder}/{name}");
        }
        for entry in fs::read_dir(root.join(folder)).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let name = if entry.path().is_dir() { format!("{name}/") } else { name };
            let is_named =
                named.contains(&name) || name == "lib.rs" || name.contains("tests") || !is_file(&name);
            assert!(is_named, "{title} nothing names {folder}/{name}");
        }
    }
}

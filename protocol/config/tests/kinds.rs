//! Checks the kinds of `docs/examples/kinds/`, which people copy into their configuration.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test has no interface, and fails by panicking"
)]

use gob_config::Config;
use std::{fs, path::Path};

#[test]
fn every_example_parses_to_the_kind_it_is_named_after() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/kinds");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    assert!(paths.len() >= 7, "{paths:?}");
    for path in paths {
        let (text, shown) = (fs::read_to_string(&path).unwrap(), path.display().to_string());
        let config =
            Config::parse(&text, Some("/home/ada"), &shown).unwrap_or_else(|e| panic!("{shown}: {e:?}"));
        let kind = path.file_stem().unwrap().to_str().unwrap();
        assert!(config.kind_of("x", Some(kind)).is_ok(), "{shown} has no kind {kind}");
    }
}

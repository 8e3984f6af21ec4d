//! The walls between the files of the core: no file is in a cycle with another, by imports or by calls; only a method that
//! spans workers is one of `Core`; and what is impossible is not passed over in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::fs;
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

/// Methods that `Core` may have.
const CORE_METHODS: usize = 60;

/// Times that a function may leave without a word; each for a case that is possible.
const SILENT_RETURNS: usize = 30;

/// Every production file by its module path, such as `worker/life`, without its comments and tests.
fn files() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    let mut dirs = Vec::from([root.clone()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() && entry.file_name().unwrap() != "tests" {
                dirs.push(entry);
            } else if entry.extension().is_some_and(|ext| ext == "rs") {
                let text = fs::read_to_string(&entry).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                let code = code.collect::<Vec<_>>().join("\n");
                let name = entry.strip_prefix(&root).unwrap().with_extension("");
                files.insert(name.to_str().unwrap().to_string(), code);
            }
        }
    }
    files.remove("lib");
    files
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The files that this one names after `crate::` or `super::`, or as its own parts.
fn imports<'a>(file: &str, code: &str, all: &'a BTreeMap<String, String>) -> BTreeSet<&'a str> {
    let parent = file.rsplit_once('/').map(|(parent, _)| parent);
    let mut found = BTreeSet::new();
    let mut name = |path: &str| {
        let known = all.get_key_value(path).map(|(path, _)| path.as_str());
        found.extend(known);
        known.is_some()
    };
    for (prefix, base) in [("crate::", None), ("super::", parent), ("use ", Some(file))] {
        for rest in code.split(prefix).skip(1) {
            let path = rest.split([';', ')', '(']).next().unwrap_or_default();
            let (first, more) = path.split_once("::").unwrap_or((path, ""));
            let of = |word: &str| base.map_or_else(|| word.to_string(), |base| format!("{base}/{word}"));
            for word in words(first) {
                // An item of the parent, not one of its files.
                if !name(&of(word)) && prefix == "super::" {
                    name(parent.unwrap_or_default());
                }
            }
            // `crate::worker::{Worker, ask}` names two files.
            let module = of(words(first).next().unwrap_or_default());
            for word in words(more) {
                name(&format!("{module}/{word}"));
            }
        }
    }
    found.remove(file);
    found
}

/// The methods that a file gives to a type.
fn methods<'a>(code: &'a str, of: &str) -> Vec<&'a str> {
    let begin = format!("impl {of} {{");
    let blocks = code.split(begin.as_str()).skip(1).map(|rest| rest.split("\n}").next().unwrap_or_default());
    blocks.flat_map(|block| block.split(" fn ").skip(1)).filter_map(|rest| words(rest).next()).collect()
}

/// The edges between files: an import, or a call of a method of `Core` or `Worker` that the other file defines.
fn edges(all: &BTreeMap<String, String>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut edges: BTreeMap<&str, BTreeSet<&str>> =
        all.iter().map(|(file, code)| (file.as_str(), imports(file, code, all))).collect();
    for (of, object) in [("Core", "core."), ("Worker", "worker.")] {
        let defined =
            all.iter().flat_map(|(file, code)| methods(code, of).into_iter().map(move |name| (name, file)));
        let definers: BTreeMap<&str, &String> = defined.collect();
        for (file, code) in all {
            let own = (!methods(code, of).is_empty()).then_some("self.");
            for call in own.into_iter().chain([object]).flat_map(|object| code.split(object).skip(1)) {
                let method = words(call).next().unwrap_or_default();
                let definer = definers.get(method).filter(|_| call.starts_with(&format!("{method}(")));
                let to = edges.entry(file).or_default();
                to.extend(definer.filter(|definer| **definer != file).map(|definer| definer.as_str()));
            }
        }
    }
    edges
}

#[test]
fn no_file_is_in_a_cycle_with_another() {
    let all = files();
    let mut edges = edges(&all);
    assert!(edges["worker/transitions"].contains("worker/start") && edges["door"].contains("worker/wishes"));
    assert!(edges["refusals/graph"].contains("refusals/request") && edges["worker"].contains("run"));
    // Files that use no other that is left are taken away, until all are gone.
    while let Some(leaf) = edges.iter().find(|(_, to)| to.is_empty()).map(|(file, _)| *file) {
        edges.remove(leaf);
        edges.values_mut().for_each(|to| to.retain(|file| *file != leaf));
    }
    assert!(edges.is_empty(), "in a cycle, or above one: {edges:#?}");
}

#[test]
fn the_list_in_lib_is_in_the_order_of_use() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | `")?.split('|').next());
    let list: Vec<&str> = rows.flat_map(words).collect();
    let place = |file: &str| {
        let top = file.split('/').next().unwrap_or(file);
        list.iter().position(|listed| *listed == top).unwrap_or_else(|| panic!("{file} is not in the list"))
    };
    let all = files();
    for (file, used) in all
        .iter()
        .flat_map(|(file, code)| imports(file, code, &all).into_iter().map(move |used| (file.as_str(), used)))
    {
        assert!(place(used) <= place(file), "{file} uses {used}, which comes later in the list");
    }
}

#[test]
fn a_step_knows_no_worker_and_no_other_step() {
    let all = files();
    for step in ["start", "ready", "live", "ask", "end", "sweep", "examine"] {
        let file = format!("worker/{step}");
        let to = imports(&file, &all[&file], &all);
        assert!(to.iter().all(|other| !other.starts_with("worker")), "{file} uses {to:?}");
    }
}

#[test]
fn core_has_few_methods_and_no_silence() {
    let all = files();
    let count: usize = all.values().map(|code| methods(code, "Core").len()).sum();
    assert!((10..=CORE_METHODS).contains(&count), "{count} methods");
    let silent = |code: &String| {
        code.matches("else { return }").count() + code.matches("else { return Step::Stay }").count()
    };
    let count: usize = all.values().map(silent).sum();
    assert!(count <= SILENT_RETURNS, "{count} silent returns");
    std::println!("{} files, {count} silent returns", all.len());
}

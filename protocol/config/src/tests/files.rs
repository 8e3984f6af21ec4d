//! Tests of several files: precedence, references between them, and keys that stand twice.

use super::*;
use crate::trust::{file_names, text_of};

const MAIN: &str = "/c/config.toml";

fn more(name: &str, text: &str) -> FileText {
    FileText { is_main: false, ..FileText::read(format!("/c/config.d/{name}.toml"), text) }
}

/// Returns the configuration in effect, and the problems of each refused file.
fn settle(files: &[FileText]) -> (Config, Vec<String>) {
    let (config, rejected) = Reading::of(files, None).settle(&Config::default());
    (config, told(&rejected))
}

fn told(rejected: &[Rejected]) -> Vec<String> {
    let each = |file: &Rejected| {
        let problems = file.problems.iter().map(|problem| format!("{}:{problem}", file.path));
        problems.collect::<Vec<_>>()
    };
    rejected.iter().flat_map(each).collect()
}

#[test]
fn a_slip_in_one_file_leaves_the_others_in_effect() {
    let files = [
        FileText::read(MAIN, "default_kind = \"app\"\n[graph.work]\nkind = \"slip\"\n"),
        more("app", "[kind.app]\ncommand = [\"app\"]\n"),
        more("slip", "[kind.slip]\ncommand = [\"slip\"]\n[kind.other]\ncomand = [\"other\"]\n"),
        more("z", "[kind.z]\ncommand = [\"z\"]\n[restart]\npolicy = \"always\"\n"),
    ];
    let (config, told) = settle(&files);
    assert_eq!(config.kinds.keys().collect::<Vec<_>>(), ["app", "graph", "z"]);
    assert_eq!(config.kind_of("anything", None).unwrap().0, "app", "the kind of another file");
    assert_eq!(config.kind_of("work", None), Err("slip".to_owned()), "no graph comes up as something else");
    assert_eq!(config.kinds["app"].restart.on, RestartOn::Always, "[restart] is for the kinds of all files");
    let want = [
        "/c/config.d/slip.toml:3:1: kind.other: it needs a `command`; such as command = [\"redis-server\", \"--port\", \"{port}\"]",
        "/c/config.d/slip.toml:4:1: kind.other.comand: there is no such key; did you mean `command`?",
    ];
    assert_eq!(told, want);
    assert_eq!(config.files().collect::<Vec<_>>(), [MAIN, "/c/config.d/app.toml", "/c/config.d/z.toml"]);
    let source = config.settings().into_iter().find(|setting| setting.key == "kind.app.command").unwrap();
    assert_eq!(source.source, Source::Line("/c/config.d/app.toml".into(), 2));
}

#[test]
fn a_key_in_two_files_is_reported_with_both_places() {
    let twice = "[kind.x]\ncommand = [\"b\"]\n";
    let files = [
        FileText::read(MAIN, "\n[kind.x]\ncommand = [\"a\"]\n[logs]\nkeep = 1\n"),
        more("a", twice),
        more("b", "[logs]\nkeep = 2\n[kind.y]\ncommand = [\"y\"]\n"),
        more("c", twice),
    ];
    let (config, told) = settle(&files);
    let want = [
        "/c/config.d/a.toml:1:7: kind.x: it stands in /c/config.toml:2 already, and one file may say it",
        "/c/config.d/b.toml:1:2: logs: it stands in /c/config.toml:4 already, and one file may say it",
        "/c/config.d/c.toml:1:7: kind.x: it stands in /c/config.toml:2 already, and one file may say it",
    ];
    assert_eq!(told, want);
    assert_eq!((config.kinds["x"].command[0].as_str(), config.logs.keep), ("a", 1));
    assert!(!config.kinds.contains_key("y"), "a file is used as a whole or not at all");
}

#[test]
fn a_key_that_stands_twice_in_a_file_is_named_with_both_places() {
    let twice = |text: &str| problems(text);
    assert_eq!(
        twice("[kind.x]\ncommand = [\"a\"]\n[kind.y]\ncommand = [\"b\"]\n  command = [\"c\"]\n"),
        ["5:3: kind.y.command: it stands twice: in config.toml:4 already"]
    );
    assert_eq!(
        twice("[kind.x]\ncommand = [\"a\"]\n[kind.x] \ncwd = \"/\"\n"),
        ["3:7: kind.x: it stands twice: in config.toml:1 already"]
    );
    assert_eq!(
        twice("default_kind = \"graph\"\ndefault_kind = \"graph\"\n"),
        ["2:1: default_kind: it stands twice: in config.toml:1 already"]
    );
    assert_eq!(
        twice("[graph.g]\nidle_stop = \"1s\"\nenv = { idle_stop = \"x\" }\nidle_stop = \"2s\"\n"),
        ["4:1: graph.g.idle_stop: it stands twice: in config.toml:2 already"]
    );
    // A file to which an example was appended a second time.
    let example = "[kind.o]\ncommand = [\"o\"]\nreadiness = \"http\"\n";
    let got = twice(&format!("{example}{example}"));
    assert_eq!(got, ["4:7: kind.o: it stands twice: in config.toml:1 already"]);
    let table = "[kind.o.stop]\ngrace = \"1s\"\n";
    let got = twice(&format!("{example}{table}{example}{table}[graph.g]\nkind = \"p\"\n"));
    let want = [
        "6:7: kind.o: it stands twice: in config.toml:1 already",
        "9:9: kind.o.stop: it stands twice: in config.toml:4 already",
        "12:8: graph.g.kind: there is no kind \"p\"; it would be [kind.p]",
    ];
    assert_eq!(got, want, "one problem for each table, and what is wrong besides");
}

#[test]
fn a_key_that_stands_twice_has_its_first_place_however_it_is_spelt() {
    let table = [
        // Dotted keys and tables.
        (
            "kind.x.command = [\"a\"]\n[kind.x]\ncwd = \"/\"\n",
            "2:7: kind.x: it stands twice: in config.toml:1 already",
        ),
        (
            "[kind]\nx.command = [\"a\"]\nx.command = [\"b\"]\n",
            "3:3: kind.x.command: it stands twice: in config.toml:2 already",
        ),
        // Quotes, blanks and comments.
        (
            "[kind.x]\ncommand = [\"a\"]\n[ kind.\"x\" ] # again\n",
            "3:8: kind.x: it stands twice: in config.toml:1 already",
        ),
        // A table below it is not the table.
        (
            "[kind.x.stop]\ngrace = \"1s\"\n[kind.x]\ncommand = [\"a\"]\n[kind.x]\n",
            "5:7: kind.x: it stands twice: in config.toml:3 already",
        ),
        // Tables in braces.
        (
            "[kind.x]\ncommand = [\"a\"]\nstop = { grace = \"1s\", grace = \"2s\" }\n",
            "3:24: kind.x.stop.grace: it stands twice: in config.toml:3 already",
        ),
        (
            "[kind.x]\ncommand = [\"a\"]\nstop = { grace = \"1s\" }\n[kind.x.stop]\ngrace = \"2s\"\n",
            "4:9: kind.x.stop: it stands twice: in config.toml:3 already",
        ),
        (
            "kind.x = { command = [\"a\"] }\n[kind.x.stop]\ngrace = \"2s\"\n",
            "2:7: kind.x: it stands in config.toml:1 already, with a value that ends there",
        ),
        // Arrays of tables, and a header in a text.
        (
            "[kind.x]\ncommand = [\"a\"]\n[[kind.x]]\n",
            "3:8: kind.x: it stands twice: in config.toml:1 already",
        ),
        (
            "[kind.x]\ndescription = \"\"\"\n[logs]\n\"\"\"\ncommand = [\"a\"]\n[logs]\nkeep = 1\n[logs]\nkeep = 2\n",
            "8:2: logs: it stands twice: in config.toml:6 already",
        ),
    ];
    for (text, want) in table {
        let got = problems(text);
        assert!(got.contains(&want.to_owned()), "{want}: {got:#?}");
        assert!(!got.iter().any(|problem| problem.contains("duplicate key")), "{got:#?}");
    }
    // The keys of two elements of an array are not the same key.
    let got = problems("[[a]]\nb = 1\n[[a]]\nb = 1\nb = 2\n");
    assert!(got.contains(&"5:1: a.b: it stands twice: in config.toml:4 already".to_owned()), "{got:#?}");
}

#[test]
fn a_refused_file_keeps_its_earlier_settings() {
    let files = |app: &str| [FileText::read(MAIN, "[graph.g]\nkind = \"app\"\n"), more("app", app)];
    let good = "[kind.app]\ncommand = [\"app\"]\n";
    let (before, _) = settle(&files(good));
    let (after, rejected) =
        Reading::of(&files("[kind.app]\nx = 1\n[kind.new]\nx = 1\n"), None).settle(&before);
    assert_eq!(after.kind_of("g", None).unwrap().1.command, ["app"]);
    assert_eq!(rejected.len(), 1);
    assert!(!rejected[0].says_something_of("g", "app"), "it is in force as it was");
    assert!(before.changes(&after).is_empty());
    // A removed file has no effect any more.
    let (after, _) = Reading::of(&files(good)[..1], None).settle(&before);
    assert_eq!(after.kinds.len(), 1);
}

#[test]
fn a_main_file_that_cannot_be_read_leaves_every_graph_in_doubt() {
    let (_, rejected) = Reading::unread(MAIN, "no").settle(&Config::default());
    assert!(rejected[0].says_something_of("any", "graph"));
    let unread = FileText { is_main: false, ..FileText::unread("/c/config.d/a.toml", "no") };
    let (_, rejected) = Reading::of(&[unread], None).settle(&Config::default());
    assert!(!rejected[0].says_something_of("any", "graph"), "one of many");
    // The graphs of a file that may not be trusted are known.
    let text = "[kind.app]\ncommand = [\"evil\"]\n";
    let open = FileText { refused: Some("others may write it".into()), ..more("app", text) };
    let (config, rejected) = Reading::of(&[open], None).settle(&Config::default());
    assert!(!config.kinds.contains_key("app") && rejected[0].says_something_of("any", "app"));
}

#[test]
fn file_names_and_encodings_are_checked() {
    let names = ["b.toml", ".hidden.toml", "a.toml~", "a.toml", "toml"].map(Into::into);
    assert_eq!(file_names(names), (vec!["a.toml".into(), "b.toml".into()], 0));
    let many = (0..70).map(|n| format!("{n:02}.toml").into());
    let (names, more) = file_names(many);
    assert_eq!((names.len(), more), (MAX_CONFIG_FILES, 6));
    let utf16: Vec<u8> = "[kind.x]\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(text_of(utf16.clone()).unwrap_err().contains("UTF-16"));
    assert!(text_of([vec![0xff, 0xfe], utf16].concat()).unwrap_err().contains("UTF-16"));
    assert!(text_of(vec![0xc3]).unwrap_err().contains("not UTF-8"));
    assert_eq!(text_of(b"a = 1".to_vec()).unwrap(), "a = 1");
}

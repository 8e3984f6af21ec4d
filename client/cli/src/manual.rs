//! The texts of `gobctl help TOPIC`, as data where programs need it too.

use crate::failure::Failure;
use crate::table::{Align, layout};
use crate::terminal::{fold, prose_width};
use crate::text::nearest;
use crate::verbs::Verb;

/// The exit codes of gobctl, and their meaning (CLI, Conventions).
pub(crate) const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done, or it was so already"),
    (1, "failed"),
    (2, "the command line was not understood"),
    (3, "the worker exists and does not run"),
    (4, "there is no such worker, or job of the queue"),
    (5, "the worker belongs to another owner"),
    (6, "the graph is held by a process that gob did not start"),
    (7, "the supervisor cannot be reached, or speaks another protocol"),
    (8, "the worker did not become ready"),
    (124, "the time given by --timeout is over, or a job seems stuck; what was asked for goes on"),
    (125, "run, wait, queue wait, lock run, with: gob failed, and not the command"),
    (126, "run, wait, lock run, with: the command cannot be executed"),
    (127, "run, wait, lock run, with: the command was not found"),
    (129, "run: the terminal has hung up; the job goes on"),
    (130, "interrupted"),
];

/// Variables that gobctl and the supervisor read.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    ("GOB_OWNER", "who asks, where --owner does not say so; cli without it"),
    ("GOB_HOST", "the supervisor of another machine, where --host names none: ssh://[USER@]HOST[:PORT]"),
    ("GOB_RUNTIME_DIR", "sockets; $XDG_RUNTIME_DIR/gob without it, else /tmp/gob-UID"),
    ("GOB_STATE_DIR", "logs and locks; $XDG_STATE_HOME/gob without it, else ~/.local/state/gob"),
    ("GOB_DATA_DIR", "graphs; $XDG_DATA_HOME/gob/graphs without it, else ~/.local/share/gob/graphs"),
    (
        "GOB_CONFIG",
        "the configuration; $XDG_CONFIG_HOME/gob/config.toml without it, else ~/.config/gob/config.toml",
    ),
    ("GOB_LIBEXEC", "where gob-keeper, gobd and gob-graph-worker are, when not beside gobctl nor on PATH"),
    ("GOB_LOG", "what the supervisor writes to its log: error, warn, info, debug or trace"),
    ("NO_COLOR", "no colours, when it is set and not empty"),
    ("TERM", "no colours, when it is dumb"),
];

/// Variables that programs get from gob.
const GIVEN: &[(&str, &str)] = &[
    ("GOB_ENDPOINT", "to the command of with: where its first graph is reached"),
    (
        "GOB_ENDPOINT_NAME",
        "to the command of with, for each graph; the name in upper case, other characters as _",
    ),
    ("GOB_NAME, GOB_RUN", "to workers: their name and the number of this run"),
    ("GOB_SOCKET", "to workers: the supervisor's socket"),
    (
        "GOB_JOB_ID, GOB_ATTEMPT",
        "to jobs of the queue: their id, the same for all attempts, and the number of this one",
    ),
];

const CONFIG: &str = "\
Which programs serve graphs, and how, is in one file: gobctl config path prints where it is. Without it there is one kind
of worker, graph, which gob brings along.

Examples:
  gobctl config init               write an example with every key explained
  gobctl config check              find everything that is wrong with it
  gobctl config reload             have a running supervisor read it again
  gobctl config show               every value in effect, and where it comes from

A kind of worker, and a graph that is always served by it:
  [kind.oxigraph]
  command = [\"oxigraph\", \"serve\", \"--location\", \"{data_dir}\", \"--bind\", \"127.0.0.1:{port}\"]
  readiness = { type = \"http\", path = \"/\", timeout = \"20s\" }

  [graph.papers]
  kind = \"oxigraph\"

Durations are 500ms, 10s, 2m, 1h or 1d. docs/CONFIGURATION.md has every key.
";

const OWNERS: &str = "\
Every worker has an owner: the one who started it. An owner is a label such as cli, desktop or agent, no user of the system.
Everybody may use a worker, list it and hold it by a lease. Its owner alone may stop, restart, signal, remove or hand it over.

Examples:
  gobctl list                      the column OWNER says whose each worker is
  gobctl status demo               its owner, and who holds it
  gobctl hand-over demo desktop    make desktop the owner of a worker of yours

gobctl speaks for cli; GOB_OWNER or --owner OWNER says for whom else. A worker whose owner is unknown belongs to nobody, and
cli may take it over by starting it. docs/OWNERS.md has the whole table.
";

/// Help topics beside the verbs.
pub(crate) const TOPICS: [(&str, &str); 4] = [
    ("exit-codes", "what gobctl exits with"),
    ("environment", "variables that are read, and that workers get"),
    ("config", "the configuration file"),
    ("owners", "who may do what"),
];

/// Returns the help about a topic; `None` for an unknown one. `config` is a verb too and has `config --help`.
pub(crate) fn topic(word: &str) -> Option<String> {
    let table = |rows: &[(String, &str)]| {
        let rows: Vec<[String; 2]> =
            rows.iter().map(|(key, means)| [format!("  {key}"), (*means).to_owned()]).collect();
        layout([Align::Left, Align::Left], &rows).join("\n") + "\n"
    };
    let named = |rows: &[(&str, &'static str)]| -> Vec<(String, &str)> {
        rows.iter().map(|(name, means)| ((*name).to_owned(), *means)).collect()
    };
    let text = match word {
        "exit-codes" => {
            let rows: Vec<(String, &str)> =
                EXIT_CODES.iter().map(|(code, means)| (code.to_string(), *means)).collect();
            let more = "run, wait and with exit with the code of the command, 128 and more when a signal ended that.\n";
            format!("gobctl exits with:\n{}\n{more}", table(&rows))
        }
        "environment" => format!(
            "Variables that gob reads. Directories have to be absolute; empty is as if it was not set:\n{}\n\
             Variables that it gives:\n{}",
            table(&named(VARIABLES)),
            table(&named(GIVEN))
        ),
        "config" => CONFIG.to_owned(),
        "owners" => OWNERS.to_owned(),
        _ => return None,
    };
    Some(fold(&text, prose_width()))
}

/// Returns the refusal of an unknown topic.
pub(crate) fn no_topic(word: &str) -> Failure {
    let verbs = crate::verbs::first_words().map(Verb::name);
    let known = TOPICS.iter().map(|(topic, _)| *topic).chain(verbs);
    let hint = match nearest(word, known) {
        Some(near) => format!("did you mean gobctl help {near}?"),
        None => "gobctl --help shows all verbs and topics".to_owned(),
    };
    Failure::usage(format!("there is no help about `{word}`")).hint(hint)
}

/// The flags that every verb takes, for the end of its help.
pub(crate) const EVERYWHERE: &str = "TIME is 500ms, 10s, 2m or 1h; a number alone is seconds\nEverywhere: --json  --owner OWNER  --host ADDRESS  --no-autostart  -q  -v  --color WHEN; gobctl --help explains them\n";

/// The purpose of `--timeout` for all verbs.
pub(crate) const TIMEOUT: &str =
    "How long to wait: 500ms, 10s, 2m or 1h, seconds without a unit; each verb's help says for what";

#[cfg(test)]
mod tests {
    use super::*;
    use gob_client::protocol::ErrorCode;

    #[test]
    fn every_topic_has_a_text_and_no_other_word() {
        for (name, _) in TOPICS {
            assert!(topic(name).is_some_and(|text| text.lines().count() > 5), "{name}");
        }
        assert_eq!(topic("start"), None);
        let Failure::Own { hint, .. } = no_topic("exit-code") else { panic!("no refusal") };
        assert_eq!(hint.as_deref(), Some("did you mean gobctl help exit-codes?"));
    }

    #[test]
    fn every_code_that_an_error_has_is_explained() {
        for code in ErrorCode::ALL {
            assert!(EXIT_CODES.iter().any(|(exit, _)| *exit == crate::exit::of_code(*code)), "{code:?}");
        }
        assert!(EXIT_CODES.is_sorted_by(|a, b| a.0 < b.0), "each once, in order");
    }
}

//! The skill file for agents: when to use gob, and how. Its commands and their purposes are those of the table of verbs, so that it
//! can't go stale.

use crate::manual::EXIT_CODES;
use crate::verbs::{Effect, VERBS};

/// The name of the skill, and of its directory.
pub(crate) const NAME: &str = "gob";

/// The owner that each command names which changes something.
const OWNER: &str = " --owner agent";

const FRONT: &str = "\
---
name: gob
description: Run and watch processes with gob (gobctl) - dev servers, builds, tests, graph servers. Use it to start a server and find its port, to read what a process wrote, to run a build or a test with its output kept, and before starting anything, to see whether it runs already. Processes are shared with the user and other agents, and nobody can stop another one's.
---

# gob

gob supervises the processes of this user. What you start with it goes on when your shell ends, is found again by name, and is stopped
with its whole tree of processes. The user and other agents see the same processes.

Where the MCP server of gob is connected (tools named `list`, `add`, `run`, `logs`, …), call its tools: they are these commands.

## Rules

- Give `--owner agent` to every command that changes something, as below: then what you start is yours. (`export GOB_OWNER=agent` is lost where
  each command has a shell of its own.)
- You may use and read every worker. Only its owner stops, restarts or removes it: exit code 5 means that it is another one's. Leave it
  alone, use its endpoint, or run one of your own under another name.
- Look before you start: the same command in the same directory is one job, and `gobctl add` returns the one that runs.
- Start servers with `gobctl add`, never with `&`, `nohup` or `setsid`. Run what ends with `gobctl run`.
- A command that the project forbids is refused as `blocked`, with the reason: do not run it in another way.
- `gobctl nuke` and `gobctl shutdown` end the work of all: they are the user's.
- Add `--json` to any command for data.

";

/// A heading and the rows of the table of verbs below it, each with the number of its examples that are shown.
type Section = (&'static str, &'static [(&'static [&'static str], usize)]);

const SECTIONS: [Section; 3] = [
    (
        "Look",
        &[
            (&["brief"], 1),
            (&["list"], 1),
            (&["status"], 2),
            (&["logs"], 4),
            (&["ports"], 2),
            (&["blame"], 1),
            (&["who"], 1),
            (&["events"], 1),
        ],
    ),
    (
        "Run",
        &[
            (&["add"], 3),
            (&["run"], 2),
            (&["wait"], 3),
            (&["start"], 1),
            (&["with"], 1),
            (&["stop"], 1),
            (&["restart"], 1),
        ],
    ),
    (
        "Queue and locks",
        &[(&["queue", "add"], 2), (&["queue", "list"], 2), (&["lock", "run"], 1), (&["lock", "status"], 1)],
    ),
];

const WORK: &str = "\
## A server and a build beside it

```sh
gobctl add --owner agent --name web npm run dev   # returns at once
gobctl ports web                         # where it listens; it may take some seconds
gobctl logs -n 20 web                    # when there is no port yet, or an error
gobctl run --owner agent make test       # output only if it fails; its exit code
gobctl wait --timeout 30s web            # exit code 124 when it is still running
gobctl stop --owner agent web
```

When a command seems stuck, `gobctl list` and `gobctl logs` say whether it still writes. After a while away, `gobctl brief` with
`--since` and the last line of an earlier one says what changed.

";

/// Returns the text of SKILL.md.
pub(crate) fn text() -> String {
    let mut text = FRONT.to_owned();
    for (heading, rows) in SECTIONS {
        text.push_str(&format!("## {heading}\n\n```sh\n"));
        rows.iter().flat_map(|(path, count)| commands(path, *count)).for_each(|line| text.push_str(&line));
        text.push_str("```\n\n");
    }
    text.push_str(WORK);
    text.push_str("## Exit codes\n\n");
    for (code, means) in EXIT_CODES {
        text.push_str(&format!("- {code}: {means}\n"));
    }
    text.push_str(
        "\n`gobctl VERB --help` begins with examples; `gobctl help --json` has every verb and flag as data.\n",
    );
    text
}

/// Returns the first examples of a verb, the first one with the verb's purpose.
fn commands(path: &[&str], count: usize) -> Vec<String> {
    let verb = VERBS.iter().find(|verb| verb.path == path);
    let Some(verb) = verb else { return Vec::new() };
    let examples = verb.examples.lines().filter_map(|line| line.trim_start().strip_prefix("gobctl "));
    let about = std::iter::once(verb.about).chain(std::iter::repeat(""));
    let words = verb.path.join(" ");
    // A variable of the environment is lost where each command has a shell of its own.
    let owner = if verb.effect() == Effect::Reads { "" } else { OWNER };
    let line = |(example, about): (&str, &str)| {
        let rest = example.strip_prefix(words.as_str());
        let command =
            rest.map_or_else(|| format!("gobctl {example}"), |rest| format!("gobctl {words}{owner}{rest}"));
        match about {
            "" => format!("{command}\n"),
            about => format!("{command:<40} # {about}\n"),
        }
    };
    examples.take(count).zip(about).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;
    use std::ffi::OsString;

    /// The commands of the text: lines of its blocks, and what stands between backquotes.
    fn commands_of(text: &str) -> Vec<String> {
        let (mut all, mut is_block) = (Vec::new(), false);
        for line in text.lines() {
            if line.starts_with("```") {
                is_block = !is_block;
            } else if is_block {
                all.push(line.split(" # ").next().unwrap_or_default().trim().to_owned());
            } else {
                all.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
            }
        }
        all.retain(|command| command.starts_with("gobctl "));
        all
    }

    #[test]
    fn it_is_short_and_has_a_name_and_a_purpose() {
        let text = text();
        assert!(text.lines().count() < 120, "{} lines", text.lines().count());
        let front = text.strip_prefix("---\nname: gob\ndescription: ").unwrap();
        let (about, _) = front.split_once("\n---\n").unwrap();
        assert!(about.len() <= 1024 && !about.contains([':', '\n']), "{} bytes: {about}", about.len());
    }

    #[test]
    fn every_command_in_it_exists_and_parses() {
        let all = commands_of(&text());
        assert!(all.len() > 30, "{all:?}");
        let mut words_alone = 0;
        for command in &all {
            let words: Vec<OsString> =
                shlex::split(command).unwrap().into_iter().map(OsString::from).collect();
            let asked = args::find_verb(&words);
            let args::Asked::Verb(verb, words) = asked else {
                assert!(
                    ["gobctl VERB --help", "gobctl help --json"].contains(&command.as_str()),
                    "{command}"
                );
                continue;
            };
            // `gobctl add` in a sentence names the verb alone.
            if words.len() == 2 && args::parse(words.clone(), Some(verb)).is_err() {
                words_alone += 1;
                continue;
            }
            let rest = command.strip_prefix("gobctl ").unwrap_or_default();
            let row = VERBS.iter().filter(|row| rest.starts_with(&row.path.join(" ")));
            let row = row.max_by_key(|row| row.path.len()).unwrap();
            let changes = words.len() > 2 && row.effect() != Effect::Reads;
            assert_eq!(command.contains(OWNER), changes, "{command}");
            let parsed = args::parse(words, Some(verb));
            assert!(parsed.is_ok(), "{command}: {:?}", parsed.err());
        }
        assert!(words_alone < 5, "{words_alone} of {all:?}");
    }

    #[test]
    fn every_row_is_there() {
        for (_, rows) in SECTIONS {
            for (path, count) in rows {
                assert_eq!(commands(path, *count).len(), *count, "{path:?}");
            }
        }
    }
}

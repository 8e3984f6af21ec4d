//! Decides whether a process serves a graph, by its arguments: this kind's program, this graph, this
//! directory.
//!
//! The answer may end a process, so every doubt is a no.

use super::same_graph;

/// Options that name the graph.
const GRAPH: [&str; 2] = ["--repo", "--graph"];
/// Options that name the directory.
const DIR: [&str; 2] = ["--root-dir", "--data-dir"];

/// Programs that run a script; the script then identifies the process.
const INTERPRETERS: [&str; 11] =
    ["node", "nodejs", "bun", "deno", "python", "pypy", "ruby", "perl", "sh", "bash", "dash"];
/// Options of interpreters that take the next word as their value.
const WITH_VALUE: [&str; 9] =
    ["-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "-W", "-X"];
/// Options of interpreters without a script.
const WITHOUT_SCRIPT: [&str; 6] = ["-e", "--eval", "-p", "--print", "-c", "--check"];

/// The facts that identify a worker of a graph.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Program and arguments as gob would start them.
    pub command: &'a [String],
    /// The graph.
    pub graph: &'a str,
    /// The real path of its root.
    pub root_dir: &'a str,
}

/// The program of a command line.
#[derive(Debug, PartialEq, Eq)]
struct Program<'a> {
    interpreter: Option<&'a str>,
    /// The file name of the program or script.
    name: &'a str,
    rest: &'a [String],
}

impl Known<'_> {
    /// Returns whether a process with these arguments is a worker of the graph. `as_node`: its program runs a
    /// script as Node does, whatever its name (Electron with `ELECTRON_RUN_AS_NODE`). `real_path` resolves a
    /// directory as the process would.
    #[must_use]
    pub fn is_worker(
        &self,
        args: &[String],
        as_node: bool,
        mut real_path: impl FnMut(&str) -> Option<String>,
    ) -> bool {
        let (Some(ours), Some(theirs)) = (program(self.command, false), program(args, as_node)) else {
            return false;
        };
        // A script that is started by its own name shows its interpreter too.
        let same_way = ours.interpreter.is_none() || ours.interpreter == theirs.interpreter;
        if !same_way || ours.name != theirs.name {
            return false;
        }
        let (graph_options, dir_options) =
            (options(ours.rest, &GRAPH, self.graph), options(ours.rest, &DIR, self.root_dir));
        let Some(said) = values(theirs.rest, &graph_options, &dir_options) else { return false };
        let mut same_dir = |dir: &str| {
            let trimmed = if dir.len() > 1 { dir.trim_end_matches('/') } else { dir };
            trimmed == self.root_dir || real_path(dir).is_some_and(|dir| dir == self.root_dir)
        };
        let graphs = |said: &&Said<'_>| graph_options.names.contains(&said.option);
        let (graphs, dirs): (Vec<_>, Vec<_>) = said.iter().partition(graphs);
        graph_options.are_all_in(&graphs)
            && dir_options.are_all_in(&dirs)
            && graphs.iter().all(|said| same_graph(said.value, self.graph))
            && dirs.iter().all(|said| same_dir(said.value))
    }
}

/// The options that name one value.
struct Options<'a> {
    names: Vec<&'a str>,
    /// All of these must be present, since any single one may mean something else.
    derived: Vec<&'a str>,
}

impl Options<'_> {
    fn are_all_in(&self, said: &[&Said<'_>]) -> bool {
        let has = |name: &&str| said.iter().any(|said| said.option == *name);
        !said.is_empty() && self.derived.iter().all(has)
    }
}

/// Returns the options by which a command names `value`: the known ones, or, where it has none of them, those
/// that have it as their value.
fn options<'a>(command: &'a [String], known: &[&'a str], value: &str) -> Options<'a> {
    let name = |arg: &'a String| arg.split_once('=').map_or(arg.as_str(), |(name, _)| name);
    if command.iter().any(|arg| known.contains(&name(arg))) {
        return Options { names: known.to_vec(), derived: Vec::new() };
    }
    let is_option = |word: &str| word.starts_with('-') && word != value;
    let apart = command.windows(2).filter_map(|pair| match pair {
        [option, next] if is_option(option) && next == value => Some(option.as_str()),
        _ => None,
    });
    let joined = command.iter().filter_map(|arg| arg.split_once('='));
    let joined = joined.filter(|(option, next)| is_option(option) && *next == value);
    let derived: Vec<&str> = apart.chain(joined.map(|(option, _)| option)).collect();
    Options { names: known.iter().copied().chain(derived.iter().copied()).collect(), derived }
}

/// One option of a command line with its value.
struct Said<'a> {
    option: &'a str,
    value: &'a str,
}

/// Returns the values of these options, in order; `None` when the last one lacks its value.
fn values<'a>(args: &'a [String], graph: &Options<'_>, dir: &Options<'_>) -> Option<Vec<Said<'a>>> {
    let wanted = |option: &str| graph.names.contains(&option) || dir.names.contains(&option);
    let mut found = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            break;
        }
        if wanted(arg) {
            // The next word is the value in any case: a graph may be named like an option.
            found.push(Said { option: arg, value: args.next()? });
        } else if let Some((option, value)) = arg.split_once('=').filter(|(option, _)| wanted(option)) {
            found.push(Said { option, value });
        }
    }
    Some(found)
}

/// Returns the program of a command line; `None` where it can't be told.
fn program(args: &[String], as_node: bool) -> Option<Program<'_>> {
    let (first, rest) = args.split_first()?;
    let name = file_name(first);
    // `python3.11` is `python`.
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let known = INTERPRETERS.iter().find(|known| **known == bare);
    let interpreter = if as_node { Some("node") } else { known.copied() };
    let Some(interpreter) = interpreter else {
        return (!name.is_empty()).then_some(Program { interpreter: None, name, rest });
    };
    let interpreter = if interpreter == "nodejs" { "node" } else { interpreter };
    let mut words = rest;
    while let Some((word, after)) = words.split_first() {
        words = match word.as_str() {
            without if WITHOUT_SCRIPT.contains(&without) => return None,
            with if WITH_VALUE.contains(&with) => after.split_first()?.1,
            "-m" | "--" => {
                let (script, rest) = after.split_first()?;
                return Some(Program { interpreter: Some(interpreter), name: file_name(script), rest });
            }
            "run" if matches!(interpreter, "bun" | "deno") => after,
            option if option.starts_with('-') => after,
            script => {
                let name = file_name(script);
                return Some(Program { interpreter: Some(interpreter), name, rest: after });
            }
        };
    }
    None
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests;

//! The command line. Owns nothing; its results are checked.

use crate::reader;
use crate::store::Synchronous;
use gob_protocol::{Name, NameError};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The text of `--help`.
pub const HELP: &str = "\
gob-graph-worker serves one property graph, kept in one SQLite file, on a Unix socket.

Usage: gob-graph-worker --root-dir DIR --graph NAME --socket PATH [--synchronous normal|full]

  --root-dir DIR    the graph's file is DIR/NAME/graph.sqlite (NAME encoded for the disk); made if missing
  --graph NAME      the graph's name
  --socket PATH     where to listen; requests are JSON lines, see REQUESTS.md
  --synchronous S   normal (default): what was acknowledged survives the end of this process, a power cut may
                    cost the last moments; full: it survives a power cut too, each write waits for the disk
  --help, --version

One line on standard output says that it is ready, or why not. SIGTERM ends it in order.

Example: gob-graph-worker --root-dir ~/graphs --graph demo --socket /run/user/1000/demo.sock
";

/// A checked command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// Absolute path of the directory that holds the graph's directory.
    pub root_dir: PathBuf,
    /// The graph's name.
    pub graph: Name,
    /// Absolute path of the socket; it is valid UTF-8, since the handshake names it.
    pub socket: PathBuf,
    /// The durability of a commit.
    pub synchronous: Synchronous,
}

impl Args {
    /// Returns the directory of the graph's file and lock.
    #[must_use]
    pub fn graph_directory(&self) -> PathBuf {
        self.root_dir.join(self.graph.on_disk())
    }
}

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// Serve a graph.
    Run(Args),
    /// Answer the queries of the worker that started this process; the worker alone uses it.
    Reader(PathBuf),
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
}

/// A problem of the command line.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// An option that does not exist.
    #[error("there is no option {0:?}")]
    Unknown(OsString),
    /// An option without its value.
    #[error("{0} needs a value")]
    NoValue(&'static str),
    /// An option given twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// A mandatory option is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The value is not UTF-8, or it is empty.
    #[error("the value of {0} is empty or not UTF-8")]
    Text(&'static str),
    /// The value is none of `--synchronous`.
    #[error("--synchronous is normal or full, not {0:?}")]
    Synchronous(String),
    /// The value is not the name of a graph.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The path is relative, and the working directory is gone.
    #[error("cannot find the working directory: {0}")]
    Directory(#[source] std::io::Error),
}

const OPTIONS: [&str; 4] = ["--root-dir", "--graph", "--socket", "--synchronous"];

/// Parses the arguments after the program's name; `--option value` and `--option=value` are the same.
///
/// # Errors
/// The first problem.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, ArgsError> {
    let mut values: [Option<String>; 4] = [const { None }; 4];
    let mut args = args.into_iter().peekable();
    if args.next_if(|first| first == reader::OPTION).is_some() {
        return args.next().map(PathBuf::from).map(Parsed::Reader).ok_or(ArgsError::NoValue(reader::OPTION));
    }
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--help" | "-h") => return Ok(Parsed::Help),
            Some("--version" | "-V") => return Ok(Parsed::Version),
            Some(_) | None => {}
        }
        let (name, inline) = match arg.to_str().and_then(|text| text.split_once('=')) {
            Some((name, value)) => (Some(name), Some(value.to_owned())),
            None => (arg.to_str(), None),
        };
        let found = OPTIONS.iter().zip(values.iter_mut()).find(|(option, _)| name == Some(option));
        let Some((option, slot)) = found else { return Err(ArgsError::Unknown(arg)) };
        if slot.is_some() {
            return Err(ArgsError::Twice(option));
        }
        let value = match inline {
            Some(value) => value,
            None => {
                let value = args.next().ok_or(ArgsError::NoValue(option))?;
                value.into_string().map_err(|_| ArgsError::Text(option))?
            }
        };
        if value.is_empty() {
            return Err(ArgsError::Text(option));
        }
        *slot = Some(value);
    }
    let [root_dir, graph, socket, synchronous] = values;
    let absolute = |path: String| std::path::absolute(Path::new(&path)).map_err(ArgsError::Directory);
    Ok(Parsed::Run(Args {
        root_dir: absolute(root_dir.ok_or(ArgsError::Missing("--root-dir"))?)?,
        graph: Name::graph(&graph.ok_or(ArgsError::Missing("--graph"))?)?,
        socket: absolute(socket.ok_or(ArgsError::Missing("--socket"))?)?,
        synchronous: match synchronous.as_deref() {
            None | Some("normal") => Synchronous::Normal,
            Some("full") => Synchronous::Full,
            Some(other) => return Err(ArgsError::Synchronous(other.to_owned())),
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Parsed, ArgsError> {
        parse(args.iter().map(OsString::from))
    }

    #[test]
    fn both_spellings_and_the_directory() {
        let Parsed::Run(args) = parsed(&["--root-dir=/d", "--graph", "a/b", "--socket", "/s.sock"]).unwrap()
        else {
            panic!("expected a run")
        };
        assert_eq!(args.graph_directory(), Path::new("/d/a~2Fb"));
        assert_eq!(args.socket, Path::new("/s.sock"));
        assert_eq!(args.synchronous, Synchronous::Normal);
    }

    #[test]
    fn bad_arguments_are_named() {
        let said = |args: &[&str]| parsed(args).unwrap_err().to_string();
        assert_eq!(said(&["--root-dir", "/d"]), "--graph is missing");
        assert_eq!(said(&["--graph"]), "--graph needs a value");
        assert_eq!(said(&["--graph", "a", "--graph", "b"]), "--graph is given twice");
        assert_eq!(said(&["--nope"]), "there is no option \"--nope\"");
        assert!(said(&["--root-dir", "/d", "--graph", "j1", "--socket", "/s"]).contains("job"));
        assert!(matches!(parsed(&["--graph", "a", "--help"]), Ok(Parsed::Help)));
        assert!(matches!(parsed(&["-V"]), Ok(Parsed::Version)));
    }
}

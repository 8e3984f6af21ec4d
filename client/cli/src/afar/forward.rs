//! Endpoints of workers of another machine, forwarded to addresses here for as long as a command runs.
//!
//! One `ssh` carries all of them, and ends with its standard input: with this program, however that ends (`forward/kept.rs`). A Unix
//! socket is forwarded to one in a private directory, a port of a loopback address to a free port of 127.0.0.1.

mod kept;

use crate::command::{Blocked, GOB_FAILED};
use crate::context::Context;
use crate::failure::Failure;
use gob_client::Error;
use gob_client::ssh::Ssh;
use kept::{Kept, Started};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

/// Free ports are looked for this often: another program may take one before ssh does.
const TRIES: u32 = 3;
/// The longest path of a socket here that leaves room for its name (`sun_path` has 108 bytes).
const MAX_DIR: usize = 60;

/// Forwarded endpoints, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Forward {
    /// Dropped before the directory in which ssh makes its sockets.
    _ssh: Kept,
    _dir: Dir,
}

/// The result of forwarding.
#[derive(Debug)]
pub(crate) enum Forwarded {
    /// There is nothing to forward.
    Nothing,
    All(#[expect(dead_code, reason = "it is kept for its end")] Forward),
    /// A signal came first; the exit code that it makes.
    Interrupted(u8),
}

impl Forward {
    /// Forwards endpoints, and puts the addresses here in their places. One that can't be forwarded stays, with a note.
    pub(crate) fn open(
        from: (&Context, &Blocked),
        ssh: &Ssh,
        endpoints: &mut [(String, String)],
    ) -> Result<Forwarded, Failure> {
        for tried in 1..=TRIES {
            match Self::try_open(from, ssh, endpoints) {
                Err(Failure::Client(Error::Ssh(_))) if tried < TRIES && has_port(endpoints) => {}
                result => return result,
            }
        }
        Ok(Forwarded::Nothing)
    }

    fn try_open(
        from: (&Context, &Blocked),
        ssh: &Ssh,
        endpoints: &mut [(String, String)],
    ) -> Result<Forwarded, Failure> {
        let dir = Dir::make().map_err(failed)?;
        let Plan { pairs, here, left } = Plan::of(endpoints, &dir.0).map_err(failed)?;
        for endpoint in left {
            from.0.note(&format!("{endpoint} is over there; it can't be forwarded"));
        }
        if pairs.is_empty() {
            return Ok(Forwarded::Nothing);
        }
        let ssh = match Kept::start(from, ssh, pairs)? {
            Started::Kept(ssh) => ssh,
            Started::Interrupted(code) => return Ok(Forwarded::Interrupted(code)),
        };
        for (_, endpoint) in endpoints.iter_mut() {
            if let Some(here) = here.get(endpoint) {
                endpoint.clone_from(here);
            }
        }
        Ok(Forwarded::All(Self { _ssh: ssh, _dir: dir }))
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::own("command-failed", GOB_FAILED, "cannot forward the endpoints".to_owned())
        .cause(error.to_string())
}

/// A directory for sockets that nobody else can enter, removed with its end.
#[derive(Debug)]
struct Dir(PathBuf);

impl Dir {
    fn make() -> io::Result<Self> {
        let fits = |dir: &Path| dir.is_absolute() && dir.as_os_str().len() <= MAX_DIR && dir.is_dir();
        let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let parent = named.into_iter().chain([std::env::temp_dir()]).find(|dir| fits(dir));
        let parent = parent.unwrap_or_else(|| "/tmp".into());
        Ok(Self(nix::unistd::mkdtemp(&parent.join("gob-with-XXXXXX"))?))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Each forwarding: from where, to where.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// Addresses here and there, as ssh takes them.
    pairs: Vec<(String, String)>,
    /// The endpoint here for each one there.
    here: BTreeMap<String, String>,
    /// Endpoints that can't be forwarded.
    left: Vec<String>,
}

impl Plan {
    fn of(endpoints: &[(String, String)], dir: &Path) -> io::Result<Self> {
        let mut plan = Self { pairs: Vec::new(), here: BTreeMap::new(), left: Vec::new() };
        for (_, endpoint) in endpoints {
            if plan.here.contains_key(endpoint) || plan.left.contains(endpoint) || endpoint.is_empty() {
                continue;
            }
            let (pair, here) = match Place::of(endpoint) {
                Some(Place::Socket(there)) => {
                    let path = dir.join(format!("{}.sock", plan.pairs.len()));
                    let path = path.to_string_lossy();
                    ((escaped(&path), escaped(there)), format!("unix:{path}"))
                }
                Some(Place::Port { before, host, port, behind }) => {
                    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
                    let there = format!("{host}:{port}");
                    ((format!("127.0.0.1:{free}"), there), format!("{before}127.0.0.1:{free}{behind}"))
                }
                None => {
                    plan.left.push(endpoint.clone());
                    continue;
                }
            };
            plan.pairs.push(pair);
            plan.here.insert(endpoint.clone(), here);
        }
        Ok(plan)
    }
}

/// Returns whether an endpoint is a port, of which a free one was chosen here.
fn has_port(endpoints: &[(String, String)]) -> bool {
    endpoints.iter().any(|(_, endpoint)| matches!(Place::of(endpoint), Some(Place::Port { .. })))
}

/// An endpoint that can be forwarded.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Socket(&'a str),
    Port { before: &'a str, host: &'a str, port: u16, behind: &'a str },
}

impl<'a> Place<'a> {
    fn of(endpoint: &'a str) -> Option<Self> {
        if let Some(path) = endpoint.strip_prefix("unix:") {
            // ssh would put a variable in its place.
            return (path.starts_with('/') && !path.contains("${")).then_some(Self::Socket(path));
        }
        let begin = endpoint.find("://").map_or(0, |at| at + 3);
        let (scheme, rest) = endpoint.split_at_checked(begin)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at_checked(end)?;
        let place = authority.rfind('@').map_or(authority, |at| authority.get(at + 1..).unwrap_or_default());
        let before = endpoint.get(..endpoint.len() - behind.len() - place.len())?;
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (place, usual_port(scheme)?),
        };
        let is_there = matches!(host, "localhost" | "[::1]" | "0.0.0.0" | "[::]") || host.starts_with("127.");
        let host = if host == "0.0.0.0" { "127.0.0.1" } else { host };
        let host = if host == "[::]" { "[::1]" } else { host };
        is_there.then_some(Self::Port { before, host, port, behind })
    }
}

fn usual_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http://" | "ws://" => Some(80),
        "https://" | "wss://" => Some(443),
        _ => None,
    }
}

/// Returns a path of a socket as `ssh -L` reads it: without its own meaning of `:`, `\` and `%`.
fn escaped(path: &str) -> String {
    path.replace('\\', "\\\\").replace(':', "\\:").replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_ports_and_sockets_are_forwarded() {
        let port = |before, host, port, behind| Some(Place::Port { before, host, port, behind });
        for (endpoint, place) in [
            ("unix:/run/gob/a.sock", Some(Place::Socket("/run/gob/a.sock"))),
            ("http://127.0.0.1:5173", port("http://", "127.0.0.1", 5173, "")),
            ("http://localhost/x?y", port("http://", "localhost", 80, "/x?y")),
            ("postgres://me:pw@127.0.0.1:5432/db", port("postgres://me:pw@", "127.0.0.1", 5432, "/db")),
            ("redis://[::1]:6379", port("redis://", "[::1]", 6379, "")),
            ("http://0.0.0.0:80/", port("http://", "127.0.0.1", 80, "/")),
            ("127.0.0.1:7", port("", "127.0.0.1", 7, "")),
            ("http://example.org:80", None),
            ("redis://localhost", None),
            ("unix:relative", None),
            ("unix:/a/${HOME}", None),
            ("", None),
        ] {
            assert_eq!(Place::of(endpoint), place, "{endpoint}");
        }
    }

    #[test]
    fn each_endpoint_is_forwarded_once() {
        let of = |endpoint: &str| ("GOB_ENDPOINT".to_owned(), endpoint.to_owned());
        let all =
            [of("unix:/r/a:b%20.sock"), of("unix:/r/a:b%20.sock"), of("http://127.0.0.1:1/x"), of("far:1")];
        let Plan { pairs, here, left } = Plan::of(&all, Path::new("/d")).unwrap();
        assert_eq!(pairs[0], ("/d/0.sock".to_owned(), "/r/a\\:b%%20.sock".to_owned()));
        assert_eq!((pairs.len(), here.len(), left.as_slice()), (2, 2, &["far:1".to_owned()][..]));
        assert_eq!(here["unix:/r/a:b%20.sock"], "unix:/d/0.sock");
        assert!(here["http://127.0.0.1:1/x"].starts_with("http://127.0.0.1:"));
        assert!(here["http://127.0.0.1:1/x"].ends_with("/x"));
    }
}

//! Finds the sockets on which whole trees listen, those of many runs in one walk: TCP sockets that listen, and UDP sockets
//! that are bound and not connected.
//!
//! One pass over the process table finds the processes of all runs, and the kernel's lists of sockets are read once for
//! each network namespace among them.

use super::machine;
use super::sockets::{Tree, below, read_line, socket_inodes};
use crate::disks::PATIENCE;
use crate::program;
use crate::sys::process;
use gob_core::{Listener, Miss, RunKey, Transport};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A run to look at.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) key: RunKey,
    pub(crate) tree: Tree,
    pub(crate) leader: i32,
}

/// The kernel's lists: the name, the protocol, and the state of a socket that waits for anybody.
const LISTS: [(&str, Transport, &str); 4] = [
    ("tcp", Transport::Tcp, "0A"),
    ("tcp6", Transport::Tcp, "0A"),
    ("udp", Transport::Udp, "07"),
    ("udp6", Transport::Udp, "07"),
];

/// The listening sockets of a network namespace, by their inodes.
type Sockets = HashMap<u64, (u16, Transport, IpAddr)>;

/// Returns where each of these runs listens.
pub(super) fn of_runs(wanted: &[Wanted]) -> Result<BTreeMap<RunKey, Vec<Listener>>, Miss> {
    let began = Instant::now();
    let by_tag: HashMap<_, _> = wanted.iter().map(|of| (of.tree.tag, ())).collect();
    let mut tagged = process::scan(|tag| by_tag.contains_key(&tag)).map_err(machine)?;
    let mut spaces = Spaces::default();
    let mut all = BTreeMap::new();
    for Wanted { key, tree, leader } in wanted {
        let mut pids: Vec<i32> =
            tagged.remove(&tree.tag).into_iter().flatten().map(|found| found.id.pid).collect();
        pids.extend(below(tree.leader));
        // The first of several processes that have a socket is shown with it.
        pids.sort_unstable_by_key(|pid| (pid != leader, *pid));
        pids.dedup();
        let mut listeners = BTreeMap::new();
        for pid in pids {
            if began.elapsed() > PATIENCE {
                return Err(Miss::TimedOut);
            }
            let sockets = spaces.of(pid)?;
            if sockets.is_empty() {
                continue;
            }
            // Of a process that hides its sockets nothing is known, and one that is gone has none.
            let inodes = socket_inodes(pid).unwrap_or_default();
            for at in inodes.iter().filter_map(|inode| sockets.get(inode)) {
                listeners.entry(*at).or_insert(pid);
            }
        }
        let listener = |((port, protocol, address), pid)| Listener { port, protocol, address, pid };
        all.insert(key.clone(), listeners.into_iter().map(listener).collect());
    }
    Ok(all)
}

/// The network namespaces that were read so far.
#[derive(Debug, Default)]
struct Spaces {
    own: Option<PathBuf>,
    by_name: HashMap<PathBuf, Sockets>,
}

impl Spaces {
    /// Returns the sockets of the namespace of a process; of our own where it hides which one it is in.
    fn of(&mut self, pid: i32) -> Result<&Sockets, Miss> {
        let proc = process::memory_of(pid);
        let own = self.own.get_or_insert_with(|| name_of(Path::new("/proc/self")).unwrap_or_default());
        let name = name_of(&proc).unwrap_or_else(|| own.clone());
        let net = if name == *own { PathBuf::from("/proc/net") } else { proc.join("net") };
        if !self.by_name.contains_key(&name) {
            // A process that has ended since then leaves a namespace of which nothing can be read.
            let sockets = match read(&net) {
                Err(_) if name != *own => Sockets::new(),
                read => read?,
            };
            self.by_name.insert(name.clone(), sockets);
        }
        Ok(self.by_name.entry(name).or_default())
    }
}

fn name_of(proc: &Path) -> Option<PathBuf> {
    std::fs::read_link(proc.join("ns/net")).ok()
}

/// Reads the lists of a namespace. A kernel may be without IPv6, or without UDP.
fn read(net: &Path) -> Result<Sockets, Miss> {
    let mut sockets = Sockets::new();
    for (name, protocol, state) in LISTS {
        let path = net.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => sockets.extend(
                text.lines()
                    .filter_map(|line| read_line(line, state))
                    .map(|(at, inode)| (inode, (at.port(), protocol, at.ip()))),
            ),
            Err(e) if name == "tcp" => {
                return Err(Miss::NoSockets { path: path.display().to_string(), errno: program::errno(&e) });
            }
            Err(_) => {}
        }
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::tag::{self, Tag};
    use gob_protocol::Name;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};

    fn this_process() -> Wanted {
        let leader = i32::try_from(std::process::id()).unwrap();
        let tree = Tree { tag: Tag(tag::of(leader).unwrap()), leader: None };
        Wanted { key: RunKey { name: Name::any("w").unwrap(), run: 1 }, tree, leader }
    }

    #[test]
    fn listening_and_bound_sockets_are_found_and_connected_ones_are_not() {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let tcp6 = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0));
        let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let client = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        let talks = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        talks.connect(udp.local_addr().unwrap()).unwrap();
        let wanted = this_process();
        let found = of_runs(std::slice::from_ref(&wanted)).unwrap().remove(&wanted.key).unwrap();
        let has = |protocol, at: std::net::SocketAddr| {
            let at = Listener { port: at.port(), protocol, address: at.ip(), pid: wanted.leader };
            found.contains(&at)
        };
        assert!(has(Transport::Tcp, tcp.local_addr().unwrap()));
        assert!(tcp6.is_err() || has(Transport::Tcp, tcp6.unwrap().local_addr().unwrap()));
        assert!(has(Transport::Udp, udp.local_addr().unwrap()));
        assert!(!has(Transport::Tcp, client.local_addr().unwrap()));
        assert!(!has(Transport::Udp, talks.local_addr().unwrap()));
    }

    #[test]
    fn a_run_without_processes_listens_nowhere() {
        let mut nobody = this_process();
        nobody.tree.tag = Tag(1);
        let found = of_runs(std::slice::from_ref(&nobody)).unwrap();
        assert_eq!(found.get(&nobody.key), Some(&Vec::new()));
    }

    #[test]
    fn a_proc_without_sockets_is_named() {
        let dir = std::env::temp_dir().join(format!("gob-listeners-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let said = read(&dir).unwrap_err().to_string();
        assert!(said.contains("/tcp can't be read"), "{said}");
        std::fs::write(dir.join("tcp"), "  sl  local_address\n").unwrap();
        assert!(read(&dir).unwrap().is_empty());
        std::fs::remove_dir_all(dir).unwrap();
    }
}

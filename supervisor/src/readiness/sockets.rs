//! Finds the TCP ports on which processes listen, such as a run's tree: the sockets that they have open
//! (`/proc/PID/fd`), joined with the kernel's list of listening ones (`/proc/net/tcp`, `/proc/net/tcp6`) by
//! their inodes (proc(5)).

use super::machine;
use crate::disks::{Disks, PROCESSES};
use crate::program;
use crate::sys::children;
use crate::sys::process;
use crate::sys::tag::Tag;
use gob_core::Miss;
use gob_protocol::view::Port;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The state `TCP_LISTEN` as `/proc/net/tcp` writes it.
const LISTENING: &str = "0A";

/// Limit of searches at once; each costs as much as there are processes and sockets.
const AT_ONCE: usize = 4;

/// The processes of a run: all that carry its tag, and where its processes could not be marked, its leader
/// and all below it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tree {
    pub(crate) tag: Tag,
    /// The leader of a run without a tag.
    pub(crate) leader: Option<i32>,
}

/// Reads sockets beside the loop, which has no time for it, since a process that hangs may delay the
/// reader.
#[derive(Debug, Clone)]
pub(super) struct Looks {
    disks: Disks,
    room: Arc<Semaphore>,
}

impl Looks {
    pub(super) fn new(disks: Disks) -> Self {
        Self { disks, room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Returns the addresses at which the run's listening sockets are reached from this machine, each with
    /// its port and process.
    pub(super) async fn listening(&self, tree: Tree) -> Result<Vec<(SocketAddr, Port)>, Miss> {
        self.look(&lane(tree), move || listening(tree)).await
    }

    /// Returns which process of the run's tree listens where this address leads.
    pub(super) async fn listener(&self, tree: Tree, address: SocketAddr) -> Result<Listener, Miss> {
        self.look(&lane(tree), move || listener(tree, address)).await
    }

    /// Returns the addresses on which the run's tree listens, also those that are not on the loopback
    /// interface.
    pub(super) async fn bound(&self, tree: Tree) -> Result<Vec<SocketAddr>, Miss> {
        self.look(&lane(tree), move || bound(tree)).await
    }

    /// Looks beside the loop. No two looks of one lane go on at once.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        lane: &str,
        look: impl FnOnce() -> Result<T, Miss> + Send + 'static,
    ) -> Result<T, Miss> {
        let permit = self.room.clone().acquire_owned().await.map_err(|e| machine(io::Error::other(e)))?;
        let looked = self.disks.ask(lane, vec![PROCESSES.to_owned()], move |at| {
            at.go("read the sockets in", PROCESSES);
            let looked = look();
            drop(permit);
            looked
        });
        looked.await.map_err(Miss::Silent)?
    }
}

fn lane(tree: Tree) -> String {
    format!("sockets of {}", tree.tag.0)
}

/// The listener at an address that has answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// The run's tree, on these ports; or it can't be told, because the tree or /proc hides its sockets.
    Ours(Vec<Port>),
    /// Another process.
    SomebodyElse,
    /// The listener is gone.
    Nobody,
}

fn listening(tree: Tree) -> Result<Vec<(SocketAddr, Port)>, Miss> {
    listening_of(members(tree)?)
}

fn members(Tree { tag, leader }: Tree) -> Result<Vec<i32>, Miss> {
    let tagged = process::scan(|found| found == tag).map_err(machine)?.remove(&tag).unwrap_or_default();
    Ok(tagged.into_iter().map(|found| found.id.pid).chain(below(leader)).collect())
}

/// Returns the leader of a run without a tag and all processes below it.
pub(super) fn below(leader: Option<i32>) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    // The leader's pid may be another process's by now, which is no child of ours.
    let leader = leader.and_then(process::seen).filter(|leader| leader.parent == own);
    let tree = leader.into_iter().flat_map(|leader| {
        children::below(leader.id.pid).into_iter().chain([leader]).map(|found| found.id.pid)
    });
    tree.collect()
}

fn bound(tree: Tree) -> Result<Vec<SocketAddr>, Miss> {
    let holders = Holders::of(members(tree)?);
    let own = table()?.into_iter().filter(|(_, inode)| holders.by_inode.contains_key(inode));
    Ok(own.map(|(address, _)| address).collect())
}

fn listener(tree: Tree, address: SocketAddr) -> Result<Listener, Miss> {
    // Where the kernel's list is hidden, the answering process is taken at its word.
    let Ok(all) = table() else { return Ok(Listener::Ours(Vec::new())) };
    let ours = Holders::of(members(tree)?);
    let mut there = all.iter().filter(|(at, _)| leads_to(address, *at)).peekable();
    Ok(if there.peek().is_none() {
        Listener::Nobody
    } else if ours.hide || there.any(|(_, inode)| ours.by_inode.contains_key(inode)) {
        Listener::Ours(ours.reachable_of(&all).into_values().map(|(_, port)| port).collect())
    } else {
        Listener::SomebodyElse
    })
}

/// Returns the addresses at which the listening sockets of these processes are reached from this machine,
/// each with its port and process.
pub(crate) fn listening_of(pids: impl IntoIterator<Item = i32>) -> Result<Vec<(SocketAddr, Port)>, Miss> {
    let holders = Holders::of(pids);
    if holders.by_inode.is_empty() {
        return Ok(Vec::new());
    }
    Ok(holders.reachable_of(&table()?).into_values().collect())
}

/// The open sockets of some processes.
#[derive(Debug, Default)]
struct Holders {
    by_inode: BTreeMap<u64, i32>,
    /// One of the processes hides its sockets (it has capabilities, or is another user's).
    hide: bool,
}

impl Holders {
    fn of(pids: impl IntoIterator<Item = i32>) -> Self {
        let mut holders = Self::default();
        for pid in pids {
            match socket_inodes(pid) {
                Ok(inodes) => {
                    inodes.into_iter().for_each(|inode| {
                        holders.by_inode.entry(inode).or_insert(pid);
                    });
                }
                Err(e) => holders.hide |= e.kind() == io::ErrorKind::PermissionDenied,
            }
        }
        holders
    }

    fn reachable_of(&self, table: &[(SocketAddr, u64)]) -> BTreeMap<u16, (SocketAddr, Port)> {
        let mut found = BTreeMap::new();
        for (address, inode) in table {
            if let (Some(pid), Some(address)) = (self.by_inode.get(inode), reachable(*address)) {
                let port = Port { port: address.port(), protocol: "tcp".to_owned(), pid: *pid };
                found.entry(address.port()).or_insert((address, port));
            }
        }
        found
    }
}

/// Returns all listening sockets of the machine: their addresses and their inodes.
fn table() -> Result<Vec<(SocketAddr, u64)>, Miss> {
    table_in(Path::new("/proc/net"))
}

fn table_in(net: &Path) -> Result<Vec<(SocketAddr, u64)>, Miss> {
    let path = net.join("tcp");
    let of_v4 = std::fs::read_to_string(&path)
        .map_err(|e| Miss::NoSockets { path: path.display().to_string(), errno: program::errno(&e) })?;
    // A kernel without IPv6 has no second table.
    let of_v6 = std::fs::read_to_string(net.join("tcp6")).unwrap_or_default();
    Ok(of_v4.lines().chain(of_v6.lines()).filter_map(|line| read_line(line, LISTENING)).collect())
}

/// Returns whether a socket bound at `bound` gets connections to `address`. One on all IPv6 addresses may get
/// IPv4 ones too.
fn leads_to(address: SocketAddr, bound: SocketAddr) -> bool {
    let everywhere = bound.ip().is_unspecified() && (bound.is_ipv6() || address.is_ipv4());
    bound.port() == address.port() && (bound.ip() == address.ip() || everywhere)
}

/// Returns the inodes of a process's open sockets; none when it is gone.
pub(super) fn socket_inodes(pid: i32) -> io::Result<Vec<u64>> {
    let fds = std::fs::read_dir(process::memory_of(pid).join("fd"))?.flatten();
    let links = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    let inode =
        |link: std::path::PathBuf| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    Ok(links.filter_map(inode).collect())
}

/// Parses local address and inode of a socket in this state.
pub(super) fn read_line(line: &str, wanted: &str) -> Option<(SocketAddr, u64)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if *state != wanted {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // Each group of eight digits is a word in the machine's own order.
    let words = ip.as_bytes().chunks(8).map(|word| {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        Some(word.to_ne_bytes())
    });
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.concat();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::V4(bytes.into()),
        Err(_) => IpAddr::V6(<[u8; 16]>::try_from(bytes.as_slice()).ok()?.into()).to_canonical(),
    };
    Some((SocketAddr::new(ip, port), inode.parse().ok()?))
}

/// Returns the address at which a socket is reached on the loopback interface, if it is.
fn reachable(mut address: SocketAddr) -> Option<SocketAddr> {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    address.ip().is_loopback().then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel_are_parsed() {
        let v4 = "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 4242 1 0 100 0 0 10 0";
        let (address, inode) = read_line(v4, LISTENING).unwrap();
        assert_eq!((address.to_string().as_str(), inode), ("127.0.0.1:8080", 4242));
        let v6 = "1: 00000000000000000000000001000000:0051 0:0 0A 0:0 0:0 0 1000 0 7 1";
        assert_eq!(read_line(v6, LISTENING).unwrap().0.to_string(), "[::1]:81");
        assert_eq!(read_line(&v4.replace(" 0A ", " 01 "), LISTENING), None);
        assert_eq!(read_line("  sl  local_address rem_address   st", LISTENING), None);
    }

    #[test]
    fn a_proc_that_shows_no_sockets_is_named() {
        let dir = std::env::temp_dir().join(format!("gob-sockets-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let said = table_in(&dir).unwrap_err().to_string();
        assert!(said.contains("/tcp can't be read") && said.contains("subset=pid"), "{said}");
        std::fs::write(dir.join("tcp"), "  sl  local_address\n").unwrap();
        assert_eq!(table_in(&dir).unwrap(), []);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_listening_sockets_of_this_process_are_found() {
        let listener = std::net::TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let me = i32::try_from(std::process::id()).unwrap();
        let tree = Tree { tag: Tag(crate::sys::tag::of(me).unwrap()), leader: None };
        let found = listening(tree).unwrap();
        let ours = found.iter().find(|(address, _)| address.port() == port).unwrap();
        assert_eq!((ours.0.ip(), ours.1.pid), (IpAddr::V4(Ipv4Addr::LOCALHOST), me));
    }
    #[test]
    fn a_port_is_ours_anothers_or_free() {
        let listener_at = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener_at.local_addr().unwrap();
        let tag = Tag(crate::sys::tag::of(i32::try_from(std::process::id()).unwrap()).unwrap());
        let me = Tree { tag, leader: None };
        let Listener::Ours(ports) = listener(me, address).unwrap() else { panic!("not ours") };
        assert!(ports.iter().any(|port| port.port == address.port()));
        // A tag that no process carries.
        assert_eq!(listener(Tree { tag: Tag(1), leader: None }, address).unwrap(), Listener::SomebodyElse);
        drop(listener_at);
        // A child that another test of this process starts has the listener, too, until its program runs.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while listener(me, address).unwrap() != Listener::Nobody {
            assert!(std::time::Instant::now() < deadline, "a listener that is closed");
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
    }

    #[test]
    fn connections_lead_to_the_bound_addresses() {
        let leads = |address: &str, bound: &str| leads_to(address.parse().unwrap(), bound.parse().unwrap());
        for bound in ["127.0.0.1:81", "0.0.0.0:81", "[::]:81"] {
            assert!(leads("127.0.0.1:81", bound), "{bound}");
        }
        for bound in ["127.0.0.1:82", "127.0.0.2:81", "[::1]:81", "0.0.0.0:82"] {
            assert!(!leads("127.0.0.1:81", bound), "{bound}");
        }
        assert!(leads("[::1]:81", "[::]:81") && !leads("[::1]:81", "0.0.0.0:81"));
    }
}

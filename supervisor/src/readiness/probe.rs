//! One probe of a run's target, from outside. The owner of its task aborts it to end the probe.

use super::http;
use super::sockets::{Listener, Looks, Tree};
use gob_core::{Answered, Missed, Target};
use gob_protocol::handshake::Handshake;
use gob_protocol::view::Port;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};

/// Addresses of a run that are named where its probe fails.
const SHOWN: usize = 4;

/// The result of a satisfied attempt: endpoint and ports.
pub(super) type Ready = (Option<String>, Vec<Port>);

/// One probe, as the core asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) target: Target,
    /// The time limit at each address.
    pub(crate) limit: Duration,
    /// Only an answer of the run's own processes counts.
    pub(crate) its_own: bool,
    /// A failure that is later than this, or is another process's answer, also names the addresses on which the
    /// run listens; `None`: it never does.
    pub(crate) explain_after: Option<Duration>,
}

/// Probes once.
pub(super) async fn once(look: &Look, tree: Tree, looks: &Looks) -> Result<Answered, Missed> {
    let begun = Instant::now();
    let error = match attempt(look, begun, tree, looks).await {
        // Only its port is known.
        Ok((endpoint, ports)) => {
            let handshake = Handshake { endpoint, by_port: true, ..Handshake::default() };
            return Ok(Answered { handshake, ports });
        }
        Err(error) => error,
    };
    // The run may be about to die of another process's answer, so that is explained whenever it comes.
    let is_explained = look.explain_after.is_some() && is_searched(look, begun, &error);
    let more = if is_explained { elsewhere(&look.target, tree, looks).await } else { String::new() };
    Err(Missed { why: format!("{}: {error}{more}", describe(&look.target)), is_explained })
}

/// Returns whether the sockets of the run are looked through after this error: not in the first second of a start, in which there are
/// many probes and most find nobody; but at once where another process has answered.
fn is_searched(look: &Look, begun: Instant, error: &io::Error) -> bool {
    let is_foreign = error.kind() == io::ErrorKind::AddrInUse;
    look.explain_after.is_none_or(|after| is_foreign || begun.elapsed() >= after)
}

/// Replaces an endpoint that stands for either loopback address by the one on which the run's tree listens;
/// by 127.0.0.1 where that can't be told.
pub(super) async fn located(handshake: Handshake, tree: Tree, looks: &Looks) -> (Handshake, Vec<Port>) {
    let endpoint = handshake.endpoint.as_deref().unwrap_or_default();
    let candidates = http::addresses(endpoint).unwrap_or_default();
    let listening = looks.listening(tree).await.unwrap_or_default();
    let on_port = |address: &SocketAddr| candidates.iter().any(|known| known.port() == address.port());
    let own = listening.iter().map(|(address, _)| *address).find(on_port);
    let endpoint = own.or(candidates.first().copied()).map(|address| format!("http://{address}"));
    let ports = listening.into_iter().map(|(_, port)| port).collect();
    (Handshake { endpoint: endpoint.or(handshake.endpoint), ..handshake }, ports)
}

/// Names the addresses on which the run's tree listens, for a probe that fails elsewhere; empty where the
/// target is no port.
async fn elsewhere(target: &Target, tree: Tree, looks: &Looks) -> String {
    let port = match target {
        Target::Http { port, .. } => *port,
        Target::Connect { address } => http::socket_addresses(address).first().map(SocketAddr::port),
        Target::Output => None,
    };
    if port.is_none() {
        return String::new();
    }
    let Ok(bound) = looks.bound(tree).await else {
        return "; /proc does not show where it listens".to_owned();
    };
    if bound.is_empty() {
        return "; it listens on no port".to_owned();
    }
    let shown: Vec<String> = bound.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if bound.len() > SHOWN { ", …" } else { "" };
    format!("; it listens on {}{more}", shown.join(", "))
}

/// Returns the ports on which the run's tree listens; `address` must be one of them.
///
/// # Errors
/// `AddrInUse` when another process listens there.
async fn make_sure(address: SocketAddr, tree: Tree, looks: &Looks) -> io::Result<Vec<Port>> {
    let port = address.port();
    match looks.listener(tree, address).await? {
        Listener::Ours(ports) => Ok(ports),
        Listener::SomebodyElse => {
            let words = format!("another process answers on port {port}");
            Err(io::Error::new(io::ErrorKind::AddrInUse, words))
        }
        Listener::Nobody => Err(io::Error::other(format!("no process listens on port {port} any more"))),
    }
}

/// Requests the end of the process at an endpoint, by an HTTP request; where a tree is given, only a process
/// of it.
///
/// # Errors
/// When the endpoint is not on the loopback interface, no server answers there, or another process does.
pub(super) async fn ask_to_end(
    endpoint: &str,
    request: &str,
    of: Option<Tree>,
    looks: &Looks,
) -> io::Result<u16> {
    let ask = async |address| {
        if let Some(tree) = of {
            make_sure(address, tree, looks).await?;
        }
        http::ask(address, request).await
    };
    first(&http::addresses(endpoint)?, ask).await
}

/// Tries addresses in turn and returns the first success, else the error that tells the most.
async fn first<T>(
    addresses: &[SocketAddr],
    mut attempt: impl AsyncFnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = io::Error::from(io::ErrorKind::InvalidInput);
    for address in addresses {
        match attempt(*address).await {
            Ok(found) => return Ok(found),
            // No server is at this address: another address's error tells more.
            Err(e) if nobody(&e) && last.kind() != io::ErrorKind::InvalidInput => {}
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// Returns whether an error only means that no process listens at an address, or that the machine has no such
/// address.
fn nobody(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, NetworkUnreachable};
    matches!(error.kind(), AddrNotAvailable | ConnectionRefused | NetworkUnreachable)
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

fn describe(target: &Target) -> String {
    match target {
        Target::Http { port: Some(port), path, .. } => format!("GET http://localhost:{port}{path}"),
        Target::Http { port: None, path, .. } => format!("GET {path}"),
        Target::Connect { address } => format!("connect to {address}"),
        Target::Output => "output".to_owned(),
    }
}

/// Probes once, for the limit at most at each address. During a start, an answer on a port that was not looked up counts only
/// when it came from a process of the run: an earlier process may still answer.
async fn attempt(look: &Look, begun: Instant, tree: Tree, looks: &Looks) -> io::Result<Ready> {
    let (limit, of) = (look.limit, look.its_own.then_some(tree));
    match &look.target {
        Target::Http { port: Some(port), path, status } => {
            let addresses = http::loopbacks(*port);
            let each = limit / 2;
            let ask = async |address: SocketAddr| {
                within(each, get(address, path, *status)).await?;
                let ports = match of {
                    Some(tree) => make_sure(address, tree, looks).await?,
                    None => Vec::new(),
                };
                Ok((Some(format!("http://{address}")), ports))
            };
            match first(&addresses, ask).await {
                // Its own processes may listen at another address of the loopback interface.
                Err(error) if is_nobodys(&error) && is_searched(look, begun, &error) => {
                    match own_address(*port, tree, looks, each).await {
                        Some((address, ports)) => {
                            within(each, get(address, path, *status)).await?;
                            Ok((Some(format!("http://{address}")), ports))
                        }
                        None => Err(error),
                    }
                }
                answer => answer,
            }
        }
        Target::Http { port: None, path, status } => {
            within(limit, discover(path, *status, tree, looks)).await
        }
        Target::Connect { address } => match within(limit, connect(address)).await {
            Err(error) if nobody(&error) && is_searched(look, begun, &error) => {
                connect_elsewhere(address, tree, looks, limit).await.ok_or(error)
            }
            answer => answer,
        },
        Target::Output => not_from_outside(),
    }
}

/// Returns whether an error means that the run does not listen at an address: no process does, or another one.
fn is_nobodys(error: &io::Error) -> bool {
    nobody(error) || error.kind() == io::ErrorKind::AddrInUse
}

/// Returns the address at which the run's tree is reached on a port, and its ports, where that is none of the two
/// addresses that are tried without a search; `None` also where it can't be told in time.
async fn own_address(
    port: u16,
    tree: Tree,
    looks: &Looks,
    limit: Duration,
) -> Option<(SocketAddr, Vec<Port>)> {
    let listening = within(limit, looks.listening(tree)).await.ok()?;
    let tried = http::loopbacks(port);
    let is_other = |address: &SocketAddr| address.port() == port && !tried.contains(address);
    let address = listening.iter().map(|(address, _)| *address).find(is_other)?;
    Some((address, listening.into_iter().map(|(_, port)| port).collect()))
}

async fn within<T>(limit: Duration, attempt: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, attempt).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Connects, and closes at once. The endpoint is news only where the host's name has several addresses.
async fn connect(address: &str) -> io::Result<Ready> {
    if let Some(path) = address.strip_prefix("unix:") {
        drop(UnixStream::connect(path).await?);
        return Ok((Some(address.to_owned()), Vec::new()));
    }
    let addresses = http::socket_addresses(address);
    let taken = first(&addresses, async |address| TcpStream::connect(address).await.map(|_| address)).await?;
    let endpoint = (taken.is_ipv6() && addresses.len() > 1).then(|| format!("http://{taken}"));
    Ok((endpoint, Vec::new()))
}

/// Connects to the run's own address where `address` is a port of `localhost` at which nothing else listens.
async fn connect_elsewhere(address: &str, tree: Tree, looks: &Looks, limit: Duration) -> Option<Ready> {
    let port = address.strip_prefix("localhost:")?.parse().ok()?;
    let (address, ports) = own_address(port, tree, looks, limit).await?;
    within(limit, TcpStream::connect(address)).await.ok()?;
    Some((Some(format!("http://{address}")), ports))
}

/// A check of a run's output is done elsewhere.
fn not_from_outside() -> io::Result<Ready> {
    Err(io::ErrorKind::Unsupported.into())
}

async fn get(address: SocketAddr, path: &str, expected: u16) -> io::Result<()> {
    match http::status(address, "GET", path).await? {
        status if status == expected => Ok(()),
        status => Err(io::Error::other(format!("answered {status}, not {expected}"))),
    }
}

/// Probes every port on which the run's tree listens.
async fn discover(path: &str, status: u16, tree: Tree, looks: &Looks) -> io::Result<Ready> {
    let listening = looks.listening(tree).await?;
    let ports = || listening.iter().map(|(_, port)| port.clone()).collect();
    let mut last = io::Error::other("it listens on no port yet");
    for (address, _) in &listening {
        match get(*address, path, status).await {
            Ok(()) => return Ok((Some(format!("http://{address}")), ports())),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;

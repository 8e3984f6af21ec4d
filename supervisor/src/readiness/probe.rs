//! One probe of a run's target, from outside. The owner of its task aborts it to end the probe.

use super::sockets::{Listener, Looks, Tree};
use super::{http, machine};
use gob_core::{Answered, Listens, Miss, Missed, Target};
use gob_protocol::handshake::Handshake;
use gob_protocol::view::Port;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};

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
pub(super) async fn once(look: &Look, tree: Tree, looks: &Looks) -> Result<Answered, Box<Missed>> {
    let begun = Instant::now();
    let why = match attempt(look, begun, tree, looks).await {
        // Only its port is known.
        Ok((endpoint, ports)) => {
            let handshake = Handshake { endpoint, by_port: true, ..Handshake::default() };
            return Ok(Answered { handshake, ports });
        }
        Err(why) => why,
    };
    // The run may be about to die of another process's answer, so that is explained whenever it comes.
    let is_explained = look.explain_after.is_some() && is_searched(look, begun, &why);
    let listens = if is_explained { elsewhere(&look.target, tree, looks).await } else { None };
    Err(Box::new(Missed { target: look.target.clone(), why, listens, is_explained }))
}

/// Returns whether the sockets of the run are looked through after this error: not in the first second of a start, in which there are
/// many probes and most find nobody; but at once where another process has answered.
fn is_searched(look: &Look, begun: Instant, why: &Miss) -> bool {
    let is_foreign = matches!(why, Miss::AnothersPort(_));
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

/// Returns the addresses on which the run's tree listens, for a probe that fails elsewhere; `None` where the
/// target is no port.
async fn elsewhere(target: &Target, tree: Tree, looks: &Looks) -> Option<Listens> {
    let port = match target {
        Target::Http { port, .. } => *port,
        Target::Connect { address } => http::socket_addresses(address).first().map(SocketAddr::port),
        Target::Output => None,
    };
    port?;
    Some(looks.bound(tree).await.map_or(Listens::Hidden, Listens::On))
}

/// Returns the ports on which the run's tree listens; `address` must be one of them.
///
/// # Errors
/// When another process listens there, or none.
async fn make_sure(address: SocketAddr, tree: Tree, looks: &Looks) -> Result<Vec<Port>, Miss> {
    let port = address.port();
    match looks.listener(tree, address).await? {
        Listener::Ours(ports) => Ok(ports),
        Listener::SomebodyElse => Err(Miss::AnothersPort(port)),
        Listener::Nobody => Err(Miss::NobodysPort(port)),
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
) -> Result<u16, Miss> {
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
    mut attempt: impl AsyncFnMut(SocketAddr) -> Result<T, Miss>,
) -> Result<T, Miss> {
    let mut last = Miss::NoAddress;
    for address in addresses {
        match attempt(*address).await {
            Ok(found) => return Ok(found),
            Err(why) if why.is_nobody() && last != Miss::NoAddress => {}
            Err(why) => last = why,
        }
    }
    Err(last)
}

/// Probes once, for the limit at most at each address. During a start, an answer on a port that was not looked up counts only
/// when it came from a process of the run: an earlier process may still answer.
async fn attempt(look: &Look, begun: Instant, tree: Tree, looks: &Looks) -> Result<Ready, Miss> {
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
                Err(why) if why.is_nobodys() && is_searched(look, begun, &why) => {
                    match own_address(*port, tree, looks, each).await {
                        Some((address, ports)) => {
                            within(each, get(address, path, *status)).await?;
                            Ok((Some(format!("http://{address}")), ports))
                        }
                        None => Err(why),
                    }
                }
                answer => answer,
            }
        }
        Target::Http { port: None, path, status } => {
            within(limit, discover(path, *status, tree, looks)).await
        }
        Target::Connect { address } => match within(limit, connect(address)).await {
            Err(why) if why.is_nobody() && is_searched(look, begun, &why) => {
                connect_elsewhere(address, tree, looks, limit).await.ok_or(why)
            }
            answer => answer,
        },
        // Its output is watched elsewhere, and this is never asked.
        Target::Output => Err(Miss::NoLine),
    }
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

async fn within<T>(limit: Duration, attempt: impl Future<Output = Result<T, Miss>>) -> Result<T, Miss> {
    timeout(limit, attempt).await.unwrap_or(Err(Miss::TimedOut))
}

/// Connects, and closes at once. The endpoint is news only where the host's name has several addresses.
async fn connect(address: &str) -> Result<Ready, Miss> {
    if let Some(path) = address.strip_prefix("unix:") {
        drop(UnixStream::connect(path).await.map_err(machine)?);
        return Ok((Some(address.to_owned()), Vec::new()));
    }
    let addresses = http::socket_addresses(address);
    let taken = first(&addresses, reach).await?;
    let endpoint = (taken.is_ipv6() && addresses.len() > 1).then(|| format!("http://{taken}"));
    Ok((endpoint, Vec::new()))
}

/// Connects to the run's own address where `address` is a port of `localhost` at which nothing else listens.
async fn connect_elsewhere(address: &str, tree: Tree, looks: &Looks, limit: Duration) -> Option<Ready> {
    let port = address.strip_prefix("localhost:")?.parse().ok()?;
    let (address, ports) = own_address(port, tree, looks, limit).await?;
    within(limit, reach(address)).await.ok()?;
    Some((Some(format!("http://{address}")), ports))
}

/// Connects to an address, and closes at once.
async fn reach(address: SocketAddr) -> Result<SocketAddr, Miss> {
    TcpStream::connect(address).await.map(|_| address).map_err(machine)
}

async fn get(address: SocketAddr, path: &str, expected: u16) -> Result<(), Miss> {
    match http::status(address, "GET", path).await? {
        answered if answered == expected => Ok(()),
        answered => Err(Miss::Status { answered, expected }),
    }
}

/// Probes every port on which the run's tree listens.
async fn discover(path: &str, status: u16, tree: Tree, looks: &Looks) -> Result<Ready, Miss> {
    let listening = looks.listening(tree).await?;
    let ports = || listening.iter().map(|(_, port)| port.clone()).collect();
    let mut last = Miss::NoPort;
    for (address, _) in &listening {
        match get(*address, path, status).await {
            Ok(()) => return Ok((Some(format!("http://{address}")), ports())),
            Err(why) => last = why,
        }
    }
    Err(last)
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;

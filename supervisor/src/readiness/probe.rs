//! One probe: looks at its target until that is ready. Whoever wants no more of it aborts its task.

use super::sockets::{Listener, Looks};
use super::{Found, http};
use crate::sys::tag::Tag;
use gob_core::{RunKey, Target};
use gob_protocol::handshake::Handshake;
use gob_protocol::view::Port;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(1);
/// First and longest time between attempts.
const BETWEEN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
/// A start that takes longer than this is worth saying why.
const QUIET: Duration = Duration::from_secs(1);

/// What a satisfied attempt has found.
pub(super) type Ready = (Option<String>, Vec<Port>);

/// Looks again and again, ever more rarely, and tells of it.
pub(super) async fn until_ready(key: RunKey, target: Target, tag: Tag, looks: Looks, found: Sender<Found>) {
    let begun = Instant::now();
    let (mut between, longest) = BETWEEN;
    let mut told = String::new();
    loop {
        let ready = match once(&target, tag, &looks, ATTEMPT).await {
            Ok(ready) => whose(ready, &target, tag, &looks).await,
            Err(status) => Err((status, false)),
        };
        let (status, at_once) = match ready {
            Ok((endpoint, ports)) => {
                let handshake = Handshake { endpoint, ..Handshake::default() };
                return found.send(Found::Ready { key, handshake, ports }).await.unwrap_or_default();
            }
            Err(not_yet) => not_yet,
        };
        if (at_once || begun.elapsed() > QUIET) && status != told {
            told.clone_from(&status);
            found.send(Found::NotYet { key: key.clone(), status }).await.unwrap_or_default();
        }
        sleep(between).await;
        between = (between * 2).min(longest);
    }
}

/// Makes sure that who answered on a port that was not looked up is of the run's tree: it may be whoever was there before.
/// If not, why, and whether that is to be told at once: the run may be about to die of it.
async fn whose(ready: Ready, target: &Target, tag: Tag, looks: &Looks) -> Result<Ready, (String, bool)> {
    let Target::Http { port: Some(port), .. } = target else { return Ok(ready) };
    let (endpoint, _) = ready;
    match make_sure(SocketAddr::from((Ipv4Addr::LOCALHOST, *port)), tag, looks).await {
        Ok(ports) => Ok((endpoint, ports)),
        Err(error) => {
            let at_once = error.kind() == io::ErrorKind::AddrInUse;
            Err((format!("{}: {error}", describe(target)), at_once))
        }
    }
}

/// The ports on which the run's tree listens, of which this has to be one.
///
/// # Errors
/// `AddrInUse` when somebody else listens there.
pub(super) async fn make_sure(address: SocketAddr, tag: Tag, looks: &Looks) -> io::Result<Vec<Port>> {
    let port = address.port();
    match looks.listener(tag, address).await? {
        Listener::Ours(ports) => Ok(ports),
        Listener::SomebodyElse => {
            let words = format!("somebody else answers on port {port}");
            Err(io::Error::new(io::ErrorKind::AddrInUse, words))
        }
        Listener::Nobody => Err(io::Error::other(format!("nobody listens on port {port} any more"))),
    }
}

/// Looks once, and says what was seen when that is not what it should be.
pub(super) async fn once(target: &Target, tag: Tag, looks: &Looks, limit: Duration) -> Result<Ready, String> {
    let attempt = timeout(limit, attempt(target, tag, looks)).await;
    let attempt = attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    attempt.map_err(|error| format!("{}: {error}", describe(target)))
}

fn describe(target: &Target) -> String {
    match target {
        Target::Http { port: Some(port), path, .. } => format!("GET http://127.0.0.1:{port}{path}"),
        Target::Http { port: None, path, .. } => format!("GET {path}"),
        Target::Connect { address } => format!("connect to {address}"),
        Target::Output => "output".to_owned(),
    }
}

async fn attempt(target: &Target, tag: Tag, looks: &Looks) -> io::Result<Ready> {
    match target {
        Target::Http { port: Some(port), path, status } => {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            get(address, path, *status).await?;
            Ok((Some(format!("http://{address}")), Vec::new()))
        }
        Target::Http { port: None, path, status } => discover(path, *status, tag, looks).await,
        Target::Connect { address } => {
            if let Some(path) = address.strip_prefix("unix:") {
                drop(UnixStream::connect(path).await?);
                return Ok((Some(address.clone()), Vec::new()));
            }
            let address = http::socket_address(address).ok_or(io::ErrorKind::InvalidInput)?;
            drop(TcpStream::connect(address).await?);
            Ok((None, Vec::new()))
        }
        Target::Output => not_from_outside(),
    }
}

/// What a run writes is seen elsewhere.
fn not_from_outside() -> io::Result<Ready> {
    Err(io::ErrorKind::Unsupported.into())
}

async fn get(address: SocketAddr, path: &str, expected: u16) -> io::Result<()> {
    match http::status(address, "GET", path).await? {
        status if status == expected => Ok(()),
        status => Err(io::Error::other(format!("answered {status}, not {expected}"))),
    }
}

/// Asks everybody in the run's tree who listens.
async fn discover(path: &str, status: u16, tag: Tag, looks: &Looks) -> io::Result<Ready> {
    let listening = looks.listening(tag).await?;
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
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// A tag that nobody carries.
    const NOBODY: Tag = Tag(1);

    #[test]
    fn the_main_thread_does_not_look_for_ports_itself() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let target = Target::Http { port: None, path: "/".to_owned(), status: 200 };
        let looks = Looks::new();
        let mut was_free = false;
        // Another thread may be so quick that there is nothing to wait for, but not each time.
        for _ in 0..20 {
            let found = runtime.block_on(async {
                let mut once = pin!(once(&target, NOBODY, &looks, Duration::from_secs(20)));
                match once.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(found) => found,
                    Poll::Pending => {
                        was_free = true;
                        once.await
                    }
                }
            });
            assert_eq!(found, Err("GET /: it listens on no port yet".to_owned()));
        }
        assert!(was_free);
    }
}

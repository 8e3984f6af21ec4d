//! As much of an HTTP/1.1 client as probes and polite stops need: one request, the status of its answer, loopback only.
//! Has no deadline of its own; the caller drops it when it takes too long.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than this before the end of the first line is no answer.
const MAX_STATUS_LINE: usize = 4096;
/// So much of the rest is read, so that a server that writes a little more is not cut off.
const MAX_REST: usize = 64 * 1024;

/// Sends a request, a method and a path, to `http://host:port` and gives the status of the answer.
///
/// # Errors
/// When the endpoint is not on the loopback interface, nobody answers there, or it is not HTTP.
pub(crate) async fn ask(endpoint: &str, request: &str) -> io::Result<u16> {
    let address = address(endpoint).ok_or_else(|| no(format!("{endpoint} is not http on this machine")))?;
    let (method, path) = request.split_once(' ').unwrap_or(("POST", request));
    status(address, method, path.trim()).await
}

/// Sends a request and gives the status of the answer.
///
/// # Errors
/// As for [`ask`].
pub(crate) async fn status(address: SocketAddr, method: &str, path: &str) -> io::Result<u16> {
    let (status, _) = exchange(address, method, path, "1.1").await?;
    Ok(status)
}

/// The body of the answer to a GET, whatever its status.
///
/// # Errors
/// When nobody answers there, or it is not HTTP.
pub(crate) async fn body(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    // To HTTP/1.0 nobody answers in chunks.
    let (_, answer) = exchange(address, "GET", path, "1.0").await?;
    let end =
        answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| no("the answer is not HTTP"))?;
    Ok(answer.get(end + 4..).unwrap_or_default().to_vec())
}

/// Sends a request and gives status and bytes of the answer.
async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    version: &str,
) -> io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "{method} {path} HTTP/{version}\r\nHost: {address}\r\nUser-Agent: gob\r\nAccept: */*\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') {
        if answer.len() > MAX_STATUS_LINE || stream.read_buf(&mut answer).await? == 0 {
            return Err(no("the answer is not HTTP"));
        }
    }
    let status = read_status(&answer).ok_or_else(|| no("the answer is not HTTP"))?;
    let mut rest = stream.take(MAX_REST as u64);
    // Where only the status is wanted this is politeness: the answer is known.
    rest.read_to_end(&mut answer).await.unwrap_or_default();
    Ok((status, answer))
}

fn read_status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|b| *b == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

/// The socket address of `http://host:port/…` where that is on the loopback interface.
pub(super) fn address(endpoint: &str) -> Option<SocketAddr> {
    let rest = endpoint.strip_prefix("http://")?;
    socket_address(rest.split(['/', '?', '#']).next()?).filter(|address| address.ip().is_loopback())
}

/// `127.0.0.1:81`, `[::1]:81` or `localhost:81`; a server on all addresses is reached on the loopback one.
pub(crate) fn socket_address(text: &str) -> Option<SocketAddr> {
    let text = text.replacen("localhost:", "127.0.0.1:", 1).replacen("0.0.0.0:", "127.0.0.1:", 1);
    let mut address: SocketAddr = text.parse().ok()?;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Some(address)
}

fn no(text: impl Into<String>) -> io::Error {
    io::Error::other(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:81", Some("127.0.0.1:81")),
            ("http://localhost:81/x?y", Some("127.0.0.1:81")),
            ("http://0.0.0.0:81/", Some("127.0.0.1:81")),
            ("http://[::1]:81", Some("[::1]:81")),
            ("http://192.0.2.1:81", None),
            ("https://127.0.0.1:81", None),
            ("unix:/x", None),
        ] {
            assert_eq!(address(endpoint).map(|found| found.to_string()).as_deref(), expected, "{endpoint}");
        }
    }

    #[test]
    fn first_lines() {
        assert_eq!(read_status(b"HTTP/1.1 503 Later\r\n"), Some(503));
        assert_eq!(read_status(b"HTTP/1.0 200\r\nX: y"), Some(200));
        assert_eq!(read_status(b"SSH-2.0-x\r\n"), None);
    }
}

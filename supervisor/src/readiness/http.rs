//! As much of an HTTP/1.1 client as probes and polite stops need: one request, the status of its answer,
//! loopback only. Has no deadline for the answer; the caller drops it when it takes too long.

use super::machine;
use gob_core::Miss;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// More bytes than this before the end of the first line are no answer.
const MAX_STATUS_LINE: usize = 4096;
/// Limit of bytes that are read.
const MAX_ANSWER: usize = 64 * 1024;
/// Time in which the rest of an answer with known status is read, so that a server that writes a little more
/// is not cut off.
const POLITE: Duration = Duration::from_millis(100);

/// Sends a request, a method and a path such as `POST /v1/shutdown`, and returns the status of the answer.
///
/// # Errors
/// When no server answers there, or the answer is not HTTP.
pub(crate) async fn ask(address: SocketAddr, request: &str) -> Result<u16, Miss> {
    let (method, path) = request.split_once(' ').unwrap_or(("POST", request));
    status(address, method, path.trim()).await
}

/// Sends a request and returns the status of the answer, even if the server never ends it.
///
/// # Errors
/// As for [`ask`].
pub(crate) async fn status(address: SocketAddr, method: &str, path: &str) -> Result<u16, Miss> {
    let mut answer = Answer::to(address, method, path, "1.1").await?;
    // This is politeness: the answer is known, and a server that keeps the connection does not change it.
    timeout(POLITE, answer.read_on()).await.unwrap_or_default();
    Ok(answer.status)
}

/// Returns the body of the answer to a GET, whatever its status.
///
/// # Errors
/// When no server answers there, or the answer is not HTTP.
pub(crate) async fn body(address: SocketAddr, path: &str) -> Result<Vec<u8>, Miss> {
    // Servers don't answer HTTP/1.0 in chunks.
    let mut answer = Answer::to(address, "GET", path, "1.0").await?;
    answer.read_on().await;
    let start = answer.body_at().ok_or(Miss::NotHttp)?;
    let there = answer.bytes.len();
    let end = answer.end().map_or(there, |end| end.min(there));
    Ok(answer.bytes.get(start..end).unwrap_or_default().to_vec())
}

/// An answer, as far as it was read.
struct Answer {
    stream: TcpStream,
    status: u16,
    bytes: Vec<u8>,
}

impl Answer {
    /// Sends a request, and reads at least the status of its answer.
    async fn to(address: SocketAddr, method: &str, path: &str, version: &str) -> Result<Self, Miss> {
        let mut stream = TcpStream::connect(address).await.map_err(machine)?;
        let head = format!(
            "{method} {path} HTTP/{version}\r\nHost: {address}\r\nUser-Agent: gob\r\nAccept: */*\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.map_err(machine)?;
        let mut bytes = Vec::new();
        while !bytes.contains(&b'\n') {
            if bytes.len() > MAX_STATUS_LINE || stream.read_buf(&mut bytes).await.map_err(machine)? == 0 {
                return Err(Miss::NotHttp);
            }
        }
        let status = read_status(&bytes).ok_or(Miss::NotHttp)?;
        Ok(Self { stream, status, bytes })
    }

    /// Reads the rest: as much as the server announces, else to the end, within the limit.
    async fn read_on(&mut self) {
        while self.bytes.len() < MAX_ANSWER && self.end().is_none_or(|end| self.bytes.len() < end) {
            // However it ends, the bytes before are the answer.
            if self.stream.read_buf(&mut self.bytes).await.unwrap_or(0) == 0 {
                break;
            }
        }
    }

    /// Returns the start of the body, once that is there.
    fn body_at(&self) -> Option<usize> {
        Some(self.bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4)
    }

    /// Returns the end of the body, if the server announces it.
    fn end(&self) -> Option<usize> {
        let start = self.body_at()?;
        let head = std::str::from_utf8(self.bytes.get(..start)?).ok()?;
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        let (_, length) = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
        start.checked_add(length.trim().parse().ok()?)
    }
}

fn read_status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|b| *b == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

/// Returns the socket addresses of `http://host:port/…`, in the order in which they are to be tried.
///
/// # Errors
/// When they are not on the loopback interface.
pub(super) fn addresses(endpoint: &str) -> Result<Vec<SocketAddr>, Miss> {
    let rest = endpoint.strip_prefix("http://").unwrap_or_default();
    let found = socket_addresses(rest.split(['/', '?', '#']).next().unwrap_or_default());
    if found.is_empty() || !found.iter().all(|address| address.ip().is_loopback()) {
        return Err(Miss::NotLocal(endpoint.to_owned()));
    }
    Ok(found)
}

/// Returns the addresses of a port on the loopback interface: `localhost` is either of them, and a server
/// binds the first one of its resolver.
pub(super) fn loopbacks(port: u16) -> [SocketAddr; 2] {
    [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
}

/// Returns the addresses of `127.0.0.1:81`, `[::1]:81` or `localhost:81`; a server on all addresses is
/// reached on the loopback one. Empty for any other text.
pub(crate) fn socket_addresses(text: &str) -> Vec<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return port.parse().map_or_else(|_| Vec::new(), |port| loopbacks(port).to_vec());
    }
    let Ok(mut address) = text.parse::<SocketAddr>() else { return Vec::new() };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(ip) if ip.is_unspecified() => return loopbacks(address.port()).to_vec(),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    vec![address]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_endpoints_have_addresses() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:81", "127.0.0.1:81"),
            ("http://localhost:81/x?y", "127.0.0.1:81 [::1]:81"),
            ("http://0.0.0.0:81/", "127.0.0.1:81"),
            ("http://[::]:81/", "127.0.0.1:81 [::1]:81"),
            ("http://[::1]:81", "[::1]:81"),
            ("http://192.0.2.1:81", ""),
            ("https://127.0.0.1:81", ""),
            ("http://localhost:x", ""),
            ("unix:/x", ""),
        ] {
            let found = addresses(endpoint).unwrap_or_default();
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), expected, "{endpoint}");
        }
    }

    #[test]
    fn status_lines_are_parsed() {
        assert_eq!(read_status(b"HTTP/1.1 503 Later\r\n"), Some(503));
        assert_eq!(read_status(b"HTTP/1.0 200\r\nX: y"), Some(200));
        assert_eq!(read_status(b"SSH-2.0-x\r\n"), None);
    }

    /// Starts a server that answers once with these bytes and keeps the connection open as long as the other
    /// end of the pipe is.
    fn answering(bytes: &'static str) -> (SocketAddr, std::io::PipeWriter) {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, (mut until, open)) = (listener.local_addr().unwrap(), std::io::pipe().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(bytes.as_bytes()).unwrap();
            until.read_to_end(&mut Vec::new()).unwrap();
        });
        (address, open)
    }

    #[test]
    fn an_answer_counts_also_where_the_server_keeps_the_connection() {
        /// Longer than any of this takes.
        const DEADLINE: Duration = Duration::from_secs(20);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for bytes in [
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel",
            "HTTP/1.1 200 OK\r\n\r\n",
        ] {
            let (address, open) = answering(bytes);
            let status = runtime.block_on(async { timeout(DEADLINE, status(address, "GET", "/")).await });
            assert_eq!(status.expect("in time").unwrap(), 200, "{bytes:?}");
            drop(open);
        }
        let (address, open) =
            answering("HTTP/1.1 503 Later\r\nX: y\r\ncontent-length: 5\r\n\r\nhello and more");
        let body = runtime.block_on(async { timeout(DEADLINE, body(address, "/")).await });
        assert_eq!(body.expect("in time").unwrap(), b"hello");
        drop(open);
    }
}

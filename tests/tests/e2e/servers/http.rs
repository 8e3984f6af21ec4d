//! HTTP/1.1 as far as Oxigraph and Datasette need it: one request a connection, answers whole or in chunks.

use super::tcp;
use std::io::{Read, Write};

/// Sends a request, expects an answer of 200 to 299, and returns its body.
pub(super) fn ask(port: u16, request: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut stream = tcp(port);
    let mut text = format!("{request} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n");
    text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{request}: {answer}"));
    assert!(head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')), "{request}: {answer}");
    if head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked") {
        return joined(body).unwrap_or_else(|| panic!("{request}: {answer}"));
    }
    body.to_owned()
}

/// Joins the content of chunks, each of which stands behind its length; the one of length 0 is the last.
/// These servers send no extensions.
fn joined(mut chunks: &str) -> Option<String> {
    let mut text = String::new();
    loop {
        let (len, rest) = chunks.split_once("\r\n")?;
        match usize::from_str_radix(len, 16).ok()? {
            0 => return Some(text),
            len => {
                text.push_str(rest.get(..len)?);
                chunks = rest.get(len..)?.strip_prefix("\r\n")?;
            }
        }
    }
}

//! PostgreSQL's protocol, version 3, as far as one simple query a connection needs it; PGlite's server speaks
//! it too. Neither asks for a password. Source: PostgreSQL's documentation, "Message Formats".

use super::tcp;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

/// Runs one query and returns the text of the first column of every row.
pub(super) fn ask(port: u16, sql: &str) -> Vec<String> {
    let mut stream = tcp(port);
    let startup = [&196_608_u32.to_be_bytes()[..], b"user\0postgres\0database\0postgres\0\0"].concat();
    stream.write_all(&framed(&startup)).unwrap();
    until_ready(&mut stream, "the startup");
    stream.write_all(b"Q").unwrap();
    stream.write_all(&framed(format!("{sql}\0").as_bytes())).unwrap();
    let rows = until_ready(&mut stream, sql);
    stream.write_all(b"X\0\0\0\x04").unwrap();
    // PGlite's server heeds the end of the stream alone. It is free for the next client once it hangs up: it
    // has one at a time.
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    rows
}

/// A message's length, which counts itself, and its body.
fn framed(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).unwrap();
    [&len.to_be_bytes()[..], body].concat()
}

/// Reads messages until the server waits for a query (`Z`); returns the first column of the rows (`D`) among
/// them.
fn until_ready(stream: &mut TcpStream, what: &str) -> Vec<String> {
    let mut rows = Vec::new();
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap_or_else(|e| panic!("{what}: {e}"));
        let len = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
        let mut body = vec![0; len - 4];
        stream.read_exact(&mut body).unwrap_or_else(|e| panic!("{what}: {e}"));
        match head[0] {
            b'Z' => return rows,
            b'D' => {
                let len = u32::from_be_bytes(body[2..6].try_into().unwrap()) as usize;
                rows.push(String::from_utf8(body[6..6 + len].to_vec()).unwrap());
            }
            b'R' => assert_eq!(body[..4], [0; 4], "{what}: it asks for a password"),
            b'E' => panic!("{what}: {}", String::from_utf8_lossy(&body)),
            // Parameters, notices, the rows' description, the command's end.
            _ => {}
        }
    }
}

//! The limit of requests on a connection: a bare tokio current-thread server that parses a request and writes an
//! answer with serde, and does nothing else.

use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Deserialize)]
struct Request<'a> {
    id: u64,
    #[serde(rename = "type")]
    type_name: &'a str,
}

#[derive(Serialize)]
struct Response {
    id: u64,
    success: bool,
    data: Pong,
}

#[derive(Serialize)]
struct Pong {
    pong: bool,
    uptime_ms: u64,
}

/// Serves until it is killed.
pub fn serve(socket: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::UnixListener::bind(socket).expect("a socket");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(connection(stream));
        }
    })
}

async fn connection(mut stream: tokio::net::UnixStream) {
    let mut buffer = vec![0; 64 * 1024];
    let (mut filled, mut out) = (0, Vec::new());
    while let Ok(len @ 1..) = stream.read(&mut buffer[filled..]).await {
        filled += len;
        let mut from = 0;
        while let Some(at) = buffer[from..filled].iter().position(|byte| *byte == b'\n') {
            let request: Request<'_> = serde_json::from_slice(&buffer[from..from + at]).expect("a request");
            let data = Pong { pong: request.type_name == "ping", uptime_ms: 1 };
            serde_json::to_writer(&mut out, &Response { id: request.id, success: true, data })
                .expect("an answer");
            out.push(b'\n');
            from += at + 1;
        }
        buffer.copy_within(from..filled, 0);
        filled -= from;
        if stream.write_all(&out).await.is_err() {
            return;
        }
        out.clear();
    }
}

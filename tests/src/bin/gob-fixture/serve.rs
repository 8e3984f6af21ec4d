//! The fixture's servers: requests on its socket, and HTTP on a port.

use crate::Worker;
use crate::raw::{end, flood, raise, signal_number, write_all};
use gob_protocol::Framer;
use gob_tests::script::{Flood, Http, Write};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Read, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;

impl Worker {
    pub(crate) fn listen(self: &Arc<Self>) -> io::Result<()> {
        if let Some(parent) = self.socket.parent() {
            fs::create_dir_all(parent)?;
        }
        match fs::remove_file(&self.socket) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&self.socket)?;
        let worker = Arc::clone(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let worker = Arc::clone(&worker);
                std::thread::spawn(move || worker.serve(&stream));
            }
        });
        Ok(())
    }

    /// Serves HTTP, and prints its port on standard output.
    pub(crate) fn serve_http(&self, what: Http) -> io::Result<()> {
        let args = &self.facts.args;
        let port = args.iter().position(|arg| arg == "--port").and_then(|at| args.get(at + 1)?.parse().ok());
        let host = what.host.as_deref().and_then(|host| host.parse().ok());
        let host = host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let port = what.port.or(port).unwrap_or(0);
        let listener = TcpListener::bind((host, port))?;
        let port = listener.local_addr()?.port();
        let line = what.line.unwrap_or_else(|| "listening on {\"port\":{PORT}}\n".to_owned());
        write_all(1, line.replace("{PORT}", &port.to_string()).as_bytes());
        let sick = what.sick_while.map(|file| self.dir.join(file));
        std::thread::spawn(move || {
            for (n, mut stream) in (0..).zip(listener.incoming().map_while(Result::ok)) {
                let mut head = Vec::new();
                let mut chunk = [0; 4096];
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut chunk) {
                        Ok(len @ 1..) => head.extend_from_slice(&chunk[..len]),
                        Ok(_) | Err(_) => break,
                    }
                }
                let shutdown = head.starts_with(b"POST ");
                let status = match (shutdown, what.takes_shutdown) {
                    (true, false) => "403 Forbidden",
                    (false, _) if n < what.unready || sick.as_ref().is_some_and(|file| file.exists()) => {
                        "503 Later"
                    }
                    _ => "200 OK",
                };
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                let written = stream.write_all(answer.as_bytes());
                if shutdown && what.takes_shutdown && written.is_ok() {
                    end(0);
                }
            }
        });
        Ok(())
    }

    fn serve(&self, mut stream: &UnixStream) {
        let mut framer = Framer::new(1 << 20);
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(len @ 1..) = stream.read(&mut chunk) {
            framer.extend(&chunk[..len]);
            while let Some(Ok(line)) = framer.next_frame() {
                let answer = self.answer(line);
                if stream.write_all(format!("{answer}\n").as_bytes()).is_err() {
                    return;
                }
            }
        }
    }

    fn answer(&self, line: &[u8]) -> Value {
        let request: Value = serde_json::from_slice(line).unwrap_or_default();
        let payload = request["payload"].clone();
        let data = match request["type"].as_str() {
            Some("ping") => json!({"pong": true, "pid": self.facts.pid}),
            Some("facts") => json!(self.facts),
            Some("exit") => end(payload["code"].as_i64().unwrap_or(0) as i32),
            Some("kill") => {
                raise(signal_number(payload["signal"].as_str().unwrap_or("KILL")));
                json!({})
            }
            Some("spawn") => match serde_json::from_value(payload).map(|child| self.spawn(&child)) {
                Ok(Ok(pid)) => json!({"pid": pid}),
                _ => Value::Null,
            },
            Some("write") => match serde_json::from_value::<Write>(payload) {
                Ok(what) => {
                    write_all(if what.stderr { 2 } else { 1 }, what.text.as_bytes());
                    json!({})
                }
                Err(_) => Value::Null,
            },
            Some("flood") => match serde_json::from_value::<Flood>(payload) {
                Ok(what) => {
                    flood(&what);
                    json!({})
                }
                Err(_) => Value::Null,
            },
            _ => Value::Null,
        };
        json!({"id": request["id"], "success": !data.is_null(), "data": data})
    }
}

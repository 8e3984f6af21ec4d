use super::*;
use crate::call::Ping;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write, pipe};
use std::thread::JoinHandle;

/// A supervisor behind two pipes: it says hello, answers one ping and ends.
fn relayed(input: PipeReader, mut output: PipeWriter) -> JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut types = Vec::new();
        for line in BufReader::new(input).lines().take(2) {
            let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
            types.push(request["type"].as_str().unwrap().to_owned());
            let server =
                json!({"version": "9", "pid": 7, "instance": "i", "started_at": "2026-11-20T10:00:00.000Z"});
            let data = match request["type"].as_str() {
                Some("hello") => json!({"protocol": 1, "server": server, "owner": "cli", "features": []}),
                _ => json!({"pong": true, "uptime_ms": 42}),
            };
            let answer = json!({"id": request["id"], "success": true, "data": data});
            output.write_all(format!("{answer}\n").as_bytes()).unwrap();
        }
        types
    })
}

fn connector() -> Connector {
    let dirs = Dirs {
        runtime: "/nowhere".into(),
        state: "/nowhere".into(),
        data: "/nowhere".into(),
        config: "/nowhere".into(),
        config_is_named: false,
    };
    Connector::new(dirs, Owner::cli())
}

#[test]
fn a_connection_goes_over_a_pair_of_pipes() {
    let ((requests, to_server), (from_server, answers)) = (pipe().unwrap(), pipe().unwrap());
    let server = relayed(requests, answers);
    let place = Path::new("ssh://there");
    let mut client = connector().connect_over(from_server.into(), to_server.into(), place).unwrap();
    assert_eq!((client.server().pid, client.socket()), (7, place));
    assert_eq!(client.ask(Ping).unwrap().uptime_ms, 42);
    assert!(client.wait_for_end(Duration::from_secs(10)).unwrap(), "the other side has closed its pipes");
    let lost = client.ask(Ping).unwrap_err();
    assert!(matches!(lost, Error::Lost { .. }), "{lost:?}");
    assert_eq!(server.join().unwrap(), ["hello", "ping"]);
}

#[cfg(feature = "tokio")]
#[test]
fn a_runtime_takes_over_a_connection_of_two_pipes() {
    let ((requests, to_server), (from_server, answers)) = (pipe().unwrap(), pipe().unwrap());
    let server = relayed(requests, answers);
    let place = Path::new("ssh://there");
    let client = connector().connect_over(from_server.into(), to_server.into(), place).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = crate::tokio::Client::over(client).unwrap();
        assert_eq!(client.ask(Ping).await.unwrap().uptime_ms, 42);
        assert!(matches!(client.ask(Ping).await, Err(Error::Lost { .. })), "the other side has ended");
    });
    server.join().unwrap();
}

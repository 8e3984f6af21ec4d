use super::*;
use crate::limits;

fn rejected(line: &str) -> (Option<Id>, WireError) {
    let rejected = parse_request(line.as_bytes()).unwrap_err();
    (rejected.id, *rejected.error)
}

fn place_of(line: &str) -> (Option<Id>, String, u64) {
    let (id, error) = rejected(line);
    assert_eq!(error.code, ErrorCode::InvalidRequest, "{error:?}");
    let details = error.details.unwrap();
    (id, details["field"].as_str().unwrap().to_owned(), details["position"].as_u64().unwrap())
}

#[test]
fn reads_requests_with_and_without_payload() {
    let incoming = parse_request(br#"{"id":7,"type":"ping"}"#).unwrap();
    assert_eq!(incoming, Incoming { id: Some(Id::Number(7)), request: Request::Ping });
    let incoming = parse_request(br#"{"type":"ping","payload":{},"id":"a"}"#).unwrap();
    assert_eq!(incoming.id, Some(Id::Text("a".to_owned())));
    assert_eq!(parse_request(br#"{"type":"ping"}"#).unwrap().id, None);
}

#[test]
fn names_the_field_and_the_position() {
    assert_eq!(place_of(r#"{"id":1,"type":"ping","extra":1}"#), (Some(Id::Number(1)), "extra".into(), 28));
    assert_eq!(place_of(r#"{"id":1,"id":2,"type":"ping"}"#).1, "id");
    assert_eq!(place_of(r#"{"id":1}"#).1, "type");
    assert_eq!(place_of(r#"{"id":1,"type":"get","payload":{}}"#).1, "payload.name");
    assert_eq!(place_of(r#"{"id":1,"type":"get","payload":{"name":3}}"#).1, "payload.name");
    assert_eq!(place_of(r#"{"id":1,"type":"get","payload":{"nam":"x"}}"#).1, "payload.nam");
    assert_eq!(place_of(r#"{"id":1,"type":"stop","payload":{"name":"a","name":"b"}}"#).1, "payload.name");
    assert_eq!(place_of(r#"{"id":1,"type":"start","payload":{"env":{"A":1}}}"#).1, "payload.env.A");
    let (_, field, position) = place_of(r#"{"id":1,"type":"start","payload":{"timeout_ms":1e400}}"#);
    assert_eq!((field.as_str(), position > 40), ("payload.timeout_ms", true));
    assert_eq!(place_of(r#"{"id":1.5,"type":"ping"}"#).0, None);
    assert_eq!(place_of("[1]").0, None);
    assert_eq!(place_of(r#"{"id":1,"type":"ping"} x"#).0, Some(Id::Number(1)));
}

#[test]
fn a_hint_concerns_the_given_value() {
    let told = |line: &str| {
        let (_, error) = rejected(line);
        (error.message.clone(), error.hint.unwrap_or_default())
    };
    let (message, hint) = told(r#"{"id":1,"type":"list","payload":{"ownr":"cli"}}"#);
    assert!(message.contains("`kind`") && hint == "did you mean `owner`?", "{message}: {hint}");
    let (_, hint) = told(r#"{"id":1,"type":"list","payload":{"colour":"red"}}"#);
    assert_eq!(hint, "", "the message lists the fields");
    for payload in ["null", "[]", "7", r#"["demo"]"#] {
        for kind in ["ping", "start", "get"] {
            let line = format!(r#"{{"id":1,"type":"{kind}","payload":{payload}}}"#);
            let (message, hint) = told(&line);
            assert!(
                message == "the payload is not an object" && hint.contains("object"),
                "{message}: {hint}"
            );
            let place = (Some(Id::Number(1)), "payload".to_owned(), line.find(payload).unwrap() as u64);
            assert_eq!(place_of(&line), place);
        }
    }
    let (message, _) = told(r#"{"id":1,"type":"hello","payload":{"protocol":1,"client":7}}"#);
    assert!(!message.contains("struct") && !message.contains("Client"), "{message}");
    assert!(told("{").1.contains("one line"));
}

#[test]
fn names_and_owners_have_codes_of_their_own() {
    let (id, error) = rejected(r#"{"id":1,"type":"get","payload":{"name":".."}}"#);
    assert_eq!((id, error.code), (Some(Id::Number(1)), ErrorCode::InvalidName));
    assert_eq!(error.details.unwrap()["field"], "payload.name");
    let (_, error) = rejected(r#"{"id":1,"type":"hello","payload":{"protocol":1,"owner":"Root"}}"#);
    assert_eq!(error.code, ErrorCode::InvalidOwner);
    let (id, error) = rejected(r#"{"id":1,"type":"dance","payload":{"x":[1]}}"#);
    assert_eq!((id, error.code), (Some(Id::Number(1)), ErrorCode::UnknownRequest));
}

#[test]
fn bombs_are_refused() {
    let deep =
        format!(r#"{{"id":1,"type":"ping","payload":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse_request(deep.as_bytes()).is_err());
    let deep = format!(
        r#"{{"id":1,"type":"start","payload":{{"env":{}1{}}}}}"#,
        "{\"a\":".repeat(200),
        "}".repeat(200)
    );
    assert!(parse_request(deep.as_bytes()).is_err());
    assert!(parse_request(b"{\"id\":1,\"type\":\"ping\xff\"}").is_err());
    assert!(parse_request(br#"{"id":1,"type":"start","payload":{"graph":"a\u0000"}}"#).is_err());
}

#[test]
fn requests_survive_the_wire() {
    let request = Request::Start(crate::request::Start {
        graph: Some(crate::Name::graph("nötes").unwrap()),
        env: Some([("A", "1")].into_iter().collect()),
        timeout_ms: Some(5),
        lease: true,
        ..Default::default()
    });
    let line = write_request(&Id::Number(3), &request).unwrap();
    assert_eq!(parse_request(line.trim_ascii()).unwrap(), Incoming { id: Some(Id::Number(3)), request });
    let long = Request::Get(crate::request::ByName { name: crate::Name::graph("x").unwrap() });
    assert!(write_request(&Id::Text("x".repeat(limits::MAX_REQUEST_BYTES)), &long).is_err());
}

#[test]
fn parts_are_read_as_strictly() {
    let error = |text: &str| parse_part::<crate::request::Stop>(text, "line").unwrap_err();
    assert_eq!(error(r#"{"name":"a","force":1}"#).details.unwrap()["field"], "line.force");
    assert_eq!(error(r#"{"name":"a","name":"b"}"#).details.unwrap()["field"], "line.name");
    assert_eq!(error(r#"{"name":"a"} x"#).details.unwrap()["position"], 13);
    assert!(parse_part::<crate::request::Stop>(r#"{"name":"a"}"#, "line").is_ok());
}

#[test]
fn server_frames() {
    let frame = parse_server_frame(br#"{"id":1,"success":true,"data":{"pong":true},"new":1}"#).unwrap();
    assert!(matches!(frame, ServerFrame::Response { id: Some(Id::Number(1)), result: Ok(_) }));
    let frame = parse_server_frame(br#"{"event":"worker_of_tomorrow","seq":1}"#).unwrap();
    assert!(matches!(frame, ServerFrame::Event(_)));
    assert!(parse_server_frame(br#"{"pong":true}"#).is_err());
}

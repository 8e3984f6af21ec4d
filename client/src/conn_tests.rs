use super::*;
use gob_protocol::ErrorCode;
use gob_protocol::request::List;
use proptest::prelude::*;

fn all(conn: &mut Connection) -> Vec<String> {
    std::iter::from_fn(|| conn.poll()).map(|received| format!("{received:?}")).collect()
}

fn pong(id: usize) -> String {
    format!("{{\"id\":{id},\"success\":true,\"data\":{{\"pong\":true,\"n\":\"é{id}\"}}}}\n")
}

#[test]
fn a_thousand_pipelined_requests_get_their_own_answers_in_any_order() {
    let mut conn = Connection::new();
    let ids: Vec<RequestId> = (0..1000).map(|_| conn.request(&Request::Ping).unwrap()).collect();
    assert_eq!(conn.outgoing().iter().filter(|b| **b == b'\n').count(), 1000);
    let bytes: String = (1..=1000).rev().map(pong).collect();
    conn.receive(bytes.as_bytes());
    for id in ids.iter().rev() {
        let Some(Received::Response { id: got, answer: Ok(data) }) = conn.poll() else { panic!("no answer") };
        assert_eq!(got, *id);
        assert!(data.get().contains(&format!("é{}\"", id.0)));
    }
    assert_eq!(conn.unanswered(), 0);
}

#[test]
fn sent_bytes_are_not_sent_again() {
    let mut conn = Connection::new();
    conn.request(&Request::Ping).unwrap();
    let whole = conn.outgoing().to_vec();
    conn.advance(5);
    assert_eq!(conn.outgoing(), &whole[5..]);
    conn.advance(whole.len() - 5);
    assert!(conn.outgoing().is_empty());
    conn.request(&Request::List(List::default())).unwrap();
    assert!(conn.outgoing().starts_with(b"{\"id\":2,"));
}

#[test]
fn unreadable_and_unrequested_frames_are_dropped_and_the_rest_goes_on() {
    let mut conn = Connection::new();
    let id = conn.request(&Request::Ping).unwrap();
    conn.receive(
        b"not json\n{\"id\":9,\"success\":true,\"data\":{}}\n{\"id\":\"1\",\"success\":true,\"data\":{}}\n",
    );
    conn.receive(b"\x1b[31m\xff\n");
    for _ in 0..4 {
        let Some(Received::Dropped(dropped)) = conn.poll() else { panic!("not dropped") };
        assert!(!dropped.line.chars().any(char::is_control), "{dropped:?}");
    }
    conn.receive(pong(1).as_bytes());
    assert!(matches!(conn.poll(), Some(Received::Response { id: got, answer: Ok(_) }) if got == id));
    conn.receive(pong(1).as_bytes());
    assert!(matches!(conn.poll(), Some(Received::Dropped(_))), "a second answer");
}

#[test]
fn a_late_answer_is_dropped() {
    let mut conn = Connection::new();
    let id = conn.request(&Request::Ping).unwrap();
    assert_eq!(conn.forget(id).as_deref(), Some("ping"));
    conn.receive(pong(1).as_bytes());
    assert!(matches!(conn.poll(), Some(Received::Dropped(_))));
}

#[test]
fn a_lost_connection_fails_everything_at_once_and_keeps_what_came() {
    let mut conn = Connection::new();
    for _ in 0..3 {
        conn.request(&Request::Ping).unwrap();
    }
    conn.receive(pong(2).as_bytes());
    conn.receive(b"{\"id\":1,\"success\":true,\"data\":{}}");
    conn.lose();
    let answers: Vec<_> = std::iter::from_fn(|| conn.poll()).collect();
    assert_eq!(answers.len(), 3);
    assert!(matches!(&answers[0], Received::Response { id: RequestId(2), answer: Ok(_) }));
    for (answer, id) in answers[1..].iter().zip([1, 3]) {
        let Received::Response { id: got, answer: Err(Failure::Lost { request }) } = answer else {
            panic!("{answer:?}")
        };
        assert_eq!((*got, request.as_str()), (RequestId(id), "ping"));
    }
}

#[test]
fn refusals_events_and_errors_without_an_id() {
    let mut conn = Connection::new();
    conn.request(&Request::Ping).unwrap();
    conn.receive(b"{\"event\":\"worker_ready\",\"seq\":1}\n");
    conn.receive(b"{\"id\":null,\"success\":false,\"error\":{\"code\":\"busy\",\"message\":\"full\"}}\n");
    conn.receive(b"{\"id\":1,\"success\":false,\"error\":{\"code\":\"busy\",\"message\":\"full\"}}\n");
    assert!(matches!(conn.poll(), Some(Received::Event(line)) if line.contains("worker_ready")));
    assert!(matches!(conn.poll(), Some(Received::Unassigned(e)) if e.code == ErrorCode::Busy));
    let Some(Received::Response { answer: Err(Failure::Refused(e)), .. }) = conn.poll() else { panic!() };
    assert_eq!(e.code, ErrorCode::Busy);
}

#[test]
fn raw_requests_stay_on_one_line() {
    let mut conn = Connection::new();
    let payload = RawValue::from_string("{\n\"a\": [1,\r\n2]}".to_owned()).unwrap();
    conn.request_raw("query", Some(&payload)).unwrap();
    let line = conn.outgoing();
    assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
    assert!(line.ends_with(b"2]}}\n"));
    let big = RawValue::from_string(format!("\"{}\"", "x".repeat(1 << 20))).unwrap();
    assert_eq!(conn.request_raw("query", Some(&big)).unwrap_err().code, ErrorCode::FrameTooLong);
    assert_eq!(conn.unanswered(), 1);
}

proptest! {
    #[test]
    fn the_split_of_the_stream_does_not_matter(cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let mut bytes = String::from("garbage é\n");
        for id in 1..=5 {
            bytes.push_str(&pong(id));
            bytes.push_str("{\"event\":\"worker_ready\",\"seq\":1}\r\n\n");
        }
        let bytes = bytes.as_bytes();
        let fresh = || {
            let mut conn = Connection::new();
            for _ in 0..5 {
                conn.request(&Request::Ping).unwrap();
            }
            conn
        };
        let mut whole = fresh();
        whole.receive(bytes);
        let mut split = fresh();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.sort_unstable();
        let mut from = 0;
        for cut in at.into_iter().chain([bytes.len()]) {
            split.receive(&bytes[from..cut]);
            from = cut;
        }
        prop_assert_eq!(all(&mut whole), all(&mut split));
    }
}

//! Readiness seen in the output.

use super::*;

const LINE: &str = "{\"ready\":true,\"version\":\"1\",\"endpoint\":\"unix:/x\"}\n";

fn watched(plane: &Plane, key: &RunKey) -> Worker {
    plane.attach_watched(key, handshake())
}

#[test]
fn a_handshake_in_any_pieces_is_told_once_and_logged() {
    let mut plane = Plane::new();
    for (run, pieces) in [(1, 1), (2, 7), (3, 1000)] {
        let key = key("a", run);
        let mut worker = watched(&plane, &key);
        worker.err(LINE);
        let text = format!("noise\n{LINE}rest {LINE}");
        for piece in text.as_bytes().chunks(pieces) {
            worker.out.write_all(piece).unwrap();
            plane.output.flush(DEADLINE);
        }
        let FromOutput::Handshake { key: told, result } = plane.report() else { panic!("no handshake") };
        assert_eq!((told, result.unwrap().endpoint.as_deref()), (key.clone(), Some("unix:/x")));
        drop(worker);
        // No second report comes before the answer.
        plane.drain(&key);
        assert_eq!(plane.text(&key, Stream::Stdout), text);
    }
}

#[test]
fn refused_and_invalid_handshakes_are_reported() {
    let mut plane = Plane::new();
    let mut worker = watched(&plane, &key("refused", 1));
    worker.out("{\"ready\":false,\"error\":\"no disk\"}\n");
    let error = HandshakeError::Refused("no disk".to_owned());
    assert_eq!(plane.report(), FromOutput::Handshake { key: key("refused", 1), result: Err(error) });
    let key = key("flood", 1);
    let mut worker = watched(&plane, &key);
    worker.out(&"x".repeat(100_000));
    let report = plane.report();
    assert!(
        matches!(report, FromOutput::Handshake { result: Err(HandshakeError::Invalid(_)), .. }),
        "{report:?}"
    );
}

#[test]
fn a_main_thread_that_is_behind_loses_no_report_and_delays_no_worker() {
    let dir = std::env::temp_dir().join(format!("gob-output-test-{}-full", std::process::id()));
    let plane = Plane::new();
    let config = OutputConfig { log_dir: dir.join("logs"), ..plane.config.clone() };
    let mut plane = Plane::start(dir, config, 1);
    let mut workers: Vec<_> = (0..30).map(|n| watched(&plane, &key(&format!("w{n}"), 1))).collect();
    for worker in &mut workers {
        worker.out(LINE);
    }
    // The loop reads no report until all output is read and written.
    plane.settle();
    let mut told = Vec::new();
    for _ in 0..30 {
        let FromOutput::Handshake { key, result: Ok(_) } = plane.report() else { panic!("no handshake") };
        told.push(key.name);
    }
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 30);
}

#[test]
fn many_signs_of_life_at_once_count_as_one() {
    let pattern = Pattern::new("^alive$", None).unwrap();
    let signs: [(Box<dyn Watch>, &str); 2] =
        [(Box::new(pattern), "alive\n"), (Box::new(HandshakeReader::default()), LINE)];
    for (run, (well, sign)) in (1..).zip(signs) {
        let plane = Plane::new();
        let mut worker = plane.attach_watched(&key("a", run), Watches { ready: None, well: Some(well) });
        let mut seen = |text: &str| {
            worker.out(text);
            plane.settle();
            worker.tap.take_seen()
        };
        assert!(seen(&format!("{}{}", sign.repeat(1000), &sign[..3])));
        for _ in 0..10 {
            assert!(!seen("error\n"), "it said {sign:?} long ago");
        }
        assert!(seen(sign), "and may say it again");
    }
}

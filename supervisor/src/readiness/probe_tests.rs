//! Probes whose outcome needs no process.

use super::*;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// A tag that no process carries.
const NOBODY: Tree = Tree { tag: crate::sys::tag::Tag(1), leader: None };

#[test]
fn the_main_thread_does_not_search_for_ports_itself() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let look = Look {
        target: Target::Http { port: None, path: "/".to_owned(), status: 200 },
        limit: Duration::from_secs(20),
        its_own: false,
        explain_after: None,
    };
    let looks = Looks::new(crate::disks::Disks::new());
    let mut was_free = false;
    // Another thread may be so quick that there is nothing to wait for, but not each time.
    for _ in 0..20 {
        let found = runtime.block_on(async {
            let mut once = pin!(once(&look, NOBODY, &looks));
            match once.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(found) => found,
                Poll::Pending => {
                    was_free = true;
                    once.await
                }
            }
        });
        let target = look.target.clone();
        let why = Miss::NoPort;
        assert_eq!(found, Err(Box::new(Missed { target, why, listens: None, is_explained: false })));
    }
    assert!(was_free);
}

#[test]
fn a_failure_is_explained_when_it_is_late_or_another_process_answered() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let looks = Looks::new(crate::disks::Disks::new());
    let bind = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (silent, serving) = (bind(), bind());
    let of = |listener: &std::net::TcpListener, after: Option<u64>| {
        let port = Some(listener.local_addr().unwrap().port());
        let look = Look {
            target: Target::Http { port, path: "/".to_owned(), status: 200 },
            limit: Duration::from_secs(2),
            its_own: true,
            explain_after: after.map(Duration::from_secs),
        };
        runtime.block_on(once(&look, NOBODY, &looks)).unwrap_err()
    };
    // The connection is in the backlog, and no answer comes.
    for (after, is_explained) in [(Some(0), true), (Some(60), false), (None, false)] {
        let missed = of(&silent, after);
        let listens = is_explained.then(|| Listens::On(Vec::new()));
        assert_eq!((&missed.why, missed.is_explained), (&Miss::TimedOut, is_explained));
        assert_eq!(missed.listens, listens, "{missed:?}");
    }
    let port = serving.try_clone().unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut connection, _) = serving.accept().unwrap();
        assert!(connection.read(&mut [0; 512]).unwrap() > 0);
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let missed = of(&port, Some(60));
    server.join().unwrap();
    assert!(missed.is_explained && matches!(missed.why, Miss::AnothersPort(_)), "{missed:?}");
}

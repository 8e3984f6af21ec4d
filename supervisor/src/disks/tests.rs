//! Disks that hang, simulated by work that waits until the test releases it.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

const SOON: Duration = Duration::from_secs(20);

fn mounts() -> Mounts {
    Mounts::parse("1 0 8:1 / / rw - x x rw\n2 1 0:2 / /dead rw - x x rw\n")
}

fn disks() -> Disks {
    Disks::over(mounts)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

/// Work that reports its begin and then hangs until the test releases it.
struct Hang {
    begun: Receiver<usize>,
    says: Sender<usize>,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Hang {
    fn new() -> Self {
        let (says, begun) = mpsc::channel();
        Self { begun, says, gate: Arc::default() }
    }

    fn work(&self, number: usize, place: &str) -> impl FnOnce(&At) -> usize + Send + use<> {
        let (says, gate, place) = (self.says.clone(), Arc::clone(&self.gate), place.to_owned());
        move |at| {
            at.go("open", &place);
            says.send(number).unwrap();
            let (open, bell) = &*gate;
            drop(bell.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
            number
        }
    }

    fn is_there_again(&self) {
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }
}

fn at(place: &str) -> Vec<String> {
    vec![place.to_owned()]
}

#[test]
fn the_result_comes_from_another_thread_and_a_panic_is_none() {
    let disks = disks();
    let here = std::thread::current().id();
    assert_ne!(block_on(disks.ask("a", at("/a"), |_| std::thread::current().id())).unwrap(), here);
    let lost = block_on(disks.ask("a", at("/a"), |at| {
        at.go("read", "/a/b");
        panic!("on purpose")
    }));
    let lost: Result<(), Silent> = lost;
    assert!(lost.unwrap_err().to_string().starts_with("read /a/b"));
    assert_eq!(block_on(disks.ask("a", at("/a"), |_| 7)).unwrap(), 7, "its thread goes on");
}

#[test]
fn hanging_work_is_given_up_and_delays_only_its_own_lane() {
    let (disks, hang) = (disks(), Hang::new());
    let begun = Instant::now();
    let (hung, quick, behind) = block_on(async {
        let hung = disks.ask("a", at("/x/a"), hang.work(1, "/x/a"));
        let quick = async {
            let quick = disks.ask("b", at("/x/b"), |_| 2).await;
            (quick, begun.elapsed())
        };
        let behind = disks.ask("a", at("/x/a"), |_| 3);
        tokio::join!(hung, quick, behind)
    });
    let (quick, after) = quick;
    assert_eq!(quick.unwrap(), 2);
    assert!(after < PATIENCE && begun.elapsed() >= PATIENCE, "{after:?}");
    let why = hung.unwrap_err().to_string();
    assert!(why.starts_with("open /x/a: no answer for 3 s"), "{why}");
    assert!(behind.is_err(), "it would have gone beside what hangs");
    // The hang is known now, so further work is refused at once.
    let begun = Instant::now();
    let why = block_on(disks.ask("a", at("/x/a"), |_| 4)).unwrap_err().to_string();
    assert!(why.starts_with("open /x/a: no answer for") && begun.elapsed() < PATIENCE, "{why}");
    assert_eq!(block_on(disks.ask("c", at("/x/a"), |_| 5)).unwrap(), 5, "a disk is not a file");
    hang.is_there_again();
    let again = || block_on(disks.ask("a", at("/x/a"), |_| 6)).is_ok();
    let deadline = Instant::now() + SOON;
    while !again() {
        assert!(Instant::now() < deadline, "its lane stays closed");
    }
}

#[test]
fn the_work_of_a_lane_is_done_in_order_beside_that_of_others() {
    let disks = disks();
    let (says, said) = mpsc::channel();
    for number in 0..2_000 {
        let says = says.clone();
        disks.begin(["a", "b", "c"][number % 3], Vec::new(), move |_| says.send(number).unwrap());
    }
    drop(says);
    let all: Vec<usize> = (0..2_000).map(|_| said.recv_timeout(SOON).unwrap()).collect();
    for lane in 0..3 {
        let of_lane: Vec<&usize> = all.iter().filter(|number| *number % 3 == lane).collect();
        assert!(of_lane.is_sorted(), "{of_lane:?}");
    }
}

/// Clients whose requests read a file each kept a supervisor from its upgrade: at no moment was there none of that work.
#[test]
fn earlier_work_is_done_although_later_work_comes_without_an_end() {
    let (disks, first, later) = (disks(), Hang::new(), Hang::new());
    let long_ago = Instant::now();
    disks.begin("first", at("/x/a"), discard(first.work(1, "/x/a")));
    first.begun.recv_timeout(SOON).unwrap();
    let number = disks.next_number();
    assert!(!disks.has_done(number), "the first is under way");
    first.is_there_again();
    until(|| disks.has_done(number));
    let (stop, more) = (Arc::new(AtomicBool::new(false)), disks.clone());
    let stopped = Arc::clone(&stop);
    let come = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            if more.0.lock().waiting.len() < 8 {
                more.begin("later", at("/x/b"), |_| ());
            }
        }
    });
    until(|| disks.next_number() > number + 100);
    until(|| disks.has_done(number));
    stop.store(true, Ordering::Relaxed);
    come.join().unwrap();
    disks.begin("later", at("/x/b"), discard(later.work(2, "/x/b")));
    later.begun.recv_timeout(SOON).unwrap();
    until(|| !disks.has_done(number));
    let longest = disks.longest().unwrap();
    assert!(longest.seconds <= long_ago.elapsed().as_secs(), "{longest}");
    later.is_there_again();
    until(|| disks.has_done(number));
}

/// Work that waits for its turn hangs for no longer than since it was handed in.
#[test]
fn work_that_has_not_begun_tells_how_long_it_has_waited() {
    let (disks, hang, begun) = (disks(), Hang::new(), Instant::now());
    disks.begin("a", at("/x/a"), discard(hang.work(1, "/x/a")));
    hang.begun.recv_timeout(SOON).unwrap();
    let behind = disks.begin("a", at("/x/b"), |_| ()).at.silent();
    assert_eq!((behind.operation, behind.place.as_str()), ("wait for", "/x/b"));
    assert!(behind.seconds <= begun.elapsed().as_secs(), "{behind}");
    hang.is_there_again();
}

fn discard<T>(work: impl FnOnce(&At) -> T) -> impl FnOnce(&At) {
    move |at| drop(work(at))
}

fn until(mut comes: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !comes() {
        assert!(Instant::now() < deadline, "it does not come");
        std::thread::yield_now();
    }
}

#[test]
fn a_dead_mount_holds_a_bounded_number_of_threads_and_delays_no_other_mount() {
    let (disks, hang) = (disks(), Hang::new());
    block_on(async {
        let place = |number: usize| format!("/dead/{number}");
        let hung = (0..40).map(|number| {
            let disks = disks.clone();
            let work = hang.work(number, &place(number));
            async move { disks.ask(&format!("lane {number}"), at(&place(number)), work).await }
        });
        let local = tokio::task::LocalSet::new();
        let hung: Vec<_> = hung.map(|hung| local.spawn_local(hung)).collect();
        let healthy = async {
            for _ in 0..MOUNT_THREADS {
                while hang.begun.try_recv().is_err() {
                    tokio::task::yield_now().await;
                }
            }
            let begun = Instant::now();
            for number in 0..100 {
                let done = disks.ask(&format!("healthy {number}"), at("/home/x"), move |_| number).await;
                assert_eq!(done.unwrap(), number);
            }
            begun.elapsed()
        };
        let took = local.run_until(healthy).await;
        assert!(took < PATIENCE, "{took:?}");
        local.await;
        for hung in hung {
            let why = hung.await.unwrap().unwrap_err().to_string();
            assert!(why.contains("/dead/"), "{why}");
        }
        // All work on that mount is refused at once by now; work elsewhere is not.
        let begun = Instant::now();
        let why = disks.ask("new", at("/dead/new"), |_| ()).await.unwrap_err().to_string();
        assert!(why.contains("no answer for") && begun.elapsed() < PATIENCE, "{why}");
        disks.ask("new", at("/home/new"), |_| ()).await.unwrap();
    });
    let began = MOUNT_THREADS + hang.begun.try_iter().count();
    assert!(began < 2 * MOUNT_THREADS, "{began} of them have a thread each that hangs");
    hang.is_there_again();
    let deadline = Instant::now() + SOON;
    while block_on(disks.ask("new", at("/dead/new"), |_| ())).is_err() {
        assert!(Instant::now() < deadline, "the mount stays closed");
    }
}

/// Sixty-four mounts below `/dead`, beside the one at `/`.
fn many_mounts() -> Mounts {
    let dead = (0..DISK_THREADS).map(|number| format!("2 1 0:2 / /dead/{number} rw - x x rw\n"));
    Mounts::parse(&format!("1 0 8:1 / / rw - x x rw\n{}", dead.collect::<String>()))
}

/// Work that has been stuck at each of these places for as long as callers wait.
fn stuck_at(places: impl Iterator<Item = String>) -> Disks {
    let disks = Disks::over(many_mounts);
    let begun = Instant::now().checked_sub(PATIENCE).unwrap();
    for (number, place) in places.enumerate() {
        let at = At::default();
        at.go("open", &place);
        at.point().begun = Some(begun);
        let running = Running { number: number as u64, lane: format!("lane {number}"), at };
        disks.0.lock().running.push(running);
    }
    disks
}

/// With four threads each, sixteen dead mounts had all of them.
#[test]
fn many_dead_mounts_leave_threads_to_a_healthy_one() {
    let begins = |disks: &Disks, place: &str| {
        let work = Work {
            number: 0,
            lane: "new".to_owned(),
            places: at(place),
            at: At::default(),
            work: Box::new(|_| ()),
        };
        let mut state = disks.0.lock();
        state.waiting = VecDeque::from([work]);
        state.next(many_mounts).is_some()
    };
    let few = stuck_at((0..31).map(|number| format!("/dead/{}/{number}", number % 11)));
    assert!(begins(&few, "/dead/0/x") && begins(&few, "/home/x"));
    let many = stuck_at((0..32).map(|number| format!("/dead/{}/{number}", number % 11)));
    assert!(!begins(&many, "/dead/0/x"), "a mount with stuck work gets no more");
    assert!(begins(&many, "/dead/20/x") && begins(&many, "/home/x"));
    assert_eq!(many.refusal("new", &at("/dead/0/x")).unwrap().place, "/dead/0/0");
    assert_eq!(many.refusal("new", &at("/home/x")), None);
}

#[test]
fn work_is_refused_at_once_where_all_threads_hang() {
    let disks = stuck_at((0..DISK_THREADS).map(|number| format!("/dead/{number}/g")));
    let refused = |place: &str| disks.refusal("new", &at(place)).unwrap();
    assert_eq!((refused("/home/x").place.as_str(), refused("/home/x").elsewhere), ("/home/x", DISK_THREADS));
    assert_eq!((refused("/dead/7/x").place.as_str(), refused("/dead/7/x").elsewhere), ("/dead/7/g", 0));
    disks.0.lock().running.pop();
    assert_eq!(disks.refusal("new", &at("/home/x")), None, "one of them is free");
}

/// Work that hung behind links closed the mount of the links, by the text of its path.
#[test]
fn work_behind_a_link_counts_where_the_link_leads() {
    fn dir() -> std::path::PathBuf {
        std::env::temp_dir().join(format!("gob-behind-{}", std::process::id()))
    }
    fn mounts() -> Mounts {
        Mounts::parse(&format!("1 0 8:1 / / rw - x x rw\n2 1 0:2 / {}/dead rw - x x rw\n", dir().display()))
    }
    std::fs::create_dir_all(dir().join("dead/g")).unwrap();
    std::os::unix::fs::symlink("dead/g", dir().join("link")).unwrap();
    let link = dir().join("link").to_str().unwrap().to_owned();
    let disks = Disks::over(mounts);
    let (disks, enters) = (&disks, |lane: &'static str| {
        let (place, link) = (at(&link), link.clone());
        block_on(disks.ask(lane, place, move |at| (at.enter("find", &link), at.mount(&mounts()))))
    });
    assert_eq!(enters("a").unwrap().0, Ok(()), "nothing is stuck");
    let hangs = |number: u64| {
        let at = At::default();
        at.go("find", "/home/link");
        at.point().leads_to = dir().join("dead/x").to_str().map(str::to_owned);
        at.point().begun = Instant::now().checked_sub(PATIENCE);
        disks.0.lock().running.push(Running { number: 1_000 + number, lane: format!("lane {number}"), at });
    };
    (0..3).for_each(hangs);
    let (entered, mount) = enters("b").unwrap();
    assert_eq!(
        (entered, mount),
        (Ok(()), mounts().of(dir().join("dead/g").to_str().unwrap())),
        "there is room"
    );
    hangs(3);
    let refused = enters("c").unwrap().0.unwrap_err();
    assert_eq!((refused.operation, refused.place.as_str()), ("find", "/home/link"));
    assert_eq!(disks.refusal("new", &at("/home/x")), None, "the mount of the links is healthy");
    std::fs::remove_dir_all(dir()).unwrap();
}

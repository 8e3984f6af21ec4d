//! Becomes root altogether, as `sudo` does, and waits to be ended. For copies that belong to root and have
//! the set-user-ID bit: the starter of such a copy has a child that it may not signal. With an argument it
//! becomes its caller's again, in a session of its own, and is a process that `/proc` hides from others where
//! it is mounted with `hidepid`.
#![allow(missing_docs, reason = "a program has no interface")]

fn main() {
    let hidden = std::env::args_os().len() > 1;
    // SAFETY: integers only.
    let became = unsafe {
        let uid = if hidden { libc::getuid() } else { 0 };
        if hidden {
            libc::setsid();
        }
        let became = libc::setresuid(uid, uid, uid);
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        became
    };
    // A test that waits for it sees its user; without that it is of no use.
    if became != 0 {
        std::process::exit(99);
    }
    loop {
        std::thread::park();
    }
}

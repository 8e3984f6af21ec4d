//! Becomes root altogether, as `sudo` does, and waits to be ended. For copies that belong to root and have the set-user-ID bit:
//! who starts such a one has a child that it may not signal.
#![allow(missing_docs, reason = "a program has no interface")]

fn main() {
    // SAFETY: integers only.
    let became = unsafe { libc::setresuid(0, 0, 0) };
    // Whoever waits for it sees its user; without that it is of no use.
    if became != 0 {
        std::process::exit(99);
    }
    loop {
        std::thread::park();
    }
}

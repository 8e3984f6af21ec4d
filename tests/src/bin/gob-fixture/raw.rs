//! System calls of the fixture, past the standard library: its buffers and its runtime would change the behaviour under test.

use gob_tests::script::Flood;
use std::ffi::c_int;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;

/// Makes a pipe whose writing end a child inherits.
pub(crate) fn pipe() -> io::Result<(fs::File, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    nix::fcntl::fcntl(&write, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    Ok((fs::File::from(read), write))
}

pub(crate) fn flood(what: &Flood) {
    let mut block = vec![b'x'; 64 * 1024];
    let mut left = what.bytes;
    let mut column = 0;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        if what.line > 0 {
            for byte in &mut block[..len] {
                column += 1;
                *byte = if column % what.line == 0 { b'\n' } else { b'x' };
            }
        }
        write_all(if what.stderr { 2 } else { 1 }, &block[..len]);
        left -= len as u64;
    }
}

/// Writes straight to the descriptor; without a reader the bytes are dropped.
pub(crate) fn write_all(fd: c_int, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are those of one slice.
        match unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) } {
            written @ 1.. => bytes = &bytes[written as usize..],
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

pub(crate) fn signal_number(name: &str) -> c_int {
    let name = if name.starts_with("SIG") { name.to_owned() } else { format!("SIG{name}") };
    name.parse::<nix::sys::signal::Signal>().map_or(0, |signal| signal as c_int)
}

pub(crate) fn ignore(signal: c_int) {
    // SAFETY: SIG_IGN is a valid disposition; no handler is installed.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

pub(crate) fn hear(signal: c_int) {
    extern "C" fn say(signal: c_int) {
        let name = nix::sys::signal::Signal::try_from(signal).map_or("nothing", |signal| signal.as_str());
        ["heard ", name, "\n"].iter().for_each(|part| write_all(1, part.as_bytes()));
    }
    // SAFETY: the handler has this signature, and does nothing but write(2).
    unsafe { libc::signal(signal, say as extern "C" fn(c_int) as libc::sighandler_t) };
}

pub(crate) fn raise(signal: c_int) {
    // SAFETY: a signal to this process itself.
    unsafe { libc::kill(libc::getpid(), signal) };
}

pub(crate) fn end(code: c_int) -> ! {
    // SAFETY: ends the process without running anything of it, as a crash would.
    unsafe { libc::_exit(code) }
}

pub(crate) fn hang() -> ! {
    loop {
        // SAFETY: no arguments; comes back only after a signal handler, of which there is none.
        unsafe { libc::pause() };
    }
}

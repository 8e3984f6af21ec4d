//! The floor under the benchmarks: the least that a supervisor and its client can be, without any part of
//! gob.
//!
//! One thread, epoll, JSON lines searched with `strstr`, posix_spawn. Like a C program it has no `main` of
//! Rust's.
//!
//! ```text
//! gob-floor serve SOCKET READY_FD [WORKER ARG…]   answers ping; start spawns the worker and waits for its first line
//! gob-floor ping SOCKET                           one request
//! gob-floor start SOCKET                          one request
//! gob-floor stop SOCKET                           one request
//! gob-floor cold SOCKET                           spawns a server, waits until it listens, one request
//! ```

#![no_main]

use libc::{c_char, c_int};
use std::ffi::CStr;
use std::ptr::{null, null_mut};

const PING: &[u8] = b"{\"id\":1,\"type\":\"ping\"}\n";
const START: &[u8] = b"{\"id\":1,\"type\":\"start\",\"payload\":{\"graph\":\"g\"}}\n";
const STOP: &[u8] = b"{\"id\":1,\"type\":\"stop\",\"payload\":{\"name\":\"g\"}}\n";
const PONG: &[u8] = b"{\"id\":1,\"success\":true,\"data\":{\"pong\":true}}\n";

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: the arguments are those that the C runtime passes to every program: `argc` C strings and a null.
    let args = unsafe { std::slice::from_raw_parts(argv, argc as usize + 1) };
    let [program, verb, socket, rest @ ..] = args else { return 2 };
    if verb.is_null() || socket.is_null() {
        return 2;
    }
    // SAFETY: not null, so one of the C strings above.
    let verb = unsafe { CStr::from_ptr(*verb) }.to_bytes();
    // SAFETY: the pointers are C strings, and the slices end with the null that posix_spawn needs.
    unsafe {
        match (verb, rest) {
            (b"ping", _) => ask(*socket, PING),
            (b"start", _) => ask(*socket, START),
            (b"stop", _) => ask(*socket, STOP),
            (b"cold", _) => cold(*program, *socket),
            (b"serve", [ready, worker @ ..]) => serve(*socket, libc::atoi(*ready), worker),
            _ => 2,
        }
    }
}

unsafe extern "C" {
    static environ: *const *mut c_char;
}

/// # Safety
/// `socket` is a C string.
unsafe fn address(socket: *const c_char) -> libc::sockaddr_un {
    // SAFETY: all bits zero is a valid address, and strncpy stays within the array, whose last byte stays zero.
    unsafe {
        let mut address: libc::sockaddr_un = std::mem::zeroed();
        address.sun_family = libc::AF_UNIX as u16;
        libc::strncpy(address.sun_path.as_mut_ptr(), socket, address.sun_path.len() - 1);
        address
    }
}

const ADDRESS_BYTES: u32 = size_of::<libc::sockaddr_un>() as u32;

/// # Safety
/// `socket` is a C string.
unsafe fn ask(socket: *const c_char, request: &[u8]) -> c_int {
    // SAFETY: every pointer is that of a local value or slice, with its length.
    unsafe {
        let fd = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        let address = address(socket);
        if libc::connect(fd, (&raw const address).cast(), ADDRESS_BYTES) != 0 {
            return 7;
        }
        libc::write(fd, request.as_ptr().cast(), request.len());
        let mut answer = [0u8; 4096];
        let len = libc::read(fd, answer.as_mut_ptr().cast(), answer.len());
        if len <= 0 {
            return 1;
        }
        libc::write(1, answer.as_ptr().cast(), len as usize);
        0
    }
}

/// # Safety
/// Both are C strings.
unsafe fn cold(program: *const c_char, socket: *const c_char) -> c_int {
    // SAFETY: every pointer is that of a local value, and the arrays end with a null.
    unsafe {
        let mut pipe = [0; 2];
        libc::pipe(pipe.as_mut_ptr());
        libc::fcntl(pipe[0], libc::F_SETFD, libc::FD_CLOEXEC);
        let ready = [b'0' + (pipe[1] / 10) as u8, b'0' + (pipe[1] % 10) as u8, 0];
        let argv = [program, c"serve".as_ptr(), socket, ready.as_ptr().cast(), null()];
        let mut attributes: libc::posix_spawnattr_t = std::mem::zeroed();
        libc::posix_spawnattr_init(&raw mut attributes);
        libc::posix_spawnattr_setflags(&raw mut attributes, libc::POSIX_SPAWN_SETSID);
        let mut pid = 0;
        if libc::posix_spawn(
            &raw mut pid,
            program,
            null(),
            &raw const attributes,
            argv.as_ptr().cast(),
            environ,
        ) != 0
        {
            return 7;
        }
        libc::close(pipe[1]);
        let mut byte = 0u8;
        libc::read(pipe[0], (&raw mut byte).cast(), 1);
        ask(socket, PING)
    }
}

/// Tags of a descriptor's event: its sort and its number.
const LISTENER: u64 = 1 << 32;
const WORKER: u64 = 2 << 32;
const CLIENT: u64 = 3 << 32;

/// # Safety
/// `socket` is a C string and `worker` C strings followed by a null.
unsafe fn serve(socket: *const c_char, ready: c_int, worker: &[*const c_char]) -> c_int {
    // SAFETY: every pointer is that of a local value or slice, with its length.
    unsafe {
        let listener = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        let address = address(socket);
        libc::unlink(socket);
        if libc::bind(listener, (&raw const address).cast(), ADDRESS_BYTES) != 0
            || libc::listen(listener, 4096) != 0
        {
            return 7;
        }
        let epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        let watch = |fd: c_int, what: u64| {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: what | fd as u64 };
            libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event);
        };
        watch(listener, LISTENER);
        libc::write(ready, c"1".as_ptr().cast(), 1);
        libc::close(ready);
        let mut buffer = [0u8; 65536];
        let (mut pid, mut starter) = (0, -1);
        loop {
            let mut event = libc::epoll_event { events: 0, u64: 0 };
            if libc::epoll_wait(epoll, &raw mut event, 1, -1) != 1 {
                continue;
            }
            let (what, fd) = (event.u64 & !0xffff_ffff, event.u64 as u32 as c_int);
            if what == LISTENER {
                let client = libc::accept4(listener, null_mut(), null_mut(), libc::SOCK_CLOEXEC);
                watch(client, CLIENT);
                continue;
            }
            let len = libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len());
            if len <= 0 {
                libc::close(fd);
                continue;
            }
            buffer[(len as usize).min(buffer.len() - 1)] = 0;
            let has = |text: &CStr| !libc::strstr(buffer.as_ptr().cast(), text.as_ptr()).is_null();
            if what == WORKER {
                libc::write(starter, PONG.as_ptr().cast(), PONG.len());
            } else if has(c"\"start\"") {
                starter = fd;
                let (child, output) = spawn(worker);
                pid = child;
                watch(output, WORKER);
            } else {
                if has(c"\"stop\"") {
                    libc::kill(-pid, libc::SIGTERM);
                    libc::waitpid(pid, null_mut(), 0);
                }
                libc::write(fd, PONG.as_ptr().cast(), PONG.len());
            }
        }
    }
}

/// Spawns the worker in a group of its own; returns its pid and the reading end of its standard output.
///
/// # Safety
/// `worker` are C strings followed by a null.
unsafe fn spawn(worker: &[*const c_char]) -> (c_int, c_int) {
    // SAFETY: every pointer is that of a local value, and `worker` ends with a null.
    unsafe {
        let mut pipe = [0; 2];
        libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC);
        let mut actions: libc::posix_spawn_file_actions_t = std::mem::zeroed();
        libc::posix_spawn_file_actions_init(&raw mut actions);
        libc::posix_spawn_file_actions_adddup2(&raw mut actions, pipe[1], 1);
        let mut attributes: libc::posix_spawnattr_t = std::mem::zeroed();
        libc::posix_spawnattr_init(&raw mut attributes);
        libc::posix_spawnattr_setflags(&raw mut attributes, libc::POSIX_SPAWN_SETPGROUP as i16);
        let mut pid = 0;
        let argv = worker.as_ptr().cast();
        libc::posix_spawn(&raw mut pid, worker[0], &raw const actions, &raw const attributes, argv, environ);
        libc::posix_spawn_file_actions_destroy(&raw mut actions);
        libc::close(pipe[1]);
        (pid, pipe[0])
    }
}

//! One message of a socket, and the process that sent it as the kernel tells (SCM_CREDENTIALS, unix(7)).
//!
//! There is room for credentials alone, so the kernel closes descriptors that a sender attaches, as
//! sd_notify(3) allows. libc's own `recvmsg`, because nix's answers such a message with ENOBUFS and drops the
//! sender.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

/// The control message beside the bytes. The layout is that of cmsg(3) for this one message, without anything
/// behind it.
#[repr(C)]
struct Beside {
    header: libc::cmsghdr,
    sender: libc::ucred,
}

/// Takes a message without waiting; returns its length, cut to the buffer, and its sender.
///
/// # Errors
/// `WouldBlock` when there is none; when the kernel has no memory for it.
pub(crate) fn receive(socket: impl AsFd, into: &mut [u8]) -> io::Result<(usize, Option<i32>)> {
    let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: zeroes are valid values of this plain structure, which has nothing but integers.
    let mut beside = unsafe { MaybeUninit::<Beside>::zeroed().assume_init() };
    // SAFETY: zeroes are valid values of this plain structure, in which null pointers stand for absent parts.
    let mut message = unsafe { MaybeUninit::<libc::msghdr>::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut beside).cast();
    message.msg_controllen = size_of::<Beside>();
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `message` points to `part` and `beside`, and `part` to `into`; all live through the call and have the sizes told.
    let read = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, flags) };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    let header = &beside.header;
    let told = message.msg_controllen >= size_of::<libc::cmsghdr>()
        && (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_CREDENTIALS);
    Ok((read, told.then_some(beside.sender.pid)))
}

//! The system calls, each in one place, and the only unsafe code of the crate.
//!
//! One `cfg` chooses the file with what differs between systems: `linux.rs`, `apple.rs`, or `portable.rs`, which is
//! Linux running the code path of macOS (`--cfg fdpass_portable`).
#![expect(
    unsafe_code,
    reason = "system calls; every block names the fact that makes it sound"
)]

use std::io;

mod control;
mod descriptor;
mod errno;
#[cfg_attr(
    all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ),
    path = "keeper/mod.rs"
)]
#[cfg_attr(
    not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )),
    path = "keeper_none.rs"
)]
mod keeper;
#[cfg(any(target_vendor = "apple", fdpass_portable))]
mod late;
#[cfg(target_os = "linux")]
mod linux_kernel;
mod message;
#[cfg_attr(all(target_os = "linux", not(fdpass_portable)), path = "linux.rs")]
#[cfg_attr(all(target_os = "linux", fdpass_portable), path = "portable.rs")]
#[cfg_attr(target_vendor = "apple", path = "apple.rs")]
mod platform;
#[cfg_attr(target_os = "linux", path = "linux_poller.rs")]
#[cfg_attr(target_vendor = "apple", path = "apple_poller.rs")]
mod poller;
#[cfg_attr(
    all(target_os = "linux", not(fdpass_portable)),
    path = "several_linux.rs"
)]
#[cfg_attr(
    not(all(target_os = "linux", not(fdpass_portable))),
    path = "several_one.rs"
)]
mod several;
mod socket;
mod tcp;
#[cfg_attr(target_os = "linux", path = "linux_tcp.rs")]
#[cfg_attr(target_vendor = "apple", path = "apple_tcp.rs")]
mod tcp_platform;

pub(crate) use descriptor::{
    access_mode, borrow_all, close, close_all, descriptor_limit, duplicate, fstat,
    is_close_on_exec, is_nonblocking, is_tty, poll_one, read, set_close_on_exec, set_nonblocking,
    to_status, write,
};
pub(crate) use errno::errno_name;
pub(crate) use keeper::{MAX_PORTS as MAX_KEPT_PORTS, adopts_orphans, bury, start as start_keeper};
pub use message::Arrival;
pub(crate) use message::{MAX_SEVERAL, receive, send};
pub(crate) use platform::{
    CMSG_LAYOUT, HAS_SEQPACKET, HOLD_SOCKETS_UNTIL_ACKNOWLEDGED, RECEIVES_ALL_OR_NOTHING,
    SCM_CREDENTIALS, SCM_PIDFD, SUN_PATH_CAPACITY, accept, has_seals, inode_name, new_socket,
    new_socket_pair, on_adoption, peer_credentials, peer_pidfd, set_pass_credentials,
    set_pass_pidfd, set_pass_rights, set_socket_mode, socket_family,
};
pub(crate) use several::receive_several;
pub(crate) use socket::{
    AF_INET, AF_INET6, AF_UNIX, RawAddress, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM, bind, connect,
    is_listening, listen, local_address, peer_address, shutdown_write, socket_type,
};

pub(crate) use poller::Poller;
pub(crate) use tcp::{bind_tcp, peek, set_nodelay};
pub(crate) use tcp_platform::{accept_peer, set_defer_accept, tcp_counts};

/// Where a TCP connection stands, as far as it matters to who may have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TcpState {
    Established,
    /// The peer has sent its end.
    CloseWait,
    Other,
}

/// What has gone through a TCP connection, seen from this end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpCounts {
    pub(crate) state: TcpState,
    /// Bytes that a process has taken out of the receive queue.
    pub(crate) read: u64,
    /// Bytes that a process has written, sent or waiting in the send queue.
    pub(crate) sent: u64,
}

/// What is waited for on a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Interest {
    pub(crate) const NONE: Self = Self {
        read: false,
        write: false,
    };
    pub(crate) const READ: Self = Self {
        read: true,
        write: false,
    };

    /// For epoll, which keeps one entry for both.
    #[cfg(target_os = "linux")]
    const fn any(self) -> bool {
        self.read || self.write
    }
}

/// A descriptor that is ready, by its token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) token: u64,
    /// For reading, or it has failed. Otherwise it is ready for writing.
    pub(crate) read: bool,
}

/// `SOL_SOCKET`: the level of every control message this library knows.
pub(crate) const SOL_SOCKET: i32 = libc::SOL_SOCKET;
/// `SCM_RIGHTS`: the type of the control message that carries descriptors.
pub(crate) const SCM_RIGHTS: i32 = libc::SCM_RIGHTS;

/// The one place where -1 becomes an error.
fn check(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(returned)
    }
}

/// The same for calls that return a count.
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
fn check_size(returned: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}

/// The one place where a call that a signal interrupted is made again.
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if is_interruption(&error) => {}
            result => return result,
        }
    }
}

#[cold]
#[inline(never)]
fn is_interruption(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}

#[cfg(test)]
pub(crate) fn cmsg_space(data: u32) -> usize {
    // SAFETY: CMSG_SPACE is arithmetic.
    unsafe { libc::CMSG_SPACE(data) as usize }
}

#[cfg(test)]
pub(crate) fn cmsg_len(data: u32) -> usize {
    // SAFETY: CMSG_LEN is arithmetic.
    unsafe { libc::CMSG_LEN(data) as usize }
}

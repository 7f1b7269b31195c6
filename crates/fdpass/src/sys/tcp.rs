//! Calls on listening sockets and TCP connections that are the same everywhere.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrLike, SockaddrStorage, setsockopt, socket, sockopt,
};

use super::descriptor::set_nonblocking;
use super::socket::{RawAddress, inet};
use super::{check_size, retry, set_close_on_exec};

/// An address buffer for `accept`, as the kernel fills it.
pub(super) struct AddressBuffer {
    pub(super) storage: libc::sockaddr_storage,
    pub(super) length: libc::socklen_t,
}

impl AddressBuffer {
    pub(super) fn new() -> Self {
        // SAFETY: `sockaddr_storage` holds integers only, for which all zero bits is a value.
        let storage = unsafe { std::mem::zeroed() };
        let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_storage>()).unwrap_or(0);
        Self { storage, length }
    }

    pub(super) fn address(&self) -> RawAddress {
        // SAFETY: the kernel has written an address of `length` bytes into `storage`, which lives through the call.
        let storage = unsafe {
            SockaddrStorage::from_raw((&raw const self.storage).cast(), Some(self.length))
        };
        storage.map_or(RawAddress::Other, |storage| inet(&storage))
    }
}

/// A listening TCP socket that is not yet listening: made, close-on-exec, non-blocking, and bound.
pub(crate) fn bind_tcp(
    address: SocketAddr,
    reuse_port: bool,
    only_v6: bool,
) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let fd = socket(family, SockType::Stream, SockFlag::empty(), None)?;
    set_close_on_exec(fd.as_fd())?;
    set_nonblocking(fd.as_fd(), true)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    if reuse_port {
        setsockopt(&fd, sockopt::ReusePort, &true)?;
    }
    if only_v6 && address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    nix::sys::socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(fd)
}

/// `TCP_NODELAY`; a listening socket hands it on to the connections it accepts.
pub(crate) fn set_nodelay(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(setsockopt(&fd, sockopt::TcpNoDelay, &true)?)
}

/// Bytes that have come on a TCP connection, left in its queue. Never for a socket that can carry descriptors.
pub(crate) fn peek(fd: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<usize> {
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    retry(|| {
        // SAFETY: `into` is writable for the length stated.
        check_size(unsafe {
            libc::recv(fd.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), flags)
        })
    })
}

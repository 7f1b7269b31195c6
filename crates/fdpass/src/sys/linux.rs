//! Linux: close-on-exec from birth, ranges closed by one call.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, accept4, socket, socketpair};

use super::descriptor::{close_raw, own};
use super::message::Arrival;
use super::{check, retry};

pub(crate) use super::linux_kernel::{
    CMSG_LAYOUT, SCM_CREDENTIALS, SCM_PIDFD, SEND_FLAGS, SUN_PATH_CAPACITY, has_seals, inode_name,
    on_adoption, peer_credentials, peer_pidfd, set_pass_credentials, set_pass_pidfd,
    set_pass_rights, set_socket_mode, socket_family,
};

pub(super) use super::linux_kernel::{close, recvmsg, sendmsg};
pub(super) use super::message::receive_once;

pub(crate) const RECEIVE_FLAGS: i32 = libc::MSG_CMSG_CLOEXEC;
pub(crate) const HAS_SEQPACKET: bool = true;
/// At the descriptor limit either every descriptor of a message is delivered or none.
pub(crate) const RECEIVES_ALL_OR_NOTHING: bool = false;
/// Linux's collector knows that a socket in flight is alive (`net/unix/garbage.c`).
pub(crate) const HOLD_SOCKETS_UNTIL_ACKNOWLEDGED: bool = false;

pub(crate) fn new_socket_pair(kind: SockType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::Unix,
        kind,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}

pub(crate) fn new_socket(kind: SockType) -> io::Result<OwnedFd> {
    Ok(socket(
        AddressFamily::Unix,
        kind,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?)
}

pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let number = retry(|| Ok(accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?))?;
    Ok(own(number))
}

/// The kernel itself says when descriptors do not fit.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature is that of every system"
)]
#[inline]
pub(super) fn before_send(_socket: BorrowedFd<'_>, _fds: usize, _wait: bool) -> io::Result<()> {
    Ok(())
}

/// The kernel has done everything already.
pub(crate) fn after_receive(_fds: &mut Vec<OwnedFd>, _before: usize, _arrived: &mut Arrival) {}

/// Closes the numbers `first..=last`, which the caller owns.
pub(crate) fn close_run(first: RawFd, last: RawFd) {
    if first == last {
        return close_raw(first);
    }
    let (low, high) = (first.cast_unsigned(), last.cast_unsigned());
    // SAFETY: the caller owns every number of the run. By syscall(2), because glibc before 2.34 has no wrapper.
    let closed = check(unsafe {
        i32::try_from(libc::syscall(libc::SYS_close_range, low, high, 0u32)).unwrap_or(-1)
    });
    if closed.is_err() {
        // Linux before 5.9, or a sandbox that does not know the call.
        (first..=last).for_each(close_raw);
    }
}

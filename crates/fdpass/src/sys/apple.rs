//! macOS.
//!
//! Sources: XNU `bsd/kern/uipc_usrreq.c`, `bsd/kern/uipc_syscalls.c`, `bsd/sys/un.h`; `unix(4)`, `getpeereid(3)`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{SockType, getsockopt, sockopt};

use super::check;
use super::late;
use super::message::Arrival;
use crate::ancillary::{CMSG_APPLE, Layout};

pub(crate) use super::late::close_run;

pub(super) use super::message::receive_once;
pub(super) use libc::{close, recvmsg, sendmsg};

pub(crate) const CMSG_LAYOUT: Layout = CMSG_APPLE;
pub(crate) const SUN_PATH_CAPACITY: usize = 104;
/// There is `SCM_CREDS`, which only `LOCAL_CREDS` turns on; this library does not.
pub(crate) const SCM_CREDENTIALS: Option<i32> = None;
pub(crate) const SCM_PIDFD: Option<i32> = None;
/// There is no `MSG_NOSIGNAL`: `SO_NOSIGPIPE` is set on every socket instead.
pub(crate) const SEND_FLAGS: i32 = 0;
pub(crate) const RECEIVE_FLAGS: i32 = 0;
pub(crate) const HAS_SEQPACKET: bool = false;
/// At the descriptor limit either every descriptor of a message is delivered or none.
pub(crate) const RECEIVES_ALL_OR_NOTHING: bool = true;
/// XNU's collector flushes a socket in flight that nobody else holds (`unp_gc`).
pub(crate) const HOLD_SOCKETS_UNTIL_ACKNOWLEDGED: bool = true;

pub(crate) fn new_socket_pair(kind: SockType) -> io::Result<(OwnedFd, OwnedFd)> {
    let (a, b) = late::new_socket_pair(kind)?;
    forbid_sigpipe(a.as_fd())?;
    forbid_sigpipe(b.as_fd())?;
    Ok((a, b))
}

pub(crate) fn new_socket(kind: SockType) -> io::Result<OwnedFd> {
    let fd = late::new_socket(kind)?;
    forbid_sigpipe(fd.as_fd())?;
    Ok(fd)
}

pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let fd = late::accept(listener)?;
    // EINVAL when the client is gone already (XNU `sosetoptlock`): its connection is accepted all the same, and the
    // next call on it tells. An error here would be taken for one of the listener.
    let _: io::Result<()> = forbid_sigpipe(fd.as_fd());
    Ok(fd)
}

/// A socket that somebody else made is adopted. EINVAL as in `accept`: not this call's affair.
pub(crate) fn on_adoption(fd: BorrowedFd<'_>) {
    let _: io::Result<()> = forbid_sigpipe(fd);
}

/// `SO_NOSIGPIPE`: a write to a socket without a reader is EPIPE and no signal.
fn forbid_sigpipe(fd: BorrowedFd<'_>) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: `on` is an int of the length stated, as SO_NOSIGPIPE takes.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NOSIGPIPE,
            (&raw const on).cast(),
            4,
        )
    })?;
    Ok(())
}

/// There is no `SO_DOMAIN`: every socket of the Unix domain has a name of that family, bound or not (`sun_noname`).
pub(crate) fn socket_family(fd: BorrowedFd<'_>) -> io::Result<i32> {
    super::socket::name_family(fd)
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

#[expect(clippy::ptr_arg, reason = "the signature is that of every system")]
pub(crate) fn after_receive(fds: &mut Vec<OwnedFd>, before: usize, _arrived: &mut Arrival) {
    late::mark_received(fds.get(before..).unwrap_or_default());
}

pub(crate) fn set_pass_credentials(_fd: BorrowedFd<'_>, _on: bool) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOPROTOOPT))
}

pub(crate) fn set_pass_pidfd(_fd: BorrowedFd<'_>, _on: bool) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOPROTOOPT))
}

pub(crate) fn set_pass_rights(_fd: BorrowedFd<'_>, _on: bool) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOPROTOOPT))
}

/// `LOCAL_PEERCRED` and `LOCAL_PEERPID`.
pub(crate) fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<(u32, u32, Option<i32>)> {
    let (uid, gid) = nix::unistd::getpeereid(fd)?;
    let pid = getsockopt(&fd, sockopt::LocalPeerPid)
        .ok()
        .filter(|pid| *pid > 0);
    Ok((uid.as_raw(), gid.as_raw(), pid))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature is that of every system"
)]
pub(crate) fn peer_pidfd(_fd: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    Ok(None)
}

/// There are no seals.
pub(crate) fn has_seals(_fd: BorrowedFd<'_>) -> bool {
    false
}

/// There is no procfs.
pub(crate) fn inode_name(_fd: BorrowedFd<'_>) -> Option<String> {
    None
}

/// The socket's own permissions mean nothing here.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature is that of every system"
)]
pub(crate) fn set_socket_mode(_fd: BorrowedFd<'_>, _mode: u32) -> io::Result<()> {
    Ok(())
}

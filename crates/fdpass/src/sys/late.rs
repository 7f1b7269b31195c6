//! Close-on-exec where the system cannot set it at birth: set at once, in the same native call.
//!
//! Between the two calls another thread of this process may fork and exec, and its child then inherits the descriptor.
//! Node's own children are safe on macOS (libuv spawns with `POSIX_SPAWN_CLOEXEC_DEFAULT`). `docs/platforms.md`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket, socketpair};

use super::descriptor::{close_raw, own, set_close_on_exec};
use super::retry;

pub(crate) fn new_socket_pair(kind: SockType) -> io::Result<(OwnedFd, OwnedFd)> {
    refuse_seqpacket(kind)?;
    let (a, b) = socketpair(AddressFamily::Unix, kind, None, SockFlag::empty())?;
    set_close_on_exec(a.as_fd())?;
    set_close_on_exec(b.as_fd())?;
    Ok((a, b))
}

pub(crate) fn new_socket(kind: SockType) -> io::Result<OwnedFd> {
    refuse_seqpacket(kind)?;
    let fd = socket(AddressFamily::Unix, kind, SockFlag::empty(), None)?;
    set_close_on_exec(fd.as_fd())?;
    Ok(fd)
}

pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let number = retry(|| Ok(nix::sys::socket::accept(listener.as_raw_fd())?))?;
    let fd = own(number);
    set_close_on_exec(fd.as_fd())?;
    Ok(fd)
}

pub(super) fn mark_received(fds: &[OwnedFd]) {
    for fd in fds {
        // Cannot fail for a descriptor that is open (`fcntl(2)`: EBADF only).
        let _: io::Result<()> = set_close_on_exec(fd.as_fd());
    }
}

/// There is no call for a range.
pub(crate) fn close_run(first: RawFd, last: RawFd) {
    (first..=last).for_each(close_raw);
}

/// macOS has no `SOCK_SEQPACKET` for Unix sockets.
fn refuse_seqpacket(kind: SockType) -> io::Result<()> {
    if kind == SockType::SeqPacket {
        Err(io::Error::from_raw_os_error(libc::EPROTONOSUPPORT))
    } else {
        Ok(())
    }
}

//! What the Linux kernel has, whichever profile runs on it.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};

use super::check;
use super::descriptor::own;
use crate::ancillary::{CMSG_LINUX, Layout};

pub(crate) const CMSG_LAYOUT: Layout = CMSG_LINUX;
/// `unix(7)`
pub(crate) const SUN_PATH_CAPACITY: usize = 108;
pub(crate) const SCM_CREDENTIALS: Option<i32> = Some(libc::SCM_CREDENTIALS);
/// `include/linux/socket.h`; Linux 6.5.
pub(crate) const SCM_PIDFD: Option<i32> = Some(4);
pub(crate) const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL;

/// `include/uapi/asm-generic/socket.h`; Linux 6.5. The same on every architecture that this library is built for.
const SO_PASSPIDFD: i32 = 76;
/// The same file; Linux 6.16.
const SO_PASSRIGHTS: i32 = 83;

/// A socket that somebody else made is adopted: there is nothing to set, sends carry `MSG_NOSIGNAL`.
pub(crate) fn on_adoption(_fd: BorrowedFd<'_>) {}

/// `getsockopt(SO_DOMAIN)`: the address family of a socket.
pub(crate) fn socket_family(fd: BorrowedFd<'_>) -> io::Result<i32> {
    let mut value: libc::c_int = 0;
    let mut length: libc::socklen_t = 4;
    // SAFETY: `value` is an int of the length stated, as SO_DOMAIN returns (`socket(7)`).
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DOMAIN,
            (&raw mut value).cast(),
            &raw mut length,
        )
    })?;
    Ok(value)
}

fn set_flag(fd: BorrowedFd<'_>, option: i32, on: bool) -> io::Result<()> {
    let value = libc::c_int::from(on);
    // SAFETY: `value` is an int of the length stated, as boolean options take (`socket(7)`).
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            4,
        )
    })?;
    Ok(())
}

/// `SO_PASSCRED`: from now on every message arrives with its sender's credentials.
pub(crate) fn set_pass_credentials(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    Ok(setsockopt(&fd, sockopt::PassCred, &on)?)
}

/// `SO_PASSPIDFD`: from now on every message arrives with a process descriptor of its sender.
pub(crate) fn set_pass_pidfd(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_flag(fd, SO_PASSPIDFD, on)
}

/// `SO_PASSRIGHTS`: off, the kernel refuses descriptors at the sender (EPERM).
pub(crate) fn set_pass_rights(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_flag(fd, SO_PASSRIGHTS, on)
}

/// uid, gid and pid of the process that connected, or that made the socket pair (`SO_PEERCRED`).
pub(crate) fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<(u32, u32, Option<i32>)> {
    let credentials = getsockopt(&fd, sockopt::PeerCredentials)?;
    let (uid, gid, pid) = (credentials.uid(), credentials.gid(), credentials.pid());
    // What the kernel fills in where there is no peer: no user can be -1 (`chown(2)` takes it for "unchanged").
    if (uid, gid, pid) == (u32::MAX, u32::MAX, 0) {
        return Err(io::Error::from_raw_os_error(libc::ENOTCONN));
    }
    Ok((uid, gid, (pid != 0).then_some(pid)))
}

/// A process descriptor of the peer (`SO_PEERPIDFD`, Linux 6.5), close-on-exec.
pub(crate) fn peer_pidfd(fd: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    /// `include/uapi/asm-generic/socket.h`
    const SO_PEERPIDFD: i32 = 77;
    let mut number: libc::c_int = -1;
    let mut length: libc::socklen_t = 4;
    // SAFETY: `number` is an int of the length stated, as SO_PEERPIDFD returns.
    let result = check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut number).cast(),
            &raw mut length,
        )
    });
    match result {
        Ok(_) if number >= 0 => Ok(Some(own(number))),
        Ok(_) => Ok(None),
        Err(error) => match error.raw_os_error() {
            // An older kernel, or a peer that is gone and was reaped.
            Some(libc::ENOPROTOOPT | libc::ESRCH | libc::EINVAL) => Ok(None),
            // There is no peer; `SO_PEERCRED` and macOS call it so too.
            Some(libc::ENODATA) => Err(io::Error::from_raw_os_error(libc::ENOTCONN)),
            _ => Err(error),
        },
    }
}

/// Whether the file behind `fd` is of a kind that can be sealed: one in memory (`F_GET_SEALS`).
pub(crate) fn has_seals(fd: BorrowedFd<'_>) -> bool {
    fcntl(fd, FcntlArg::F_GET_SEALS).is_ok()
}

/// What procfs calls the file behind `fd`, for the kinds that `fstat` does not tell apart.
pub(crate) fn inode_name(fd: BorrowedFd<'_>) -> Option<String> {
    let link = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// The permissions that the socket file will be made with.
pub(crate) fn set_socket_mode(fd: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    Ok(nix::sys::stat::fchmod(
        fd,
        nix::sys::stat::Mode::from_bits_truncate(mode),
    )?)
}

// The calls of every message and descriptor go past the C library: to glibc each is a point of cancellation, which in a
// process with threads costs two atomic operations, and musl copies the control data.

/// `sendmsg(2)`.
///
/// # Safety
/// What `header` points at is alive and of the lengths stated.
#[inline]
pub(super) unsafe fn sendmsg(
    fd: libc::c_int,
    header: *const libc::msghdr,
    flags: libc::c_int,
) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    to_size(unsafe { libc::syscall(libc::SYS_sendmsg, fd, header, flags) })
}

/// `recvmsg(2)`.
///
/// # Safety
/// What `header` points at is alive, writable and of the lengths stated.
#[inline]
pub(super) unsafe fn recvmsg(
    fd: libc::c_int,
    header: *mut libc::msghdr,
    flags: libc::c_int,
) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    to_size(unsafe { libc::syscall(libc::SYS_recvmsg, fd, header, flags) })
}

/// `close(2)`.
///
/// # Safety
/// The caller owns the number.
#[inline]
pub(super) unsafe fn close(fd: libc::c_int) -> libc::c_int {
    // SAFETY: as the caller promises.
    let closed = unsafe { libc::syscall(libc::SYS_close, fd) };
    libc::c_int::from(closed != 0).wrapping_neg()
}

fn to_size(returned: libc::c_long) -> libc::ssize_t {
    libc::ssize_t::try_from(returned).unwrap_or(-1)
}

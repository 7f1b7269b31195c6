//! Calls on any descriptor: duplicate, flags, status, close.

use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::stat::FileStat;

use super::platform;
use super::{check, retry};
use crate::inspect::Status;

/// A copy of `fd` that is closed on exec, with a number of 3 or more, so that it can never stand in for a standard
/// stream that somebody closed.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let number = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    Ok(own(number))
}

/// Takes ownership of a number that the kernel has just returned to this thread.
pub(super) fn own(number: RawFd) -> OwnedFd {
    use std::os::fd::FromRawFd;
    debug_assert!(number >= 0, "the kernel returned a descriptor");
    // SAFETY: callers pass a number that a successful call has just created and nobody else has seen.
    unsafe { OwnedFd::from_raw_fd(number) }
}

pub(crate) fn is_close_on_exec(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD)?).contains(FdFlag::FD_CLOEXEC))
}

pub(crate) fn set_close_on_exec(fd: BorrowedFd<'_>) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

fn status_flags(fd: BorrowedFd<'_>) -> io::Result<OFlag> {
    Ok(OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?))
}

/// `O_RDONLY`, `O_WRONLY` or `O_RDWR`.
pub(crate) fn access_mode(fd: BorrowedFd<'_>) -> io::Result<i32> {
    Ok(status_flags(fd)?.bits() & libc::O_ACCMODE)
}

pub(crate) fn is_nonblocking(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(status_flags(fd)?.contains(OFlag::O_NONBLOCK))
}

/// Sets or clears `O_NONBLOCK`, which belongs to the open file description: every holder of a copy sees the change.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let old = status_flags(fd)?;
    let mut new = old;
    new.set(OFlag::O_NONBLOCK, on);
    if new != old {
        fcntl(fd, FcntlArg::F_SETFL(new))?;
    }
    Ok(())
}

pub(crate) fn fstat(fd: BorrowedFd<'_>) -> io::Result<FileStat> {
    Ok(nix::sys::stat::fstat(fd)?)
}

/// `struct stat`, whose fields have other widths on every system.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 fit a double for 285,000 years"
)]
pub(crate) fn to_status(found: &FileStat) -> Status {
    let millis = |seconds: i64, nanos: i64| seconds as f64 * 1e3 + nanos as f64 / 1e6;
    Status {
        device: wide(found.st_dev),
        inode: wide(found.st_ino),
        mode: narrow(found.st_mode),
        links: wide(found.st_nlink),
        uid: found.st_uid,
        gid: found.st_gid,
        special_device: wide(found.st_rdev),
        size: found.st_size,
        block_size: signed(found.st_blksize),
        blocks: found.st_blocks,
        accessed: millis(found.st_atime, found.st_atime_nsec),
        modified: millis(found.st_mtime, found.st_mtime_nsec),
        changed: millis(found.st_ctime, found.st_ctime_nsec),
    }
}

fn wide<T: TryInto<u64>>(value: T) -> u64 {
    value.try_into().unwrap_or_default()
}

fn narrow<T: TryInto<u32>>(value: T) -> u32 {
    value.try_into().unwrap_or_default()
}

fn signed<T: TryInto<i64>>(value: T) -> i64 {
    value.try_into().unwrap_or_default()
}

pub(crate) fn is_tty(fd: BorrowedFd<'_>) -> bool {
    nix::unistd::isatty(fd).unwrap_or(false)
}

pub(crate) fn read(fd: BorrowedFd<'_>, into: &mut [u8]) -> io::Result<usize> {
    retry(|| Ok(nix::unistd::read(fd, into)?))
}

pub(crate) fn write(fd: BorrowedFd<'_>, from: &[u8]) -> io::Result<usize> {
    retry(|| Ok(nix::unistd::write(fd, from)?))
}

/// Waits until `fd` is readable (or writable) or has failed. `false`: the time ran out.
pub(crate) fn poll_one(fd: BorrowedFd<'_>, writable: bool, timeout: Duration) -> io::Result<bool> {
    let events = if writable {
        PollFlags::POLLOUT
    } else {
        PollFlags::POLLIN
    };
    let start = Instant::now();
    loop {
        let left = timeout.saturating_sub(start.elapsed());
        let mut polled = [PollFd::new(fd, events)];
        match nix::poll::poll(&mut polled, whole_milliseconds(left)) {
            Ok(0) if !left.is_zero() => {}
            Ok(ready) => return Ok(ready > 0),
            // Counted and waited again.
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The same descriptors, lent: for calls that take borrowed ones.
pub(crate) fn borrow_all(fds: &[OwnedFd]) -> &[BorrowedFd<'_>] {
    // SAFETY: `OwnedFd` and `BorrowedFd` are both `repr(transparent)` over the number (their documentation), and the
    // result borrows `fds`, so that nothing is closed while it lives.
    unsafe { std::slice::from_raw_parts(fds.as_ptr().cast(), fds.len()) }
}

/// Rounded up, so that a wait never ends before its time and spins.
fn whole_milliseconds(time: Duration) -> PollTimeout {
    let millis = time.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128);
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}

/// Closes a number that the caller owns. Errors are dropped: the number is gone on every path (`close(2)`), and on
/// Linux and macOS it must not be closed again after EINTR.
pub(crate) fn close_raw(number: RawFd) {
    // SAFETY: the caller owns the number: it came out of an `OwnedFd`, and nobody else closes it.
    let _ = unsafe { super::platform::close(number) };
}

/// Closes `fd`.
pub(crate) fn close(fd: OwnedFd) {
    close_raw(fd.into_raw_fd());
}

/// Closes all of `fds`, consecutive numbers with one call where the system has one.
pub(crate) fn close_all(fds: &mut Vec<OwnedFd>) {
    let mut fds = fds.drain(..).map(IntoRawFd::into_raw_fd);
    let Some(mut first) = fds.next() else { return };
    let mut last = first;
    for number in fds {
        if number == last.wrapping_add(1) {
            last = number;
        } else {
            platform::close_run(first, last);
            (first, last) = (number, number);
        }
    }
    platform::close_run(first, last);
}

/// `getrlimit(RLIMIT_NOFILE)`: how many descriptors this process may have open at once.
pub(crate) fn descriptor_limit() -> io::Result<usize> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a place for the result.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    Ok(usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

//! What can be done with any descriptor: duplicate it, ask and set its flags, close many.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::error::{Error, Result, Syscall};
use crate::sys;

/// A copy of `fd`, close-on-exec, numbered 3 or above. Borrows `fd`; both share one open file description.
///
/// # Errors
/// EMFILE: this process is at its descriptor limit (`RLIMIT_NOFILE`): close some or raise it.
///
/// `fcntl(2)`, `F_DUPFD_CLOEXEC`.
#[doc(alias = "F_DUPFD_CLOEXEC")]
pub fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    sys::duplicate(fd).map_err(|source| Error::system(Syscall::Fcntl, source))
}

/// Whether `fd` is closed when this process executes another program. `fcntl(2)`, `F_GETFD`.
///
/// # Errors
/// None that an open descriptor can meet.
#[doc(alias = "FD_CLOEXEC")]
pub fn is_close_on_exec(fd: BorrowedFd<'_>) -> Result<bool> {
    sys::is_close_on_exec(fd).map_err(|source| Error::system(Syscall::Fcntl, source))
}

/// Makes `fd` close when this process executes another program: for descriptors that came by inheritance.
///
/// # Errors
/// None that an open descriptor can meet.
#[doc(alias = "FD_CLOEXEC")]
pub fn set_close_on_exec(fd: BorrowedFd<'_>) -> Result<()> {
    sys::set_close_on_exec(fd).map_err(|source| Error::system(Syscall::Fcntl, source))
}

/// Whether calls on `fd` return at once instead of waiting. `fcntl(2)`, `F_GETFL`.
///
/// # Errors
/// None that an open descriptor can meet.
#[doc(alias = "O_NONBLOCK")]
pub fn is_nonblocking(fd: BorrowedFd<'_>) -> Result<bool> {
    sys::is_nonblocking(fd).map_err(|source| Error::system(Syscall::Fcntl, source))
}

/// Sets or clears `O_NONBLOCK`. The flag belongs to the open file description: **every** holder of a copy, in this
/// process and in others, sees the change.
///
/// # Errors
/// None that an open descriptor can meet.
#[doc(alias = "O_NONBLOCK")]
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> Result<()> {
    sys::set_nonblocking(fd, on).map_err(|source| Error::system(Syscall::Fcntl, source))
}

/// Closes `fd`. As dropping it, but a debug build does not abort if other code of the process closed the number before.
/// `close(2)`.
pub fn close(fd: OwnedFd) {
    sys::close(fd);
}

/// Closes all of `fds` and leaves the list empty, its memory kept. Consecutive numbers go with one `close_range(2)`
/// where the system has it: that is 20 to 35 % of the cost of receiving and closing full batches.
#[doc(alias = "close_range")]
pub fn close_all(fds: &mut Vec<OwnedFd>) {
    sys::close_all(fds);
}

/// Reads from the descriptor's position. 0 is the end. `read(2)`.
///
/// # Errors
/// As `read(2)`; EAGAIN on a non-blocking descriptor with nothing to read.
pub fn read(fd: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize> {
    sys::read(fd, into).map_err(|source| Error::system(Syscall::Read, source))
}

/// Writes at the descriptor's position and returns how many bytes were taken. `write(2)`.
///
/// # Errors
/// As `write(2)`; EAGAIN on a non-blocking descriptor with no room.
pub fn write(fd: BorrowedFd<'_>, from: &[u8]) -> Result<usize> {
    sys::write(fd, from).map_err(|source| Error::system(Syscall::Write, source))
}

/// Waits until `fd` is readable (`writable` false) or writable, or has failed or ended, which the next call on it tells.
/// `false`: the time ran out. Signals do not end it. `poll(2)`.
///
/// # Errors
/// As `poll(2)`.
pub fn wait(fd: BorrowedFd<'_>, writable: bool, timeout: Duration) -> Result<bool> {
    sys::poll_one(fd, writable, timeout).map_err(|source| Error::system(Syscall::Poll, source))
}

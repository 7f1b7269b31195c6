//! `sendmsg` and `recvmsg`: bytes and descriptors in one call.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::control::Control;
use super::descriptor::own;
use super::platform;
use super::{check_size, retry};
use crate::ancillary::{CMSG_NATIVE, CONTROL_BYTES, Credentials, Decoder, Item, encode_rights};
use crate::error::Truncation;

/// `struct msghdr`, all zero: no name, no data, no control data.
pub(super) fn empty_header() -> libc::msghdr {
    // SAFETY: `msghdr` holds pointers and integers only, for which all zero bits is a value.
    unsafe { mem::zeroed() }
}

/// A count as `msghdr` wants it: its fields are `size_t` with glibc, `int` and `socklen_t` with musl and on macOS.
pub(super) fn fit<T: TryFrom<usize> + Default>(count: usize) -> T {
    T::try_from(count).unwrap_or_default()
}

/// The way back.
pub(super) fn widen<T: TryInto<usize>>(count: T) -> usize {
    count.try_into().unwrap_or_default()
}

/// `sendmsg(2)` of `parts` with `fds` on their first byte. Never raises SIGPIPE where the system can be told per call.
///
/// `wait` false adds `MSG_DONTWAIT`.
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
    wait: bool,
) -> io::Result<usize> {
    let mut control = Control::new();
    let mut header = empty_header();
    // `IoSlice` is laid out as `struct iovec` (its documentation); the kernel does not write through it.
    header.msg_iov = parts.as_ptr().cast::<libc::iovec>().cast_mut();
    header.msg_iovlen = fit(parts.len());
    if !fds.is_empty() {
        let buffer = control.zeroed(CMSG_NATIVE.space(fds.len() * 4));
        let length = encode_rights(CMSG_NATIVE, buffer, fds.iter().map(AsRawFd::as_raw_fd))
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = fit(length);
    }
    platform::before_send(socket, fds.len(), wait)?;
    let flags = platform::SEND_FLAGS | if wait { 0 } else { libc::MSG_DONTWAIT };
    retry(|| {
        // SAFETY: `header` points at `parts` and `control`, both alive and of the lengths stated.
        check_size(unsafe { platform::sendmsg(socket.as_raw_fd(), &raw const header, flags) })
    })
}

/// The most reads of one call of `receive_several`. Each needs its own control buffer on the stack.
pub(crate) const MAX_SEVERAL: usize = 4;

/// What one receive brought besides the data and the descriptors.
#[derive(Debug, Default)]
pub struct Arrival {
    /// How many bytes of the buffer hold data.
    pub bytes: usize,
    /// How many descriptors were appended to the caller's list.
    pub fds: usize,
    /// How many slots the kernel refused to fill (`SO_RIGHTS_NOTRUNC`).
    pub refused: usize,
    /// `MSG_CTRUNC`: descriptors were lost at the descriptor limit or to a security module.
    pub control_truncated: bool,
    /// `MSG_TRUNC`: the rest of a datagram is lost.
    pub data_truncated: bool,
    /// The sender, if asked for.
    pub credentials: Option<Credentials>,
    /// A process descriptor of the sender, if asked for.
    pub pidfd: Option<OwnedFd>,
    /// What is missing; filled by calls that have limits.
    pub truncation: Truncation,
}

impl Arrival {
    /// Whether there is nothing more to tell than how much came.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.truncation.is_none() && self.credentials.is_none() && self.pidfd.is_none()
    }

    /// Nothing.
    pub(crate) const NOTHING: Self = Self {
        bytes: 0,
        fds: 0,
        refused: 0,
        control_truncated: false,
        data_truncated: false,
        credentials: None,
        pidfd: None,
        truncation: Truncation::NONE,
    };
}

/// `recvmsg(2)` with room for every control message that can arrive. Descriptors are close-on-exec and appended to
/// `fds` in the order they were sent, each owned from here on. The rest is written to `arrival`: what is moved instead
/// through several returns costs as much as the decoding.
///
/// `wait` false adds `MSG_DONTWAIT`.
///
/// XNU at the descriptor limit discards all descriptors and returns EMSGSIZE with the data still to be read: the data
/// is read then and reported with `control_truncated`.
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    parts: &mut [IoSliceMut<'_>],
    fds: &mut Vec<OwnedFd>,
    arrival: &mut Arrival,
    wait: bool,
) -> io::Result<()> {
    match platform::receive_once(socket, parts, fds, arrival, wait) {
        Ok(()) => Ok(()),
        Err(error) => receive_rest(socket, parts, fds, arrival, error),
    }
}

#[cold]
fn receive_rest(
    socket: BorrowedFd<'_>,
    parts: &mut [IoSliceMut<'_>],
    fds: &mut Vec<OwnedFd>,
    arrival: &mut Arrival,
    error: io::Error,
) -> io::Result<()> {
    if error.raw_os_error() != Some(libc::EMSGSIZE) {
        return Err(error);
    }
    // Without waiting: had the data gone as well, this would wait for the next message.
    match platform::receive_once(socket, parts, fds, arrival, false) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => *arrival = Arrival::NOTHING,
        result => result?,
    }
    arrival.control_truncated = true;
    Ok(())
}

/// One `recvmsg`, as this kernel does it.
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
pub(super) fn receive_once(
    socket: BorrowedFd<'_>,
    parts: &mut [IoSliceMut<'_>],
    fds: &mut Vec<OwnedFd>,
    arrival: &mut Arrival,
    wait: bool,
) -> io::Result<()> {
    let mut control = Control::new();
    let mut header = empty_header();
    // `IoSliceMut` is laid out as `struct iovec` (its documentation).
    header.msg_iov = parts.as_mut_ptr().cast();
    header.msg_iovlen = fit(parts.len());
    let flags = platform::RECEIVE_FLAGS | if wait { 0 } else { libc::MSG_DONTWAIT };
    let bytes = retry(|| {
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = fit(CONTROL_BYTES);
        // SAFETY: `header` points at `parts` and `control`, both alive, writable and of the lengths stated.
        check_size(unsafe { platform::recvmsg(socket.as_raw_fd(), &raw mut header, flags) })
    })?;
    let length = widen(header.msg_controllen);
    if let Some(numbers) = control.only_rights(length)
        && header.msg_flags & (libc::MSG_CTRUNC | libc::MSG_TRUNC) == 0
        && numbers.iter().all(|number| *number >= 0)
    {
        // What usually comes, without looking for anything else.
        *arrival = Arrival {
            bytes,
            fds: numbers.len(),
            ..Arrival::NOTHING
        };
        let before = fds.len();
        for number in numbers {
            fds.push(own(*number));
        }
        platform::after_receive(fds, before, arrival);
        return Ok(());
    }
    take_arrived(
        bytes,
        header.msg_flags,
        control.filled(length),
        fds,
        arrival,
    );
    Ok(())
}

/// Makes of what the kernel reports of one read, and takes every descriptor that it installed.
pub(super) fn take_arrived(
    bytes: usize,
    flags: libc::c_int,
    control: &[u8],
    fds: &mut Vec<OwnedFd>,
    arrival: &mut Arrival,
) {
    *arrival = Arrival {
        bytes,
        control_truncated: flags & libc::MSG_CTRUNC != 0,
        data_truncated: flags & libc::MSG_TRUNC != 0,
        ..Arrival::NOTHING
    };
    let before = fds.len();
    take_installed(control, fds, arrival);
    platform::after_receive(fds, before, arrival);
    arrival.fds = fds.len() - before;
}

/// Takes ownership of every descriptor that the kernel reports in `control`.
#[inline]
fn take_installed(control: &[u8], fds: &mut Vec<OwnedFd>, arrival: &mut Arrival) {
    for item in Decoder::new(CMSG_NATIVE, control) {
        match item {
            Item::Rights(numbers) => {
                for number in numbers {
                    if number < 0 {
                        arrival.refused += 1;
                    } else {
                        fds.push(own(number));
                    }
                }
            }
            // At most one can be there; a second one is owned too and closed by being dropped.
            Item::Pidfd(numbers) => {
                for number in numbers.filter(|number| *number >= 0) {
                    arrival.pidfd = Some(own(number));
                }
            }
            Item::Credentials(credentials) => arrival.credentials = Some(credentials),
            Item::Unknown { .. } => {}
        }
    }
}

// What the casts above rely on.
const _: () = assert!(size_of::<IoSlice<'_>>() == size_of::<libc::iovec>());
const _: () = assert!(size_of::<IoSliceMut<'_>>() == size_of::<libc::iovec>());

#[cfg(test)]
mod tests {
    use super::{Arrival, take_installed};
    use crate::ancillary::{CMSG_NATIVE, encode_rights};

    #[test]
    fn a_slot_that_the_kernel_refused_is_counted_and_never_owned() {
        let mut control = [0; 64];
        let refused = [-13, -1, i32::MIN];
        let length = encode_rights(CMSG_NATIVE, &mut control, refused.into_iter());
        let (mut fds, mut arrived) = (Vec::new(), Arrival::default());
        take_installed(&control[..length.unwrap()], &mut fds, &mut arrived);
        assert_eq!((fds.len(), arrived.refused), (0, 3));
    }
}

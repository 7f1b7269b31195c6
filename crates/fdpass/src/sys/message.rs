//! `sendmsg` and `recvmsg`: bytes and descriptors in one call.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::control::Control;
use super::descriptor::own;
use super::platform;
use super::{check_size, retry};
use crate::ancillary::{CMSG_NATIVE, CONTROL_BYTES, Credentials, Decoder, Item, encode_rights};

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
#[inline]
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
        check_size(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, flags) })
    })
}

/// The most reads of one call of `receive_several`. Each needs its own control buffer on the stack.
pub(crate) const MAX_SEVERAL: usize = 4;

/// What one `recvmsg` brought besides the bytes and descriptors.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// Bytes written to the buffer.
    pub(crate) bytes: usize,
    /// Descriptors appended to the caller's list.
    pub(crate) fds: usize,
    /// Slots that the kernel filled with a negative number instead of a descriptor.
    pub(crate) refused: usize,
    /// `MSG_CTRUNC`: descriptors were lost.
    pub(crate) control_truncated: bool,
    /// `MSG_TRUNC`: the rest of a datagram was lost.
    pub(crate) data_truncated: bool,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) pidfd: Option<OwnedFd>,
}

impl Arrived {
    /// Nothing.
    pub(crate) const NOTHING: Self = Self {
        bytes: 0,
        fds: 0,
        refused: 0,
        control_truncated: false,
        data_truncated: false,
        credentials: None,
        pidfd: None,
    };
}

/// `recvmsg(2)` with room for every control message that can arrive. Descriptors are close-on-exec and appended to
/// `fds` in the order they were sent, each owned from here on.
///
/// `wait` false adds `MSG_DONTWAIT`.
///
/// XNU at the descriptor limit discards all descriptors and returns EMSGSIZE with the data still to be read: the data
/// is read then and reported with `control_truncated`.
#[inline]
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    parts: &mut [IoSliceMut<'_>],
    fds: &mut Vec<OwnedFd>,
    wait: bool,
) -> io::Result<Arrived> {
    match platform::receive_once(socket, parts, fds, wait) {
        Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
            // Without waiting: had the data gone as well, this would wait for the next message.
            let arrived = match platform::receive_once(socket, parts, fds, false) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Arrived::default(),
                result => result?,
            };
            Ok(Arrived {
                control_truncated: true,
                ..arrived
            })
        }
        result => result,
    }
}

/// One `recvmsg`, as this kernel does it.
#[inline]
pub(super) fn receive_once(
    socket: BorrowedFd<'_>,
    parts: &mut [IoSliceMut<'_>],
    fds: &mut Vec<OwnedFd>,
    wait: bool,
) -> io::Result<Arrived> {
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
        check_size(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) })
    })?;
    let control = control.filled(widen(header.msg_controllen));
    Ok(take_arrived(bytes, header.msg_flags, control, fds))
}

/// Makes of what the kernel reports of one read, and takes every descriptor that it installed.
#[inline]
pub(super) fn take_arrived(
    bytes: usize,
    flags: libc::c_int,
    control: &[u8],
    fds: &mut Vec<OwnedFd>,
) -> Arrived {
    let mut arrived = Arrived {
        bytes,
        control_truncated: flags & libc::MSG_CTRUNC != 0,
        data_truncated: flags & libc::MSG_TRUNC != 0,
        ..Arrived::default()
    };
    let before = fds.len();
    take_installed(control, fds, &mut arrived);
    platform::after_receive(fds, before, &mut arrived);
    arrived.fds = fds.len() - before;
    arrived
}

/// Takes ownership of every descriptor that the kernel reports in `control`.
fn take_installed(control: &[u8], fds: &mut Vec<OwnedFd>, arrived: &mut Arrived) {
    for item in Decoder::new(CMSG_NATIVE, control) {
        match item {
            Item::Rights(numbers) => {
                for number in numbers {
                    if number < 0 {
                        arrived.refused += 1;
                    } else {
                        fds.push(own(number));
                    }
                }
            }
            // At most one can be there; a second one is owned too and closed by being dropped.
            Item::Pidfd(numbers) => {
                for number in numbers.filter(|number| *number >= 0) {
                    arrived.pidfd = Some(own(number));
                }
            }
            Item::Credentials(credentials) => arrived.credentials = Some(credentials),
            Item::Unknown { .. } => {}
        }
    }
}

// What the casts above rely on.
const _: () = assert!(size_of::<IoSlice<'_>>() == size_of::<libc::iovec>());
const _: () = assert!(size_of::<IoSliceMut<'_>>() == size_of::<libc::iovec>());

#[cfg(test)]
mod tests {
    use super::{Arrived, take_installed};
    use crate::ancillary::{CMSG_NATIVE, encode_rights};

    #[test]
    fn a_slot_that_the_kernel_refused_is_counted_and_never_owned() {
        let mut control = [0; 64];
        let refused = [-13, -1, i32::MIN];
        let length = encode_rights(CMSG_NATIVE, &mut control, refused.into_iter());
        let (mut fds, mut arrived) = (Vec::new(), Arrived::default());
        take_installed(&control[..length.unwrap()], &mut fds, &mut arrived);
        assert_eq!((fds.len(), arrived.refused), (0, 3));
    }
}

//! Several reads by one call: `recvmmsg(2)`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use super::control::Control;
use super::message::{Arrival, MAX_SEVERAL, empty_header, fit, receive, take_arrived, widen};
use super::{check, platform, retry};
use crate::ancillary::CONTROL_BYTES;

/// Reads at most `arrived.len()` times without waiting, the n-th time into the n-th `piece` bytes of `into`. Returns how
/// often something was read; fewer than asked means that nothing more was there.
///
/// An error means that the first read failed. One of a later read is kept by the kernel for the next call.
pub(crate) fn receive_several(
    socket: BorrowedFd<'_>,
    into: &mut [u8],
    piece: usize,
    fds: &mut Vec<OwnedFd>,
    arrived: &mut [Arrival],
) -> io::Result<usize> {
    let count = arrived.len().min(MAX_SEVERAL).min(into.len() / piece);
    let mut controls = [const { Control::new() }; MAX_SEVERAL];
    let mut parts = [libc::iovec {
        iov_base: ptr::null_mut(),
        iov_len: 0,
    }; MAX_SEVERAL];
    let mut headers = [libc::mmsghdr {
        msg_hdr: empty_header(),
        msg_len: 0,
    }; MAX_SEVERAL];
    for (part, bytes) in parts.iter_mut().zip(into.chunks_exact_mut(piece)) {
        part.iov_base = bytes.as_mut_ptr().cast();
        part.iov_len = bytes.len();
    }
    for ((header, part), control) in headers.iter_mut().zip(&mut parts).zip(&mut controls) {
        header.msg_hdr.msg_iov = ptr::from_mut(part);
        header.msg_hdr.msg_iovlen = fit(1);
        header.msg_hdr.msg_control = control.as_mut_ptr().cast();
        header.msg_hdr.msg_controllen = fit(CONTROL_BYTES);
    }
    let flags = platform::RECEIVE_FLAGS | libc::MSG_DONTWAIT;
    let read = retry(|| {
        // SAFETY: the first `count` headers point at their parts of `into` and at their control buffers, all alive,
        // writable and of the lengths stated.
        check(unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                fit(count),
                fit(widen(flags)),
                ptr::null_mut(),
            )
        })
    });
    let read = match read {
        // A sandbox that does not know the call.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            let mut part = [io::IoSliceMut::new(&mut into[..piece])];
            receive(socket, &mut part, fds, &mut arrived[0], false)?;
            return Ok(1);
        }
        read => widen(read?),
    };
    for ((header, control), arrived) in headers[..read].iter().zip(&mut controls).zip(arrived) {
        let control = control.filled(widen(header.msg_hdr.msg_controllen));
        take_arrived(
            widen(header.msg_len),
            header.msg_hdr.msg_flags,
            control,
            fds,
            arrived,
        );
    }
    Ok(read)
}

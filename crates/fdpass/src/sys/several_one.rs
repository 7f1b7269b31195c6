//! Where the system has no call for several reads: one.

use std::io::{self, IoSliceMut};
use std::os::fd::{BorrowedFd, OwnedFd};

use super::message::{Arrived, receive};

/// Reads once, into the first `piece` bytes of `into`.
pub(crate) fn receive_several(
    socket: BorrowedFd<'_>,
    into: &mut [u8],
    piece: usize,
    fds: &mut Vec<OwnedFd>,
    arrived: &mut [Arrived],
) -> io::Result<usize> {
    let mut part = [IoSliceMut::new(&mut into[..piece])];
    arrived[0] = receive(socket, &mut part, fds, false)?;
    Ok(1)
}

//! Where the system has no call for several reads: one.

use std::io::{self, IoSliceMut};
use std::os::fd::{BorrowedFd, OwnedFd};

use super::message::{Arrival, receive};

/// Reads once, into the first `piece` bytes of `into`.
pub(crate) fn receive_several(
    socket: BorrowedFd<'_>,
    into: &mut [u8],
    piece: usize,
    fds: &mut Vec<OwnedFd>,
    arrived: &mut [Arrival],
) -> io::Result<usize> {
    let mut part = [IoSliceMut::new(&mut into[..piece])];
    receive(socket, &mut part, fds, &mut arrived[0], false)?;
    Ok(1)
}

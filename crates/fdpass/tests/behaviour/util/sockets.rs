//! Socket pairs and one message over them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fdpass::message::{self, ReceiveLimits, Received, TruncationPolicy, Wait};
use fdpass::socket::{self, Socket, SocketType};

/// Two connected sockets.
pub(crate) struct Pair {
    pub(crate) left: OwnedFd,
    pub(crate) right: OwnedFd,
}

pub(crate) fn pair(kind: SocketType) -> Pair {
    let (left, right) = socket::pair(kind).unwrap();
    Pair { left, right }
}

impl Pair {
    pub(crate) fn left(&self) -> Socket<'_> {
        Socket::check(self.left.as_fd()).unwrap()
    }

    pub(crate) fn right(&self) -> Socket<'_> {
        Socket::check(self.right.as_fd()).unwrap()
    }
}

pub(crate) fn borrow<T: AsFd>(fds: &[T]) -> Vec<BorrowedFd<'_>> {
    fds.iter().map(AsFd::as_fd).collect()
}

/// Sends without waiting: a test that would block has failed.
pub(crate) fn send<T: AsFd>(socket: Socket<'_>, bytes: &[u8], fds: &[T]) -> fdpass::Result<usize> {
    message::send(socket, bytes, &borrow(fds), Wait::Never)
}

/// Receives without waiting, truncation being an error.
pub(crate) fn receive(
    socket: Socket<'_>,
    buffer: &mut [u8],
    max_fds: usize,
) -> fdpass::Result<Option<Received>> {
    let limits = ReceiveLimits {
        max_fds,
        wait: Wait::Never,
        ..ReceiveLimits::default()
    };
    message::receive(socket, buffer, &limits)
}

/// Receives without waiting, truncation being reported beside what came.
pub(crate) fn receive_partial(
    socket: Socket<'_>,
    buffer: &mut [u8],
    max_fds: usize,
) -> fdpass::Result<Option<Received>> {
    let limits = ReceiveLimits {
        max_fds,
        wait: Wait::Never,
        truncation: TruncationPolicy::Partial,
    };
    message::receive(socket, buffer, &limits)
}

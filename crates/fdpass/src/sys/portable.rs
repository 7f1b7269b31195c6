//! Linux running the code path of macOS, so that it is tested where there is no Mac (`--cfg fdpass_portable`).

use std::cell::Cell;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{getsockopt, sockopt};

use super::late;
use super::message::{self, Arrival};
use super::{SOCK_STREAM, check, socket_type};

pub(crate) use super::late::{accept, close_run, new_socket, new_socket_pair};
pub(crate) use super::linux_kernel::{
    CMSG_LAYOUT, SCM_CREDENTIALS, SCM_PIDFD, SEND_FLAGS, SUN_PATH_CAPACITY, has_seals, inode_name,
    on_adoption, peer_credentials, peer_pidfd, set_pass_credentials, set_pass_pidfd,
    set_pass_rights, set_socket_mode, socket_family,
};

pub(super) use super::linux_kernel::{close, recvmsg, sendmsg};

pub(crate) const RECEIVE_FLAGS: i32 = 0;
pub(crate) const HAS_SEQPACKET: bool = false;
/// At the descriptor limit either every descriptor of a message is delivered or none.
pub(crate) const RECEIVES_ALL_OR_NOTHING: bool = true;
pub(crate) const HOLD_SOCKETS_UNTIL_ACKNOWLEDGED: bool = true;

thread_local! {
    /// A read that was reported as EMSGSIZE: the socket, and what the next read of it brings into the same memory.
    static HELD_BACK: Cell<Option<(RawFd, Arrival)>> = const { Cell::new(None) };
}

/// As XNU at the descriptor limit: every descriptor is discarded, the call fails with EMSGSIZE, and the next one brings
/// the data. [`message::receive`] makes that next call at once, with the same memory.
pub(super) fn receive_once(
    socket: BorrowedFd<'_>,
    parts: &mut [IoSliceMut<'_>],
    fds: &mut Vec<OwnedFd>,
    arrival: &mut Arrival,
    wait: bool,
) -> io::Result<()> {
    let number = socket.as_raw_fd();
    match HELD_BACK.take() {
        Some((held, earlier)) if held == number => {
            *arrival = earlier;
            return Ok(());
        }
        _ => {}
    }
    message::receive_once(socket, parts, fds, arrival, wait)?;
    if !arrival.control_truncated {
        return Ok(());
    }
    arrival.control_truncated = false;
    HELD_BACK.set(Some((number, std::mem::take(arrival))));
    Err(io::Error::from_raw_os_error(libc::EMSGSIZE))
}

/// As XNU when the control data of a stream do not fit now, though there is room for bytes: EMSGSIZE, from three quarters
/// of the send buffer on.
pub(super) fn before_send(socket: BorrowedFd<'_>, fds: usize, wait: bool) -> io::Result<()> {
    if fds == 0 || wait || socket_type(socket)? != SOCK_STREAM {
        return Ok(());
    }
    let room = getsockopt(&socket, sockopt::SndBuf)?;
    if unread(socket)? > room / 4 * 3 {
        return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
    }
    Ok(())
}

/// What the peer has not read yet, in the memory that it takes (`SIOCOUTQ`, `unix(7)`).
fn unread(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the request writes one int.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Close-on-exec late, and all or nothing at the descriptor limit, as XNU has it.
pub(crate) fn after_receive(fds: &mut Vec<OwnedFd>, before: usize, arrived: &mut Arrival) {
    if arrived.control_truncated {
        fds.truncate(before);
        arrived.refused = 0;
    }
    late::mark_received(fds.get(before..).unwrap_or_default());
}

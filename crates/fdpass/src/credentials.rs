//! Who is at the other end of a connected socket.

use std::os::fd::{BorrowedFd, OwnedFd};

use crate::error::{Error, Result, Syscall};
use crate::sys;

pub use crate::ancillary::Credentials;

/// The identity of a peer, as the kernel recorded it when the connection was made.
///
/// On a socket pair it names the process that *made* the pair. A socket that was passed on keeps the identity of its
/// first holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
    /// The process, where the system tells and it has a number in this pid namespace. It may be dead, and its number
    /// someone else's: see [`peer_pidfd`].
    pub pid: Option<i32>,
}

/// The credentials of the peer of a connected Unix socket.
///
/// # Errors
/// ENOTCONN: the socket is not connected.
///
/// # Platform
/// Linux: `SO_PEERCRED` (`unix(7)`). macOS: `getpeereid(3)` and `LOCAL_PEERPID`.
#[doc(alias = "SO_PEERCRED")]
#[doc(alias = "LOCAL_PEERCRED")]
#[doc(alias = "getpeereid")]
pub fn peer(socket: BorrowedFd<'_>) -> Result<PeerCredentials> {
    let (uid, gid, pid) = sys::peer_credentials(socket)
        .map_err(|source| Error::system(Syscall::Getsockopt, source))?;
    Ok(PeerCredentials { uid, gid, pid })
}

/// A process descriptor of the peer, yours to close: unlike a pid it never means another process. `None` where the
/// system does not have it, or the peer is gone.
///
/// # Errors
/// EMFILE: no free descriptor. ENOTCONN: the socket is not connected.
///
/// # Platform
/// Linux 6.5 (`SO_PEERPIDFD`).
#[doc(alias = "SO_PEERPIDFD")]
pub fn peer_pidfd(socket: BorrowedFd<'_>) -> Result<Option<OwnedFd>> {
    sys::peer_pidfd(socket).map_err(|source| Error::system(Syscall::Getsockopt, source))
}

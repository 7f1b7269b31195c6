//! Unix domain sockets: made, connected, checked.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::SockType;

use crate::address::Address;
use crate::error::{Error, Result, Syscall};
use crate::sys::{self, RawAddress};

/// The kinds of Unix domain sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketType {
    /// A byte stream. Descriptors ride on a byte.
    #[doc(alias = "SOCK_STREAM")]
    Stream,
    /// Messages without a connection.
    #[doc(alias = "SOCK_DGRAM")]
    Datagram,
    /// Messages over a connection. Linux only.
    #[doc(alias = "SOCK_SEQPACKET")]
    SeqPacket,
}

impl SocketType {
    fn to_nix(self) -> Result<SockType> {
        match self {
            Self::Stream => Ok(SockType::Stream),
            Self::Datagram => Ok(SockType::Datagram),
            Self::SeqPacket if sys::HAS_SEQPACKET => Ok(SockType::SeqPacket),
            Self::SeqPacket => Err(Error::Unsupported {
                what: "SOCK_SEQPACKET for Unix sockets",
            }),
        }
    }

    pub(crate) fn from_raw(kind: i32) -> Option<Self> {
        match kind {
            sys::SOCK_STREAM => Some(Self::Stream),
            sys::SOCK_DGRAM => Some(Self::Datagram),
            sys::SOCK_SEQPACKET => Some(Self::SeqPacket),
            _ => None,
        }
    }
}

/// A borrowed descriptor that was checked to be a Unix domain socket: the proof that descriptors can cross it.
///
/// Check once when a socket is adopted; the value is free to copy.
#[derive(Clone, Copy, Debug)]
pub struct Socket<'fd> {
    fd: BorrowedFd<'fd>,
    kind: SocketType,
}

impl<'fd> Socket<'fd> {
    /// Checks that `fd` is a Unix domain socket. Borrows it. On macOS it sets `SO_NOSIGPIPE`, which there is what keeps a
    /// send to a peer that is gone from raising SIGPIPE.
    ///
    /// # Errors
    /// [`Error::NotUnixSocket`]: a socket of another family, which would drop descriptors in silence.
    /// [`Error::Kind`]: no socket at all. [`Error::BadDescriptor`]: not open.
    pub fn check(fd: BorrowedFd<'fd>) -> Result<Self> {
        let family = sys::socket_family(fd).map_err(|source| match source.raw_os_error() {
            Some(libc::ENOTSOCK) => Error::Kind {
                expected: "a Unix domain socket",
                found: "not a socket",
            },
            Some(libc::EBADF) => Error::BadDescriptor {
                number: fd.as_raw_fd().into(),
            },
            _ => Error::system(Syscall::Getsockopt, source),
        })?;
        if family != sys::AF_UNIX {
            return Err(Error::NotUnixSocket);
        }
        let kind =
            sys::socket_type(fd).map_err(|source| Error::system(Syscall::Getsockopt, source))?;
        let kind = SocketType::from_raw(kind).ok_or(Error::NotUnixSocket)?;
        sys::on_adoption(fd);
        Ok(Self { fd, kind })
    }

    /// A socket whose check was made before, by [`Socket::check`] or because this library made it.
    ///
    /// For callers that keep the answer beside a descriptor they own. A wrong answer costs the refusals that the check
    /// gives, nothing more.
    #[must_use]
    pub const fn known(fd: BorrowedFd<'fd>, kind: SocketType) -> Self {
        Self { fd, kind }
    }

    /// Stream, datagram or seqpacket.
    #[must_use]
    pub const fn kind(self) -> SocketType {
        self.kind
    }
}

impl AsFd for Socket<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd
    }
}

impl<'fd> Socket<'fd> {
    pub(crate) const fn fd(self) -> BorrowedFd<'fd> {
        self.fd
    }
}

/// A connected pair of sockets, both close-on-exec, both yours. `socketpair(2)`.
///
/// # Errors
/// EMFILE, ENFILE: no free descriptor. [`Error::Unsupported`]: [`SocketType::SeqPacket`] on macOS.
#[doc(alias = "socketpair")]
pub fn pair(kind: SocketType) -> Result<(OwnedFd, OwnedFd)> {
    sys::new_socket_pair(kind.to_nix()?)
        .map_err(|source| Error::system(Syscall::Socketpair, source))
}

/// A new socket, connected to nothing, close-on-exec. `socket(2)`.
///
/// # Errors
/// As [`pair`].
pub fn create(kind: SocketType) -> Result<OwnedFd> {
    sys::new_socket(kind.to_nix()?).map_err(|source| Error::system(Syscall::Socket, source))
}

/// Connects `socket`. On a datagram socket it sets where messages go. `connect(2)`.
///
/// # Errors
/// ENOENT: no socket file there. ECONNREFUSED: nobody listens. EAGAIN: non-blocking, and the listener's queue is full:
/// try again later. EACCES: no permission. EPROTOTYPE: the listener is of another type.
pub fn connect(socket: BorrowedFd<'_>, address: &Address) -> Result<()> {
    let to = address.to_unix_addr(Syscall::Connect)?;
    sys::connect(socket, &to).map_err(|source| Error::system(Syscall::Connect, source))
}

/// Gives `socket` an address. A path becomes a socket file, which stays when the socket is closed. `bind(2)`.
///
/// # Errors
/// EADDRINUSE: the path exists or the name is taken. ENOENT, ENOTDIR, EACCES: as for making any file.
pub fn bind(socket: BorrowedFd<'_>, address: &Address) -> Result<()> {
    let to = address.to_unix_addr(Syscall::Bind)?;
    sys::bind(socket, &to).map_err(|source| Error::system(Syscall::Bind, source))
}

/// [`bind`] to a path whose socket file has the permissions `mode` before anyone can connect.
///
/// # Errors
/// As [`bind`]. When the permissions cannot be set, the socket file is removed again.
///
/// # Platform
/// Linux takes the permissions of the socket file from the socket itself (`fchmod` before `bind`). macOS sets them right
/// after `bind`; nobody can connect before [`listen`]. For an abstract name `mode` means nothing.
pub fn bind_with_mode(socket: BorrowedFd<'_>, address: &Address, mode: u32) -> Result<()> {
    let Some(path) = address.as_path() else {
        return bind(socket, address);
    };
    sys::set_socket_mode(socket, mode).map_err(|source| Error::system(Syscall::Chmod, source))?;
    bind(socket, address)?;
    // Linux has applied the umask to it; other systems have not looked at the socket's own permissions.
    let set = std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode));
    set.map_err(|source| {
        let _removed = std::fs::remove_file(path);
        Error::system(Syscall::Chmod, source)
    })
}

/// Makes a bound socket accept connections, up to `backlog` waiting. `listen(2)`.
///
/// # Errors
/// EINVAL: not bound, or connected. EOPNOTSUPP: a datagram socket.
pub fn listen(socket: BorrowedFd<'_>, backlog: u32) -> Result<()> {
    sys::listen(socket, backlog).map_err(|source| Error::system(Syscall::Listen, source))
}

/// Takes the next connection, close-on-exec, yours. `accept(2)`.
///
/// # Errors
/// EAGAIN: none is waiting on a non-blocking socket. EMFILE, ENFILE: no free descriptor; **the connection stays in the
/// queue** and the socket stays readable: close something before you ask again, or a loop spins. ECONNABORTED: the
/// client gave up; ask again.
pub fn accept(listener: BorrowedFd<'_>) -> Result<OwnedFd> {
    sys::accept(listener).map_err(|source| Error::system(Syscall::Accept, source))
}

/// Tells the peer that nothing more comes (`SHUT_WR`). It affects **every** holder of a copy of the socket.
/// `shutdown(2)`.
///
/// # Errors
/// ENOTCONN on macOS: not connected, or the peer is gone. Linux does not tell.
pub fn shutdown_write(socket: BorrowedFd<'_>) -> Result<()> {
    sys::shutdown_write(socket).map_err(|source| Error::system(Syscall::Shutdown, source))
}

/// The address of a Unix socket's own end. `getsockname(2)`.
///
/// # Errors
/// [`Error::NotUnixSocket`]: another family.
pub fn local_address(socket: BorrowedFd<'_>) -> Result<Address> {
    match sys::local_address(socket)
        .map_err(|source| Error::system(Syscall::Getsockname, source))?
    {
        RawAddress::Unix(name) => Ok(Address::from_name(&name)),
        _ => Err(Error::NotUnixSocket),
    }
}

/// The address of the other end of a Unix socket. `getpeername(2)`.
///
/// # Errors
/// ENOTCONN: not connected. [`Error::NotUnixSocket`]: another family.
pub fn peer_address(socket: BorrowedFd<'_>) -> Result<Address> {
    match sys::peer_address(socket).map_err(|source| Error::system(Syscall::Getpeername, source))? {
        RawAddress::Unix(name) => Ok(Address::from_name(&name)),
        _ => Err(Error::NotUnixSocket),
    }
}

/// From now on every message arrives with the credentials of its sender, and bytes of different senders are not
/// merged. `SO_PASSCRED`.
///
/// # Errors
/// [`Error::Unsupported`] on macOS.
#[doc(alias = "SO_PASSCRED")]
pub fn set_pass_credentials(socket: BorrowedFd<'_>, on: bool) -> Result<()> {
    sys::set_pass_credentials(socket, on).map_err(|source| match source.raw_os_error() {
        Some(libc::ENOPROTOOPT) => Error::Unsupported {
            what: "the credentials of every message (SO_PASSCRED)",
        },
        _ => Error::system(Syscall::Setsockopt, source),
    })
}

/// From now on every message arrives with a process descriptor of its sender. `SO_PASSPIDFD`.
///
/// # Errors
/// ENOPROTOOPT on macOS and before Linux 6.5.
#[doc(alias = "SO_PASSPIDFD")]
pub fn set_pass_pidfd(socket: BorrowedFd<'_>, on: bool) -> Result<()> {
    sys::set_pass_pidfd(socket, on).map_err(|source| Error::system(Syscall::Setsockopt, source))
}

/// Off: the kernel refuses descriptors to this socket at the sender, with EPERM. `SO_PASSRIGHTS`.
///
/// # Errors
/// ENOPROTOOPT on macOS and before Linux 6.16: refuse what arrives instead.
#[doc(alias = "SO_PASSRIGHTS")]
pub fn set_pass_rights(socket: BorrowedFd<'_>, on: bool) -> Result<()> {
    sys::set_pass_rights(socket, on).map_err(|source| Error::system(Syscall::Setsockopt, source))
}

/// Whether a socket must stay open at its sender until its receiver has it, lest the kernel's collector flush it
/// (macOS, and the portable profile).
#[must_use]
pub const fn must_hold_until_acknowledged() -> bool {
    sys::HOLD_SOCKETS_UNTIL_ACKNOWLEDGED
}

//! Calls on sockets that are the same everywhere.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Shutdown, SockaddrLike, SockaddrStorage, UnixAddr, getsockopt, sockopt,
};

use super::{check, retry};

pub(crate) const AF_UNIX: i32 = libc::AF_UNIX;
pub(crate) const AF_INET: i32 = libc::AF_INET;
pub(crate) const AF_INET6: i32 = libc::AF_INET6;
pub(crate) const SOCK_STREAM: i32 = libc::SOCK_STREAM;
pub(crate) const SOCK_DGRAM: i32 = libc::SOCK_DGRAM;
pub(crate) const SOCK_SEQPACKET: i32 = libc::SOCK_SEQPACKET;

fn integer_option(fd: BorrowedFd<'_>, option: i32) -> io::Result<i32> {
    let mut value: libc::c_int = 0;
    let mut length: libc::socklen_t = 4;
    // SAFETY: `value` is an int of the length stated, as both callers' options return (`socket(7)`).
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw mut value).cast(),
            &raw mut length,
        )
    })?;
    Ok(value)
}

/// `SO_TYPE`
pub(crate) fn socket_type(fd: BorrowedFd<'_>) -> io::Result<i32> {
    integer_option(fd, libc::SO_TYPE)
}

/// `SO_ACCEPTCONN`
pub(crate) fn is_listening(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(getsockopt(&fd, sockopt::AcceptConn)?)
}

pub(crate) fn bind(fd: BorrowedFd<'_>, address: &UnixAddr) -> io::Result<()> {
    Ok(nix::sys::socket::bind(fd.as_raw_fd(), address)?)
}

pub(crate) fn connect(fd: BorrowedFd<'_>, address: &UnixAddr) -> io::Result<()> {
    let mut interrupted = false;
    retry(
        || match nix::sys::socket::connect(fd.as_raw_fd(), address) {
            Err(Errno::EINTR) => {
                interrupted = true;
                Err(Errno::EINTR.into())
            }
            // A signal interrupted the first attempt after it was through.
            Err(Errno::EISCONN) if interrupted => Ok(()),
            result => Ok(result?),
        },
    )
}

pub(crate) fn listen(fd: BorrowedFd<'_>, backlog: u32) -> io::Result<()> {
    let backlog = libc::c_int::try_from(backlog).unwrap_or(libc::c_int::MAX);
    // By an own call: nix refuses what the kernel would cap, differently on each system.
    // SAFETY: the call takes two integers.
    check(unsafe { libc::listen(fd.as_raw_fd(), backlog) })?;
    Ok(())
}

pub(crate) fn shutdown_write(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(nix::sys::socket::shutdown(fd.as_raw_fd(), Shutdown::Write)?)
}

/// An address as the kernel reports it.
#[derive(Debug)]
pub(crate) enum RawAddress {
    Inet(SocketAddr),
    /// The bytes of `sun_path`, as many as the kernel counts.
    Unix(Vec<u8>),
    Other,
}

pub(super) fn inet(storage: &SockaddrStorage) -> RawAddress {
    if let Some(address) = storage.as_sockaddr_in() {
        return RawAddress::Inet(SocketAddr::from((address.ip(), address.port())));
    }
    if let Some(address) = storage.as_sockaddr_in6() {
        return RawAddress::Inet(SocketAddr::from((address.ip(), address.port())));
    }
    RawAddress::Other
}

pub(crate) fn local_address(fd: BorrowedFd<'_>) -> io::Result<RawAddress> {
    let storage = nix::sys::socket::getsockname::<SockaddrStorage>(fd.as_raw_fd())?;
    if storage.family() == Some(AddressFamily::Unix) {
        return Ok(RawAddress::Unix(unix_name(fd, libc::getsockname)?));
    }
    Ok(inet(&storage))
}

pub(crate) fn peer_address(fd: BorrowedFd<'_>) -> io::Result<RawAddress> {
    let storage = nix::sys::socket::getpeername::<SockaddrStorage>(fd.as_raw_fd())?;
    if storage.family() == Some(AddressFamily::Unix) {
        return Ok(RawAddress::Unix(unix_name(fd, libc::getpeername)?));
    }
    Ok(inet(&storage))
}

/// `getsockname` or `getpeername`.
type NameCall =
    unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

/// The name of a Unix socket, by an own call: nix takes an address that fills `sun_path` to its last byte (Linux then
/// counts a closing zero that is not there) for one of another family, and one without a name on macOS for zeros.
fn unix_name(fd: BorrowedFd<'_>, call: NameCall) -> io::Result<Vec<u8>> {
    // SAFETY: `sockaddr_un` holds integers only, for which all zero bits is a value.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or(0);
    // SAFETY: `address` is as long as `length` says, and both calls write no more than that.
    check(unsafe { call(fd.as_raw_fd(), (&raw mut address).cast(), &raw mut length) })?;
    let counted = usize::try_from(length)
        .unwrap_or(0)
        .saturating_sub(mem::offset_of!(libc::sockaddr_un, sun_path));
    // `c_char` has no sign on some architectures.
    let bytes = address.sun_path.iter().map(|byte| byte.to_ne_bytes()[0]);
    Ok(bytes.take(counted).collect())
}

/// The address family in a socket's own name.
#[cfg(target_vendor = "apple")]
pub(super) fn name_family(fd: BorrowedFd<'_>) -> io::Result<i32> {
    // SAFETY: `sockaddr_storage` holds integers only, for which all zero bits is a value.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of_val(&storage)).unwrap_or(0);
    // SAFETY: `storage` is as long as `length` says.
    check(unsafe {
        libc::getsockname(fd.as_raw_fd(), (&raw mut storage).cast(), &raw mut length)
    })?;
    Ok(i32::from(storage.ss_family))
}

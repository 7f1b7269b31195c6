//! What macOS says about a TCP connection (`netinet/tcp.h`, `TCP_CONNECTION_INFO`). Type-checked, not run by the authors.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::descriptor::{own, set_close_on_exec, set_nonblocking};
use super::socket::RawAddress;
use super::tcp::AddressBuffer;
use super::{TcpCounts, TcpState, check, retry};

/// `netinet/tcp_fsm.h`
const TCPS_ESTABLISHED: u8 = 4;
const TCPS_CLOSE_WAIT: u8 = 5;

/// Takes the next connection, close-on-exec and non-blocking, with the address of its peer (`accept(2)`).
pub(crate) fn accept_peer(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, RawAddress)> {
    let mut buffer = AddressBuffer::new();
    let number = retry(|| {
        // SAFETY: `storage` is writable for `length` bytes.
        check(unsafe {
            libc::accept(
                listener.as_raw_fd(),
                (&raw mut buffer.storage).cast(),
                &raw mut buffer.length,
            )
        })
    })?;
    let fd = own(number);
    set_close_on_exec(fd.as_fd())?;
    set_nonblocking(fd.as_fd(), true)?;
    Ok((fd, buffer.address()))
}

/// How much this end has read and sent (`TCP_CONNECTION_INFO`, `ioctl(FIONREAD)`).
pub(crate) fn tcp_counts(fd: BorrowedFd<'_>) -> io::Result<TcpCounts> {
    // SAFETY: `tcp_connection_info` holds integers only, for which all zero bits is a value.
    let mut info: libc::tcp_connection_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_connection_info>()).unwrap_or(0);
    // SAFETY: `info` is as long as `length` says.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_CONNECTION_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    })?;
    let mut unread: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut unread) })?;
    let state = match info.tcpi_state {
        TCPS_ESTABLISHED => TcpState::Established,
        TCPS_CLOSE_WAIT => TcpState::CloseWait,
        _ => TcpState::Other,
    };
    let (arrived, sent) = (info.tcpi_rxbytes, info.tcpi_txbytes);
    Ok(TcpCounts {
        state,
        read: arrived.saturating_sub(u64::try_from(unread).unwrap_or(0)),
        sent: sent + u64::from(info.tcpi_snd_sbbytes),
    })
}

/// There is no `TCP_DEFER_ACCEPT`.
pub(crate) fn set_defer_accept(_fd: BorrowedFd<'_>, _seconds: u32) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOPROTOOPT))
}

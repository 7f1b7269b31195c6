//! What Linux says about a TCP connection, and its own ways to accept one.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::descriptor::own;
use super::socket::RawAddress;
use super::tcp::AddressBuffer;
use super::{TcpCounts, TcpState, check, retry};

/// `struct tcp_info` in `include/uapi/linux/tcp.h` only grows; these are offsets in it.
const STATE: usize = 0;
const BYTES_RECEIVED: usize = 128;
const NOTSENT_BYTES: usize = 144;
/// Linux 4.19
const BYTES_SENT: usize = 200;
const BYTES_RETRANS: usize = 208;
const ENOUGH: usize = BYTES_RETRANS + 8;

/// `include/net/tcp_states.h`
const TCP_ESTABLISHED: u8 = 1;
const TCP_CLOSE_WAIT: u8 = 8;

/// Takes the next connection, close-on-exec and non-blocking, with the address of its peer (`accept4(2)`).
pub(crate) fn accept_peer(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, RawAddress)> {
    let mut buffer = AddressBuffer::new();
    let number = retry(|| {
        // SAFETY: `storage` is writable for `length` bytes.
        check(unsafe {
            libc::accept4(
                listener.as_raw_fd(),
                (&raw mut buffer.storage).cast(),
                &raw mut buffer.length,
                libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
            )
        })
    })?;
    Ok((own(number), buffer.address()))
}

/// How much this end has read and sent (`tcp(7)`, `TCP_INFO`; `ioctl(SIOCINQ)`). ENOPROTOOPT before Linux 4.19.
pub(crate) fn tcp_counts(fd: BorrowedFd<'_>) -> io::Result<TcpCounts> {
    let mut info = [0u8; 512];
    let mut length: libc::socklen_t = 512;
    // SAFETY: `info` is writable for the length stated.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    })?;
    if usize::try_from(length).unwrap_or(0) < ENOUGH {
        return Err(io::Error::from_raw_os_error(libc::ENOPROTOOPT));
    }
    let mut unread: libc::c_int = 0;
    // SAFETY: FIONREAD, which is SIOCINQ, writes one int.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut unread) })?;
    let (state, fin) = match info[STATE] {
        TCP_ESTABLISHED => (TcpState::Established, 0),
        // The FIN counts as a byte received.
        TCP_CLOSE_WAIT => (TcpState::CloseWait, 1),
        _ => (TcpState::Other, 0),
    };
    let arrived = u64_at(&info, BYTES_RECEIVED).saturating_sub(fin);
    let sent = u64_at(&info, BYTES_SENT).saturating_sub(u64_at(&info, BYTES_RETRANS));
    Ok(TcpCounts {
        state,
        read: arrived.saturating_sub(u64::try_from(unread).unwrap_or(0)),
        sent: sent + u64::from(u32_at(&info, NOTSENT_BYTES)),
    })
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(std::array::from_fn(|i| bytes[at + i]))
}

/// `TCP_DEFER_ACCEPT`: a connection is accepted when its first bytes are there, or after `seconds`.
pub(crate) fn set_defer_accept(fd: BorrowedFd<'_>, seconds: u32) -> io::Result<()> {
    let seconds = libc::c_int::try_from(seconds).unwrap_or(libc::c_int::MAX);
    // SAFETY: `seconds` is an int of the length stated.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            4,
        )
    })?;
    Ok(())
}

//! One message by one call: bytes and descriptors together.
//!
//! `send` borrows, `receive` owns. On a stream socket descriptors ride on the first byte of a send, and a receive stops
//! behind them but may begin before them: use a framed link where boundaries matter.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use crate::ancillary::Credentials;
use crate::descriptor;
use crate::error::{Error, LossCause, Result, Syscall, Truncation};
use crate::limits::{MAX_FDS_PER_SEND, WAIT_PAUSE, WAIT_PAUSE_MAX};
use crate::socket::{Socket, SocketType};
use crate::sys;
pub use crate::sys::Arrival;

/// How long a call may wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// As the descriptor is set: for ever, or not at all when it is non-blocking.
    #[default]
    AsDescriptor,
    /// Not at all: EAGAIN when nothing can be done.
    Never,
    /// At most this long, then [`Error::TimedOut`].
    AtMost(Duration),
}

/// What to do with a message that lost data or descriptors on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TruncationPolicy {
    /// Close every descriptor that came and return [`Error::Truncated`]; the bytes stay in the buffer.
    #[default]
    Error,
    /// Return what came, with [`Received::truncation`] saying what is missing.
    Partial,
}

/// What a receive accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiveLimits {
    /// The most descriptors the caller wants; more are closed and reported as [`LossCause::Surplus`].
    pub max_fds: usize,
    /// What to do with a truncated message.
    pub truncation: TruncationPolicy,
    /// How long to wait.
    pub wait: Wait,
}

impl Default for ReceiveLimits {
    fn default() -> Self {
        Self {
            max_fds: MAX_FDS_PER_SEND,
            truncation: TruncationPolicy::Error,
            wait: Wait::AsDescriptor,
        }
    }
}

/// A message that arrived. Dropping it closes what was not taken out.
#[derive(Debug, Default)]
pub struct Received {
    /// How many bytes of the buffer hold data.
    pub bytes: usize,
    /// The descriptors, in the order they were sent, close-on-exec, yours.
    pub fds: Vec<OwnedFd>,
    /// The sender, if [`crate::socket::set_pass_credentials`] is on.
    pub credentials: Option<Credentials>,
    /// A process descriptor of the sender, if [`crate::socket::set_pass_pidfd`] is on.
    pub pidfd: Option<OwnedFd>,
    /// What is missing (only with [`TruncationPolicy::Partial`]).
    pub truncation: Truncation,
}

/// Sends `bytes` with copies of `fds` on their first byte. Borrows: the caller still owns every descriptor and may close
/// it as soon as this returns.
///
/// Returns how many bytes were taken. On a stream socket that can be fewer than given: **the descriptors have gone**;
/// send the rest without them.
///
/// # Errors
/// Nothing was sent, and nothing is closed:
/// - [`Error::TooManyDescriptors`] above [`MAX_FDS_PER_SEND`]; [`Error::EmptyPayload`] for zero bytes with descriptors
///   on a stream.
/// - EAGAIN: the peer's queue is full (non-blocking): wait until writable. EPIPE, ECONNRESET: the peer is gone.
///   ECONNREFUSED: nobody has the datagram address.
/// - ETOOMANYREFS: this user has more descriptors in flight than its `RLIMIT_NOFILE`: wait until the receiver has
///   taken some. EMSGSIZE: a datagram too long, or (macOS) no room for descriptors now: try again later, as
///   [`Wait::AtMost`] does.
/// - EBADF: one of `fds` is not open. EINVAL: a kind that cannot be passed (an `io_uring`; on macOS a kqueue).
/// - EPERM: the peer refuses descriptors (`SO_PASSRIGHTS` off).
///
/// `sendmsg(2)`, `unix(7)`, `cmsg(3)`.
///
/// # Examples
/// ```
/// use std::fs::File;
/// use std::os::fd::AsFd;
/// use fdpass::message::{self, ReceiveLimits, Wait};
/// use fdpass::socket::{self, Socket, SocketType};
///
/// let (left, right) = socket::pair(SocketType::Stream)?;
/// let file = File::open("/dev/null").expect("every Unix has it");
/// message::send(Socket::check(left.as_fd())?, b"here", &[file.as_fd()], Wait::AsDescriptor)?;
///
/// let mut buffer = [0; 64];
/// let received = message::receive(Socket::check(right.as_fd())?, &mut buffer, &ReceiveLimits::default())?;
/// let received = received.expect("the peer is alive");
/// assert_eq!((&buffer[..received.bytes], received.fds.len()), (&b"here"[..], 1));
/// # Ok::<(), fdpass::Error>(())
/// ```
#[doc(alias = "sendmsg")]
#[doc(alias = "SCM_RIGHTS")]
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
pub fn send(socket: Socket<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>], wait: Wait) -> Result<usize> {
    send_vectored(socket, &[IoSlice::new(bytes)], fds, wait)
}

/// [`send`] of several parts of one message, without joining them first.
///
/// # Errors
/// As [`send`].
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
pub fn send_vectored(
    socket: Socket<'_>,
    parts: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
    wait: Wait,
) -> Result<usize> {
    refuse_unsendable(socket, parts, fds)?;
    if let Wait::AtMost(limit) = wait {
        return wait_at_most(limit, socket, true, Syscall::Sendmsg, &mut || {
            sys::send(socket.fd(), parts, fds, false)
        });
    }
    sys::send(socket.fd(), parts, fds, wait == Wait::AsDescriptor)
        .map_err(|source| Error::system(Syscall::Sendmsg, source))
}

#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
fn refuse_unsendable(
    socket: Socket<'_>,
    parts: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
) -> Result<()> {
    if fds.is_empty() {
        return Ok(());
    }
    if fds.len() > MAX_FDS_PER_SEND {
        return Err(Error::TooManyDescriptors {
            given: fds.len(),
            limit: MAX_FDS_PER_SEND,
        });
    }
    if socket.kind() == SocketType::Stream && parts.iter().all(|part| part.is_empty()) {
        return Err(Error::EmptyPayload);
    }
    Ok(())
}

/// Receives one message (on a stream: what is there, up to the end of the first bytes that carry descriptors) into
/// `buffer`. `None` is the end of the stream; a datagram socket has no end, and an empty datagram is a message.
///
/// Whatever the kernel installs in this process is in the result or closed before this returns.
///
/// # Errors
/// - [`Error::Truncated`]: data or descriptors were lost (see [`TruncationPolicy`]).
/// - EAGAIN: nothing is there (non-blocking): wait until readable. ECONNRESET: the peer closed with data unread.
/// - [`Error::TimedOut`]: see [`Wait`].
///
/// # Platform
/// macOS delivers no descriptor at all of a message that does not fit the descriptor limit; Linux delivers those that
/// fit. On a SEQPACKET socket an empty message cannot be told from the end.
///
/// `recvmsg(2)`, `unix(7)`.
#[doc(alias = "recvmsg")]
#[doc(alias = "MSG_CTRUNC")]
pub fn receive(
    socket: Socket<'_>,
    buffer: &mut [u8],
    limits: &ReceiveLimits,
) -> Result<Option<Received>> {
    let (mut fds, mut arrival) = (Vec::new(), Arrival::default());
    let came = receive_reusing(socket, buffer, &mut fds, &mut arrival, limits)?;
    Ok(came.then_some(Received {
        bytes: arrival.bytes,
        fds,
        credentials: arrival.credentials,
        pidfd: arrival.pidfd,
        truncation: arrival.truncation,
    }))
}

/// [`receive`] into a list that the caller uses again and again: nothing is allocated while its capacity lasts. What
/// came is appended, and the rest of it is in `arrival`. `false` is the end of the stream.
///
/// # Errors
/// As [`receive`]; the list is then as it was.
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
pub fn receive_reusing(
    socket: Socket<'_>,
    buffer: &mut [u8],
    fds: &mut Vec<OwnedFd>,
    arrival: &mut Arrival,
    limits: &ReceiveLimits,
) -> Result<bool> {
    let came = receive_into(socket, buffer, fds, arrival, limits.wait)?;
    if came && !is_whole(arrival, limits.max_fds) {
        truncated(socket, fds, arrival, limits)?;
    }
    Ok(came)
}

/// Whether nothing was lost and nothing has to be closed.
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
fn is_whole(arrival: &Arrival, max_fds: usize) -> bool {
    !arrival.control_truncated
        && !arrival.data_truncated
        && arrival.refused == 0
        && arrival.fds <= max_fds
}

/// Tells what is missing, and closes what is not wanted.
#[cold]
fn truncated(
    socket: Socket<'_>,
    fds: &mut Vec<OwnedFd>,
    arrival: &mut Arrival,
    limits: &ReceiveLimits,
) -> Result<()> {
    let before = fds.len() - arrival.fds;
    let truncation = measure_truncation(socket, arrival, limits.max_fds);
    if limits.truncation == TruncationPolicy::Error {
        descriptor::close_all(&mut fds.split_off(before));
        arrival.pidfd = None;
        return Err(Error::Truncated {
            truncation,
            bytes: arrival.bytes,
        });
    }
    arrival.truncation = truncation;
    if arrival.fds > limits.max_fds {
        descriptor::close_all(&mut fds.split_off(before + limits.max_fds));
    }
    Ok(())
}

/// The bare receive, for callers with their own rules: appends every descriptor that came to `fds` (nothing is
/// allocated while its capacity lasts), writes the rest to `arrival`, and judges nothing. `false` is the end of the stream.
///
/// # Errors
/// As [`receive`], truncation excepted: see the flags of [`Arrival`].
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
pub fn receive_into(
    socket: Socket<'_>,
    buffer: &mut [u8],
    fds: &mut Vec<OwnedFd>,
    arrival: &mut Arrival,
    wait: Wait,
) -> Result<bool> {
    let room = buffer.len();
    let mut parts = [IoSliceMut::new(buffer)];
    if let Wait::AtMost(limit) = wait {
        wait_at_most(limit, socket, false, Syscall::Recvmsg, &mut || {
            sys::receive(socket.fd(), &mut parts, fds, arrival, false)
        })?;
    } else {
        let may_wait = wait == Wait::AsDescriptor;
        sys::receive(socket.fd(), &mut parts, fds, arrival, may_wait)
            .map_err(|source| Error::system(Syscall::Recvmsg, source))?;
    }
    Ok(!is_end(socket.kind(), room, arrival))
}

/// Zero bytes and nothing else, where there was room for more, is the end of what has a connection.
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
fn is_end(kind: SocketType, room: usize, arrived: &Arrival) -> bool {
    arrived.bytes == 0
        && room > 0
        && kind != SocketType::Datagram
        && arrived.fds == 0
        && arrived.refused == 0
        && !arrived.control_truncated
        && !arrived.data_truncated
}

fn measure_truncation(socket: Socket<'_>, arrival: &Arrival, max_fds: usize) -> Truncation {
    let arrived = arrival.fds;
    let descriptors = if arrival.control_truncated {
        Some(loss_cause(socket))
    } else if arrival.refused > 0 {
        Some(LossCause::Refused)
    } else if arrived > max_fds {
        Some(LossCause::Surplus)
    } else {
        None
    };
    let sent = (!arrival.control_truncated).then_some(arrived + arrival.refused);
    Truncation {
        data: arrival.data_truncated,
        descriptors,
        arrived,
        sent,
    }
}

/// Whether this process is at its descriptor limit, asked of the kernel: the control buffer always has room, so that
/// the only other cause is a security module.
fn loss_cause(socket: Socket<'_>) -> LossCause {
    match sys::duplicate(socket.fd()) {
        Ok(_probe) if sys::RECEIVES_ALL_OR_NOTHING => LossCause::DescriptorLimit,
        Ok(_probe) => LossCause::Refused,
        Err(_) => LossCause::DescriptorLimit,
    }
}

/// Makes `call`, which does not wait, again as readiness allows, until it is through or the time is over. Apart from the
/// usual case, which is short for it: what a call runs through between two system calls, the kernel has pushed out of the
/// processor's cache.
#[cold]
fn wait_at_most<T>(
    limit: Duration,
    socket: Socket<'_>,
    writable: bool,
    syscall: Syscall,
    call: &mut dyn FnMut() -> io::Result<T>,
) -> Result<T> {
    let start = Instant::now();
    let left = || limit.saturating_sub(start.elapsed());
    let mut pause = Duration::ZERO;
    loop {
        match call() {
            Err(error) if is_for_later(socket, &error) => {}
            result => return result.map_err(|source| Error::system(syscall, source)),
        }
        if left().is_zero() {
            return Err(Error::TimedOut {
                syscall,
                after: limit,
            });
        }
        // Readiness that is worth nothing (reading was shut down, descriptors do not fit) would be told again at once.
        thread::sleep(pause.min(left()));
        descriptor::wait(socket.fd(), writable, left())?;
        pause = (2 * pause).clamp(WAIT_PAUSE, WAIT_PAUSE_MAX);
    }
}

/// On a stream nothing is too long: EMSGSIZE means that there is no room for descriptors now (XNU).
fn is_for_later(socket: Socket<'_>, error: &io::Error) -> bool {
    let no_room =
        socket.kind() == SocketType::Stream && error.raw_os_error() == Some(libc::EMSGSIZE);
    no_room || error.kind() == io::ErrorKind::WouldBlock
}

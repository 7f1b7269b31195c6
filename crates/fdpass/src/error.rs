//! What can go wrong: one variant an operation, the errno kept.

use std::error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::limits;

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// The system call a [`Error::System`] came from, by its name in section 2 of the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Syscall {
    /// `accept(2)`
    Accept,
    /// `bind(2)`
    Bind,
    /// `connect(2)`
    Connect,
    /// `fcntl(2)`
    Fcntl,
    /// `fstat(2)`
    Fstat,
    /// `getpeername(2)`
    Getpeername,
    /// `getsockname(2)`
    Getsockname,
    /// `getsockopt(2)`
    Getsockopt,
    /// `listen(2)`
    Listen,
    /// `poll(2)`
    Poll,
    /// `read(2)`
    Read,
    /// `recvmsg(2)`
    Recvmsg,
    /// `sendmsg(2)`
    Sendmsg,
    /// `setsockopt(2)`
    Setsockopt,
    /// `shutdown(2)`
    Shutdown,
    /// `socket(2)`
    Socket,
    /// `socketpair(2)`
    Socketpair,
    /// `unlink(2)`
    Unlink,
    /// `rename(2)`
    Rename,
    /// `chmod(2)`
    Chmod,
    /// `write(2)`
    Write,
}

impl Syscall {
    /// The name as `strace` prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Bind => "bind",
            Self::Connect => "connect",
            Self::Fcntl => "fcntl",
            Self::Fstat => "fstat",
            Self::Getpeername => "getpeername",
            Self::Getsockname => "getsockname",
            Self::Getsockopt => "getsockopt",
            Self::Listen => "listen",
            Self::Poll => "poll",
            Self::Read => "read",
            Self::Recvmsg => "recvmsg",
            Self::Sendmsg => "sendmsg",
            Self::Setsockopt => "setsockopt",
            Self::Shutdown => "shutdown",
            Self::Socket => "socket",
            Self::Socketpair => "socketpair",
            Self::Unlink => "unlink",
            Self::Rename => "rename",
            Self::Chmod => "chmod",
            Self::Write => "write",
        }
    }
}

/// Why descriptors that were sent did not arrive.
#[doc(alias = "MSG_CTRUNC")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossCause {
    /// More arrived than the caller asked for; the surplus was closed.
    Surplus,
    /// This process has no free descriptor left (`RLIMIT_NOFILE`): raise the limit or close some.
    DescriptorLimit,
    /// The kernel refused them for another reason: a security module, or the sender's slot was empty.
    Refused,
}

/// What of a message did not arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Truncation {
    /// The datagram was longer than the buffer and its rest is gone (`MSG_TRUNC`).
    pub data: bool,
    /// Descriptors are missing, for this reason.
    pub descriptors: Option<LossCause>,
    /// How many descriptors arrived in this process, those that were closed at once included.
    pub arrived: usize,
    /// How many descriptors were sent, where the kernel tells (it does for a surplus, not at the descriptor limit).
    pub sent: Option<usize>,
}

impl Truncation {
    /// Nothing is missing.
    pub(crate) const NONE: Self = Self {
        data: false,
        descriptors: None,
        arrived: 0,
        sent: None,
    };

    /// Whether nothing is missing.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        !self.data && self.descriptors.is_none()
    }
}

/// What can go wrong. [`Error::code`] is the stable name to match on; the message names the value, the limit and the
/// remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a system call. Nothing that the caller owns was closed.
    System {
        /// Which call.
        syscall: Syscall,
        /// What the kernel said.
        source: io::Error,
    },
    /// More descriptors than one `sendmsg` carries. Send them in several messages, or use a framed link.
    TooManyDescriptors {
        /// How many were given.
        given: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Zero bytes with descriptors on a stream socket: the kernel would drop the descriptors in silence.
    EmptyPayload,
    /// The socket is not a Unix domain socket: descriptors cannot cross it (Linux drops them in silence).
    NotUnixSocket,
    /// The descriptor is of another kind than the operation needs.
    Kind {
        /// What the operation needs.
        expected: &'static str,
        /// What the descriptor is.
        found: &'static str,
    },
    /// A number that is not an open descriptor.
    BadDescriptor {
        /// The number.
        number: i64,
    },
    /// A path or name that does not fit the address of a Unix domain socket.
    AddressTooLong {
        /// The length given, in bytes.
        length: usize,
        /// The longest that fits.
        limit: usize,
    },
    /// A path or name that cannot be an address (empty, or a zero byte in a path).
    AddressInvalid {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something this operating system does not have.
    Unsupported {
        /// What.
        what: &'static str,
    },
    /// The time given ran out before the operation could finish.
    TimedOut {
        /// The call that waited.
        syscall: Syscall,
        /// How long.
        after: Duration,
    },
    /// A message lost data or descriptors on its way in. Everything that did arrive was closed; the bytes are in the
    /// caller's buffer.
    Truncated {
        /// What is missing.
        truncation: Truncation,
        /// How many bytes of the buffer hold data.
        bytes: usize,
    },
}

impl Error {
    pub(crate) fn system(syscall: Syscall, source: io::Error) -> Self {
        Self::System { syscall, source }
    }

    /// The stable name of the error: the errno's name (`EAGAIN`) for what the kernel said, `ERR_FDPASS_…` for the rest.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::System { source, .. } => errno_name(source.raw_os_error().unwrap_or(0)),
            Self::TooManyDescriptors { .. } => "ERR_FDPASS_TOO_MANY_FDS",
            Self::EmptyPayload => "ERR_FDPASS_EMPTY_PAYLOAD",
            Self::NotUnixSocket => "ERR_FDPASS_NOT_UNIX_SOCKET",
            Self::Kind { .. } => "ERR_FDPASS_KIND",
            Self::BadDescriptor { .. } => "ERR_FDPASS_BAD_FD",
            Self::AddressTooLong { .. } => "ERR_FDPASS_ADDRESS_TOO_LONG",
            Self::AddressInvalid { .. } => "ERR_FDPASS_ADDRESS_INVALID",
            Self::Unsupported { .. } => "ERR_FDPASS_UNSUPPORTED",
            Self::TimedOut { .. } => "ERR_FDPASS_TIMEOUT",
            Self::Truncated { .. } => "ERR_FDPASS_TRUNCATED",
        }
    }

    /// The errno, where the kernel gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::System { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// The system call, where one was refused or waited for.
    #[must_use]
    pub fn syscall(&self) -> Option<&'static str> {
        match self {
            Self::System { syscall, .. } | Self::TimedOut { syscall, .. } => Some(syscall.name()),
            _ => None,
        }
    }

    /// Whether a non-blocking call found nothing to do (`EAGAIN`): wait for readiness and call again.
    #[must_use]
    pub fn is_would_block(&self) -> bool {
        matches!(self, Self::System { source, .. } if source.kind() == io::ErrorKind::WouldBlock)
    }
}

/// A time in messages: in the unit in which callers give it.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { syscall, source } => write!(f, "{} failed: {source}", syscall.name()),
            Self::TooManyDescriptors { given, limit } => {
                write!(f, "Cannot send {given} descriptors in one message: the limit is {limit}. Send several messages or use a channel")
            }
            Self::EmptyPayload => f.write_str(
                "Cannot send descriptors with zero bytes on a stream socket: the kernel would drop them. Send at least one byte",
            ),
            Self::NotUnixSocket => {
                f.write_str("Cannot pass descriptors over this socket: it is not a Unix domain socket, and the kernel would drop them in silence. Use a Unix domain socket")
            }
            Self::Kind { expected, found } => {
                write!(f, "Cannot use the descriptor: expected {expected}, and it is {found}. It stays with its owner: give one of that kind")
            }
            Self::BadDescriptor { number } => {
                write!(f, "Cannot use {number} as a descriptor: it is not open. Give the number of an open one")
            }
            Self::AddressTooLong { length, limit } => {
                write!(f, "A socket address of {length} bytes does not fit: the limit is {limit} bytes. Use a shorter path, or a path relative to the working directory")
            }
            Self::AddressInvalid { reason } => write!(f, "The socket address is invalid: {reason}"),
            Self::Unsupported { what } => write!(f, "This operating system does not have {what}"),
            Self::TimedOut { syscall, after } => {
                write!(f, "{} did not finish within {} ms. Wait longer, or look why the peer does not answer", syscall.name(), milliseconds(*after))
            }
            Self::Truncated { truncation, .. } => fmt_truncation(truncation, f),
        }
    }
}

fn fmt_truncation(truncation: &Truncation, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let arrived = truncation.arrived;
    match truncation.descriptors {
        None => f.write_str("The message was longer than the buffer and its rest is lost: receive with a larger buffer"),
        Some(LossCause::Surplus) => write!(
            f,
            "The message carried {arrived} descriptors, more than were asked for; all were closed. Ask for up to {}",
            limits::MAX_FDS_PER_SEND
        ),
        Some(LossCause::DescriptorLimit) => write!(
            f,
            "Descriptors of the message were lost because this process has no free descriptor ({arrived} arrived and were closed). Raise RLIMIT_NOFILE or close some"
        ),
        Some(LossCause::Refused) => write!(
            f,
            "The kernel refused to deliver descriptors of the message ({arrived} arrived and were closed): a security module forbids them"
        ),
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::System { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The symbolic name of an errno, `"UNKNOWN"` for a number this system does not define.
#[must_use]
pub fn errno_name(errno: i32) -> &'static str {
    crate::sys::errno_name(errno)
}

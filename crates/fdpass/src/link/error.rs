//! What can go wrong on a link.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::error::{Syscall, errno_name, milliseconds};
use crate::frame::{AckEntry, AckStatus, CodecName, ProtocolError};

/// What a link waited for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waited {
    /// The rest of a frame or a message.
    Rest,
    /// An acknowledgement.
    Acknowledgement,
    /// The queue to leave after [`Link::close`](super::Link::close).
    Close,
}

/// What a queue has no room for, and how much it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueLimit {
    /// Bytes, headers included.
    Bytes(usize),
    /// Messages.
    Messages(usize),
    /// Descriptors, those held until acknowledged included.
    Descriptors(usize),
    /// Messages whose acknowledgement is outstanding.
    Unacknowledged(usize),
}

/// Why a send was refused, a message was lost, or the link ended. [`LinkError::code`] is the stable name to match on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// The kernel refused a call. EPIPE: the peer does not read any more. ECONNRESET: it closed without reading what
    /// was under way to it. EINVAL or EBADF of a send: a descriptor that cannot be passed. EPERM: the peer's socket
    /// refuses descriptors.
    System {
        /// Which call.
        syscall: Syscall,
        /// What the kernel said.
        errno: i32,
    },
    /// The peer broke the wire format.
    Protocol(ProtocolError),
    /// The peer's payloads are of another codec.
    Codec {
        /// What it says.
        theirs: u32,
        /// What this side says.
        ours: u32,
    },
    /// The stream ended without a goodbye.
    PeerGone,
    /// The time was over.
    TimedOut {
        /// What for.
        waited: Waited,
        /// How long.
        after: Duration,
    },
    /// The link is closed or closing.
    Closed,
    /// The queue is at its limit.
    QueueFull {
        /// Which one.
        limit: QueueLimit,
    },
    /// More bytes than the peer accepts.
    MessageTooLarge {
        /// The bytes of the message.
        bytes: usize,
        /// The peer's limit.
        limit: u32,
    },
    /// More descriptors than the peer accepts.
    TooManyFds {
        /// The descriptors of the message.
        fds: usize,
        /// The peer's limit.
        limit: u32,
    },
    /// The peer got the message, but not whole. The entry is what it said.
    PeerDamaged(AckEntry),
    /// The message had begun and could not go on; the peer sees it damaged.
    Withdrawn {
        /// Which call failed.
        syscall: Syscall,
        /// What the kernel said.
        errno: i32,
    },
}

/// A message that was taken and then failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFailure {
    /// The id that the send returned.
    pub id: u64,
    /// Why.
    pub error: LinkError,
}

impl LinkError {
    pub(super) fn system(syscall: Syscall, error: &io::Error) -> Self {
        Self::System {
            syscall,
            errno: error.raw_os_error().unwrap_or(0),
        }
    }

    /// The stable name: the errno's name for what the kernel said, `ERR_FDPASS_…` for the rest.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::System { errno, .. } => errno_name(*errno),
            Self::Protocol(ProtocolError::Major { .. }) => "ERR_FDPASS_VERSION",
            Self::Protocol(_) => "ERR_FDPASS_PROTOCOL",
            Self::Codec { .. } => "ERR_FDPASS_CODEC",
            Self::PeerGone => "ERR_FDPASS_PEER_GONE",
            Self::TimedOut { .. } => "ERR_FDPASS_TIMEOUT",
            Self::Closed => "ERR_FDPASS_CLOSED",
            Self::QueueFull { .. } => "ERR_FDPASS_QUEUE_FULL",
            Self::MessageTooLarge { .. } => "ERR_FDPASS_TOO_LARGE",
            Self::TooManyFds { .. } => "ERR_FDPASS_TOO_MANY_FDS",
            Self::PeerDamaged(entry) => match entry.status {
                AckStatus::Truncated => "ERR_FDPASS_PEER_TRUNCATED",
                AckStatus::TooManyFds => "ERR_FDPASS_PEER_TOO_MANY_FDS",
                AckStatus::TooLarge => "ERR_FDPASS_PEER_TOO_LARGE",
                AckStatus::Refused | AckStatus::Withdrawn | AckStatus::Other(_) => {
                    "ERR_FDPASS_PEER_REFUSED"
                }
            },
            Self::Withdrawn { .. } => "ERR_FDPASS_WITHDRAWN",
        }
    }

    /// The errno, where the kernel gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::System { errno, .. } | Self::Withdrawn { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// The system call, where one was refused.
    #[must_use]
    pub fn syscall(&self) -> Option<&'static str> {
        match self {
            Self::System { syscall, .. } | Self::Withdrawn { syscall, .. } => Some(syscall.name()),
            _ => None,
        }
    }
}

impl LinkError {
    /// The two preambles do not go together.
    pub(super) fn is_about_preambles(&self) -> bool {
        matches!(
            self,
            Self::Codec { .. } | Self::Protocol(ProtocolError::Major { .. })
        )
    }
}

impl From<ProtocolError> for LinkError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { syscall, errno } => {
                write!(out, "{} failed: {}", syscall.name(), io::Error::from_raw_os_error(*errno))
            }
            Self::Protocol(error) => write!(out, "The channel ended: {error}"),
            Self::Codec { theirs, ours } => write!(
                out,
                "The channel ended: the peer's codec is {}, this side's is {}. Use the same codec on both sides",
                CodecName(*theirs),
                CodecName(*ours)
            ),
            Self::PeerGone => out.write_str("The peer ended without a goodbye: it crashed, was killed, or closed the socket itself"),
            Self::TimedOut { waited, after } => write!(
                out,
                "The channel ended: {} did not come within {} ms. Look why the peer is silent, or allow it more time",
                waited.name(),
                milliseconds(*after)
            ),
            Self::Closed => out.write_str("Cannot send on a closed channel"),
            Self::QueueFull { limit } => {
                write!(out, "Cannot queue another message: the limit is {limit}. Wait for 'drain' before sending more")
            }
            Self::MessageTooLarge { bytes, limit } => {
                write!(out, "Cannot send a message of {bytes} bytes: the peer accepts {limit}")
            }
            Self::TooManyFds { fds, limit } => {
                write!(out, "Cannot send a message with {fds} descriptors: the peer accepts {limit}")
            }
            Self::PeerDamaged(entry) => fmt_entry(entry, out),
            Self::Withdrawn { syscall, errno } => write!(
                out,
                "The message was withdrawn after its first bytes had gone: {} failed: {}",
                syscall.name(),
                io::Error::from_raw_os_error(*errno)
            ),
        }
    }
}

impl Waited {
    fn name(self) -> &'static str {
        match self {
            Self::Rest => "the rest of a message",
            Self::Acknowledgement => "an acknowledgement",
            Self::Close => "room for the last messages",
        }
    }
}

impl fmt::Display for QueueLimit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self {
            Self::Bytes(number) => (number, "queued bytes"),
            Self::Messages(number) => (number, "queued messages"),
            Self::Descriptors(number) => (number, "queued descriptors"),
            Self::Unacknowledged(number) => (number, "unacknowledged messages"),
        };
        write!(out, "{number} {unit}")
    }
}

fn fmt_entry(entry: &AckEntry, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let AckEntry { sent, received, .. } = entry;
    match entry.status {
        AckStatus::Truncated => write!(
            out,
            "The peer got {received} of {sent} descriptors: it is at its descriptor limit"
        ),
        AckStatus::TooManyFds => write!(
            out,
            "The peer refused a message with {sent} descriptors: it accepts {received}"
        ),
        AckStatus::TooLarge => write!(
            out,
            "The peer refused a message of {sent} bytes: it accepts {received}"
        ),
        AckStatus::Withdrawn => write!(out, "The peer got {received} of {sent} descriptors"),
        AckStatus::Refused | AckStatus::Other(_) => write!(
            out,
            "The peer refused descriptors of the message: it accepts {received} of {sent}"
        ),
    }
}

impl std::error::Error for LinkError {}

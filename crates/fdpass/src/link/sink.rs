//! Where received messages go.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::credentials::Credentials;
use crate::descriptor;
use crate::frame::{AckEntry, AckStatus};
use crate::limits;
use crate::sys;

/// Takes messages from [`Link::receive_into`](super::Link::receive_into), in order, each once.
pub trait Sink {
    /// One message. `payload` is valid until this returns. Descriptors that are not taken out of `fds` are closed when
    /// this returns.
    fn message(&mut self, meta: &MessageMeta, payload: &[u8], fds: &mut FdBatch<'_>) -> SinkStatus;
}

/// What the sink wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkStatus {
    /// The message is taken; go on.
    Continue,
    /// The message is taken; stop after it.
    Pause,
    /// The message is **not** taken (no room): stop, and offer it again first next time. No descriptor was taken.
    Decline,
}

/// What is known of a message besides its payload and descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageMeta {
    /// The peer's number for it; they rise.
    pub id: u64,
    /// How many descriptors the peer sent.
    pub fds: usize,
    /// Why the message is not whole. Then it has no descriptors here: those that came were closed.
    pub damage: Option<Damage>,
    /// Who sent its first byte, if the socket asks for it ([`crate::socket::set_pass_credentials`]).
    pub sender: Option<Credentials>,
}

/// Why a message did not arrive whole. What came before and what comes after it is intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// This process was at its descriptor limit, or a security module forbade some.
    Truncated {
        /// Descriptors sent.
        sent: u32,
        /// Descriptors that arrived, closed since.
        received: u32,
    },
    /// A descriptor was of a kind that [`Config::accept`](super::Config::accept) refuses.
    Refused {
        /// Descriptors sent.
        sent: u32,
        /// Descriptors of accepted kinds, closed since.
        received: u32,
    },
    /// More descriptors than [`Limits`](super::Limits) allow.
    TooManyFds {
        /// Descriptors sent.
        sent: u32,
        /// Our limit.
        limit: u32,
    },
    /// More bytes than [`Limits`](super::Limits) allow; the payload was dropped.
    TooLarge {
        /// Bytes sent.
        sent: u32,
        /// Our limit.
        limit: u32,
    },
    /// The peer took the rest back; the payload is what had come.
    Withdrawn {
        /// Descriptors announced.
        sent: u32,
        /// Descriptors that arrived, closed since.
        received: u32,
    },
}

impl Damage {
    /// The stable name to match on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "ERR_FDPASS_TRUNCATED",
            Self::Refused { .. } => "ERR_FDPASS_REFUSED",
            Self::TooManyFds { .. } => "ERR_FDPASS_TOO_MANY_FDS",
            Self::TooLarge { .. } => "ERR_FDPASS_TOO_LARGE",
            Self::Withdrawn { .. } => "ERR_FDPASS_WITHDRAWN",
        }
    }

    /// What was sent (descriptors; bytes for [`Damage::TooLarge`]), and what arrived or is allowed.
    #[must_use]
    pub fn counts(&self) -> (u32, u32) {
        match *self {
            Self::Truncated { sent, received }
            | Self::Refused { sent, received }
            | Self::Withdrawn { sent, received } => (sent, received),
            Self::TooManyFds { sent, limit } | Self::TooLarge { sent, limit } => (sent, limit),
        }
    }

    pub(super) fn to_entry(self, id: u64) -> AckEntry {
        let status = match self {
            Self::Truncated { .. } => AckStatus::Truncated,
            Self::Refused { .. } => AckStatus::Refused,
            Self::TooManyFds { .. } => AckStatus::TooManyFds,
            Self::TooLarge { .. } => AckStatus::TooLarge,
            Self::Withdrawn { .. } => AckStatus::Withdrawn,
        };
        let (sent, received) = self.counts();
        AckEntry {
            id,
            status,
            sent,
            received,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, received) = self.counts();
        match self {
            Self::Truncated { .. } => write!(
                out,
                "The message was sent with {sent} descriptors and arrived with {received}: this process is at its descriptor limit. Raise RLIMIT_NOFILE or close some"
            ),
            Self::Refused { .. } => write!(
                out,
                "The message was sent with {sent} descriptors, of which {received} are of an accepted kind"
            ),
            Self::TooManyFds { .. } => write!(
                out,
                "The message was sent with {sent} descriptors: the limit is {received}"
            ),
            Self::TooLarge { .. } => {
                write!(out, "The message has {sent} bytes: the limit is {received}")
            }
            Self::Withdrawn { .. } => write!(
                out,
                "The peer withdrew the message after {received} of its {sent} descriptors"
            ),
        }
    }
}

/// The descriptors of one message, in the order they were sent, close-on-exec. What is left here is closed when
/// [`Sink::message`] returns.
#[derive(Debug)]
pub struct FdBatch<'link> {
    fds: &'link mut Vec<OwnedFd>,
    left: usize,
}

impl<'link> FdBatch<'link> {
    /// The first `count` of `fds`, which are the message's.
    pub(super) fn new(fds: &'link mut Vec<OwnedFd>, count: usize) -> Self {
        Self { fds, left: count }
    }

    /// How many were not taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.left
    }

    /// None is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// A look at one that was not taken; still the message's.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<BorrowedFd<'_>> {
        self.fds[..self.left].get(index).map(AsFd::as_fd)
    }

    /// Takes all. What is not taken out of the iterator is closed with it.
    pub fn drain(&mut self) -> impl ExactSizeIterator<Item = OwnedFd> + '_ {
        let left = std::mem::take(&mut self.left);
        self.fds.drain(..left)
    }

    /// Closes what was not taken, consecutive numbers with one call.
    pub(super) fn close(self) {
        close_range(self.fds, 0, self.left);
    }
}

/// Closes `count` of `fds` from `at` on.
pub(super) fn close_range(fds: &mut Vec<OwnedFd>, at: usize, count: usize) {
    if count == 0 {
        return;
    }
    if at == 0 && count == fds.len() {
        return descriptor::close_all(fds);
    }
    let mut behind = fds.split_off(at + count);
    let mut these = fds.split_off(at);
    descriptor::close_all(&mut these);
    fds.append(&mut behind);
}

/// How much one wake-up may bring, so that no link starves the others and no batch passes the descriptor limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes read.
    pub bytes: usize,
    /// Messages delivered.
    pub messages: usize,
    /// Descriptors delivered. One message may have more.
    pub fds: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes: limits::LINK_BUDGET_BYTES,
            messages: limits::LINK_BUDGET_MESSAGES,
            fds: limits::LINK_BUDGET_FDS,
        }
    }
}

impl Budget {
    /// The default, with fewer descriptors where the process may not have many open (`RLIMIT_NOFILE`).
    #[must_use]
    pub fn of_this_process() -> Self {
        let budget = Self::default();
        Self {
            fds: budget.fds.min(Self::share_of_this_process()),
            ..budget
        }
    }

    /// The descriptors that one link may have in its hands without using up what the process may have open.
    #[must_use]
    pub fn share_of_this_process() -> usize {
        sys::descriptor_limit().map_or(usize::MAX, |limit| limit / limits::LINK_BUDGET_SHARE)
    }
}

/// What one wake-up brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Messages delivered.
    pub messages: usize,
    /// Bytes read from the socket.
    pub bytes: usize,
    /// Descriptors delivered.
    pub fds: usize,
    /// Why it stopped.
    pub stopped: Stop,
}

/// Why a wake-up stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nothing more is there now, or likely not: wait until the socket is readable. An event loop that tells of readiness
    /// only once (edge-triggered) would miss what is.
    Drained,
    /// The budget is used up: call again soon, without waiting for the socket.
    Budget,
    /// The sink said so.
    Paused,
    /// The peer said goodbye and its stream has ended. Sending is still possible.
    End,
}

//! What a peer can do wrong.

use std::fmt;

use super::{MAJOR, MAX_FRAME_BYTES, MAX_FRAME_FDS};

/// A breach of the wire format. Each one ends the channel: after it the bytes cannot be trusted to be frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The stream does not begin with the magic bytes.
    Magic,
    /// The peer speaks another major version.
    Major {
        /// The version the peer speaks.
        theirs: u16,
    },
    /// A frame announces more bytes than a frame may have.
    FrameLength {
        /// The announced length.
        length: u32,
    },
    /// A frame announces more descriptors than a frame may have.
    FrameFds {
        /// The announced count.
        fds: u16,
    },
    /// A frame of a kind that this version does not know and that says it must be understood, or of kind 0.
    UnknownKind {
        /// The kind.
        kind: u8,
    },
    /// A length or a descriptor count that its kind cannot have.
    BadShape {
        /// The kind.
        kind: u8,
        /// The announced length.
        length: u32,
        /// The announced count.
        fds: u16,
    },
    /// A frame that must not come here: a new message inside another, or more of a message that has not begun.
    OutOfOrder {
        /// The kind.
        kind: u8,
    },
    /// A message id that does not rise, or that is not the id of the message under way.
    BadId {
        /// The id.
        id: u64,
    },
    /// A frame that brings more than its message announced, or nothing at all.
    BadTotals {
        /// The message.
        id: u64,
    },
    /// A message of several frames announces more bytes than we accept.
    MessageTooLarge {
        /// The announced bytes.
        bytes: u32,
        /// Our limit.
        limit: u32,
    },
    /// A message of several frames announces more descriptors than we accept.
    MessageTooManyFds {
        /// The announced descriptors.
        fds: u32,
        /// Our limit.
        limit: u32,
    },
    /// Bytes after the goodbye.
    AfterGoodbye,
    /// A frame announced descriptors and another number came with it.
    FdCount {
        /// The announced count.
        announced: u32,
        /// The count that came.
        arrived: u32,
    },
    /// Descriptors came that no frame announced.
    StrayFds {
        /// How many.
        fds: u32,
    },
    /// The peer acknowledged a message that was not sent.
    BadAck {
        /// The id it named.
        id: u64,
    },
    /// The peer knows our limits and goes on breaking them.
    LimitIgnored,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => write!(out, "the peer does not speak the fdpass protocol"),
            Self::Major { theirs } => {
                write!(
                    out,
                    "the peer speaks version {theirs} of the protocol, this side {MAJOR}"
                )
            }
            Self::FrameLength { length } => {
                write!(
                    out,
                    "the peer announced a frame of {length} bytes, the limit is {MAX_FRAME_BYTES}"
                )
            }
            Self::FrameFds { fds } => {
                write!(
                    out,
                    "the peer announced a frame of {fds} descriptors, the limit is {MAX_FRAME_FDS}"
                )
            }
            Self::UnknownKind { kind } => {
                write!(
                    out,
                    "the peer sent a frame of kind {kind:#04x}, which must be understood and is not known"
                )
            }
            Self::BadShape { kind, length, fds } => write!(
                out,
                "the peer sent a frame of kind {kind:#04x} with {length} bytes and {fds} descriptors"
            ),
            Self::OutOfOrder { kind } => {
                write!(
                    out,
                    "the peer sent a frame of kind {kind:#04x} out of order"
                )
            }
            Self::BadId { id } => {
                write!(out, "the peer sent a frame with the unexpected id {id}")
            }
            Self::BadTotals { id } => write!(
                out,
                "the frames of message {id} do not add up to what the peer announced"
            ),
            Self::MessageTooLarge { bytes, limit } => {
                write!(
                    out,
                    "the peer announced a message of {bytes} bytes, the limit is {limit}"
                )
            }
            Self::MessageTooManyFds { fds, limit } => {
                write!(
                    out,
                    "the peer announced a message of {fds} descriptors, the limit is {limit}"
                )
            }
            Self::AfterGoodbye => write!(out, "the peer went on sending after its goodbye"),
            Self::FdCount { announced, arrived } => write!(
                out,
                "the peer announced {announced} descriptors and sent {arrived}"
            ),
            Self::StrayFds { fds } => {
                write!(
                    out,
                    "the peer sent {fds} descriptors without announcing them"
                )
            }
            Self::BadAck { id } => write!(
                out,
                "the peer acknowledged message {id}, which was not sent"
            ),
            Self::LimitIgnored => write!(
                out,
                "the peer goes on sending messages above the limits it was told"
            ),
        }
    }
}

impl std::error::Error for ProtocolError {}

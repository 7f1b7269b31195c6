//! The fixed start of every frame.

use super::{u16_at, u32_at, u64_at};

/// The length of a frame header.
pub const HEADER_BYTES: usize = 16;
/// The length of the totals that follow the header of a [`kind::FIRST`] frame.
pub const TOTALS_BYTES: usize = 8;

/// [`TOTALS_BYTES`] in the type of [`Header::length`].
pub(super) const TOTALS_BYTES_U32: u32 = 8;

/// Flag of [`kind::DATA`] and [`kind::FIRST`]: the sender wants to be told what became of the message.
pub const FLAG_ACK_WANTED: u8 = 0x01;
/// Flag of any frame: a reader that does not know its kind must end the channel instead of skipping it.
pub const FLAG_MUST_UNDERSTAND: u8 = 0x80;

/// The kinds of frame of version 1.0. Kinds 0x40 to 0x7f are the application's; all others are reserved.
pub mod kind {
    /// A whole message.
    pub const DATA: u8 = 0x01;
    /// The start of a message of several frames, with its totals.
    pub const FIRST: u8 = 0x02;
    /// More of that message.
    pub const NEXT: u8 = 0x03;
    /// The rest of that message will not come.
    pub const CANCEL: u8 = 0x04;
    /// What became of messages that asked for an acknowledgement.
    pub const ACK: u8 = 0x10;
    /// The last frame: the sender closes on purpose.
    pub const GOODBYE: u8 = 0x11;
}

/// A frame header as it stands on the wire, unchecked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Bytes that follow the header.
    pub length: u32,
    /// One of [`kind`], or one this version does not know.
    pub kind: u8,
    /// `FLAG_…` bits.
    pub flags: u8,
    /// Descriptors that arrive with the frame's first byte.
    pub fds: u16,
    /// The message this frame belongs to.
    pub id: u64,
}

impl Header {
    /// The bytes on the wire.
    #[must_use]
    #[inline]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..4].copy_from_slice(&self.length.to_le_bytes());
        out[4] = self.kind;
        out[5] = self.flags;
        out[6..8].copy_from_slice(&self.fds.to_le_bytes());
        out[8..].copy_from_slice(&self.id.to_le_bytes());
        out
    }

    /// Reads a header from the start of `input`, or `None` while it is incomplete.
    #[must_use]
    #[inline]
    pub fn decode(input: &[u8]) -> Option<Self> {
        let input = input.get(..HEADER_BYTES)?;
        Some(Self {
            length: u32_at(input, 0),
            kind: input[4],
            flags: input[5],
            fds: u16_at(input, 6),
            id: u64_at(input, 8),
        })
    }
}

/// What a message of several frames adds up to; the first bytes after the header of a [`kind::FIRST`] frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Payload bytes of the whole message.
    pub bytes: u32,
    /// Descriptors of the whole message.
    pub fds: u32,
}

impl Totals {
    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; TOTALS_BYTES] {
        let mut out = [0; TOTALS_BYTES];
        out[..4].copy_from_slice(&self.bytes.to_le_bytes());
        out[4..].copy_from_slice(&self.fds.to_le_bytes());
        out
    }

    /// Reads totals from the start of `input`, or `None` while they are incomplete.
    #[must_use]
    pub fn decode(input: &[u8]) -> Option<Self> {
        let input = input.get(..TOTALS_BYTES)?;
        Some(Self {
            bytes: u32_at(input, 0),
            fds: u32_at(input, 4),
        })
    }
}

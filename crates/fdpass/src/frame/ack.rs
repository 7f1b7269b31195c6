//! What an acknowledgement says about a message that did not arrive whole.

use super::{u16_at, u32_at, u64_at};

/// The length of one entry in the payload of a [`kind::ACK`](super::kind::ACK) frame.
pub const ACK_ENTRY_BYTES: usize = 20;
/// The most entries of one acknowledgement.
pub const MAX_ACK_ENTRIES: usize = 256;

/// Why a message did not arrive whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckStatus {
    /// The receiver's kernel cut the descriptors: it was at its limit.
    Truncated,
    /// The receiver does not accept descriptors of this kind.
    Refused,
    /// More descriptors than the receiver accepts.
    TooManyFds,
    /// More bytes than the receiver accepts.
    TooLarge,
    /// The sender itself withdrew the rest.
    Withdrawn,
    /// A status of a later version.
    Other(u16),
}

impl AckStatus {
    fn to_wire(self) -> u16 {
        match self {
            Self::Truncated => 1,
            Self::Refused => 2,
            Self::TooManyFds => 3,
            Self::TooLarge => 4,
            Self::Withdrawn => 5,
            Self::Other(number) => number,
        }
    }

    fn from_wire(number: u16) -> Self {
        match number {
            1 => Self::Truncated,
            2 => Self::Refused,
            3 => Self::TooManyFds,
            4 => Self::TooLarge,
            5 => Self::Withdrawn,
            other => Self::Other(other),
        }
    }
}

/// One message that did not arrive whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckEntry {
    /// The message.
    pub id: u64,
    /// What happened to it.
    pub status: AckStatus,
    /// What was sent: descriptors, or bytes for [`AckStatus::TooLarge`].
    pub sent: u32,
    /// What arrived (truncated, refused, withdrawn) or what is accepted at most (too many, too large).
    pub received: u32,
}

impl AckEntry {
    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; ACK_ENTRY_BYTES] {
        let mut out = [0; ACK_ENTRY_BYTES];
        out[..8].copy_from_slice(&self.id.to_le_bytes());
        out[8..10].copy_from_slice(&self.status.to_wire().to_le_bytes());
        out[12..16].copy_from_slice(&self.sent.to_le_bytes());
        out[16..].copy_from_slice(&self.received.to_le_bytes());
        out
    }

    /// Reads the entries of an acknowledgement. A trailing partial entry is left out; the decoder refuses a payload
    /// that has one.
    pub fn decode_all(payload: &[u8]) -> impl Iterator<Item = Self> {
        payload.chunks_exact(ACK_ENTRY_BYTES).map(|entry| Self {
            id: u64_at(entry, 0),
            status: AckStatus::from_wire(u16_at(entry, 8)),
            sent: u32_at(entry, 12),
            received: u32_at(entry, 16),
        })
    }
}

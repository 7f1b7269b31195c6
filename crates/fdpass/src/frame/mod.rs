//! The wire format of a channel: encoder and decoder, pure over bytes.
//!
//! `docs/protocol.md` is the specification; this module is its Rust form and knows no socket, no descriptor and no
//! clock. All numbers are little-endian.
//!
//! - [`Preamble`]: who speaks, which version, which limits. Once, first, in each direction.
//! - [`Header`]: the fixed start of every frame.
//! - [`AckEntry`]: what an acknowledgement says about a message that did not arrive whole.
//! - [`Decoder`]: the named-state reader. It checks every length, count and order before the caller spends memory.

mod ack;
mod decoder;
mod error;
mod header;
mod preamble;

pub use ack::{ACK_ENTRY_BYTES, AckEntry, AckStatus, MAX_ACK_ENTRIES};
pub use decoder::{Decoder, Event, Frame, FrameKind};
pub use error::ProtocolError;
pub use header::{
    FLAG_ACK_WANTED, FLAG_MUST_UNDERSTAND, HEADER_BYTES, Header, TOTALS_BYTES, Totals, kind,
};
pub use preamble::{
    CODEC_BYTES, CODEC_JSC, CODEC_JSON, CODEC_V8, CodecName, MAGIC, MAJOR, MINOR, PREAMBLE_BYTES,
    Preamble,
};

/// The longest frame: bytes after the header. A longer message is several frames, so that an acknowledgement never
/// waits behind more than this. Part of the protocol, not an option.
pub const MAX_FRAME_BYTES: u32 = 1 << 20;

/// The most descriptors of one frame: what one `sendmsg` takes on Linux (`SCM_MAX_FD`, `man 7 unix`). XNU takes one
/// more; the protocol has one number for both.
#[doc(alias = "SCM_MAX_FD")]
pub const MAX_FRAME_FDS: u16 = 253;

/// Reads a little-endian `u16` at `at`. The caller has checked the length.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Reads a little-endian `u32` at `at`. The caller has checked the length.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Reads a little-endian `u64` at `at`. The caller has checked the length.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

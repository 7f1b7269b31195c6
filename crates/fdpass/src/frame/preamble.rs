//! The first bytes in each direction.

use std::fmt;

use super::{ProtocolError, u16_at, u32_at};

/// The eight bytes every channel starts with. The first is not text and the last is a line feed, so that neither a
/// text protocol nor a line conversion can produce them by accident.
pub const MAGIC: [u8; 8] = *b"\x89fdpass\n";
/// The major version. Another one is an error: frames would be misread.
pub const MAJOR: u16 = 1;
/// The minor version: what is new in it is optional frames and feature bits, which older readers skip.
pub const MINOR: u16 = 0;
/// The length of a preamble.
pub const PREAMBLE_BYTES: usize = 40;

/// Codec id: payloads are plain bytes.
pub const CODEC_BYTES: u32 = 1;
/// Codec id: payloads are JSON text in UTF-8.
pub const CODEC_JSON: u32 = 2;
/// Codec id: payloads are V8's structured clone format.
pub const CODEC_V8: u32 = 3;
/// Codec id, from the range of private agreements: payloads are `JavaScriptCore`'s structured clone format (Bun).
pub const CODEC_JSC: u32 = 0x4a53_4331;

/// The id of a codec as people call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecName(pub u32);

impl fmt::Display for CodecName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CODEC_BYTES => out.write_str("'bytes'"),
            CODEC_JSON => out.write_str("'json'"),
            CODEC_V8 => out.write_str("'v8'"),
            CODEC_JSC => out.write_str("the 'v8' of Bun"),
            id => write!(out, "{id:#x}"),
        }
    }
}

/// What a side says about itself before its first frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preamble {
    /// The sender's major version.
    pub major: u16,
    /// The sender's minor version.
    pub minor: u16,
    /// Feature bits. Version 1.0 defines none; unknown bits are ignored.
    pub features: u32,
    /// What the payloads are. Both sides must say the same.
    pub codec: u32,
    /// The largest message, in bytes, that the sender accepts.
    pub max_message_bytes: u32,
    /// The most descriptors of one message that the sender accepts.
    pub max_message_fds: u32,
}

impl Preamble {
    /// A preamble of this version.
    #[must_use]
    pub fn new(codec: u32, max_message_bytes: u32, max_message_fds: u32) -> Self {
        Self {
            major: MAJOR,
            minor: MINOR,
            features: 0,
            codec,
            max_message_bytes,
            max_message_fds,
        }
    }

    /// The bytes on the wire; the reserved ones are zero.
    #[must_use]
    pub fn encode(&self) -> [u8; PREAMBLE_BYTES] {
        let mut out = [0; PREAMBLE_BYTES];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&self.major.to_le_bytes());
        out[10..12].copy_from_slice(&self.minor.to_le_bytes());
        out[12..16].copy_from_slice(&self.features.to_le_bytes());
        out[16..20].copy_from_slice(&self.codec.to_le_bytes());
        out[20..24].copy_from_slice(&self.max_message_bytes.to_le_bytes());
        out[24..28].copy_from_slice(&self.max_message_fds.to_le_bytes());
        out
    }

    /// Reads a preamble from the start of `input`, or `None` while it is incomplete.
    ///
    /// A wrong magic or major is found as soon as its first differing byte is there: a peer that speaks something
    /// else, says little and then waits must get an error, not a hang.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::Magic`] and [`ProtocolError::Major`].
    pub fn decode(input: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let known = input.len().min(MAGIC.len());
        if input[..known] != MAGIC[..known] {
            return Err(ProtocolError::Magic);
        }
        if input.len() >= 10 && u16_at(input, 8) != MAJOR {
            return Err(ProtocolError::Major {
                theirs: u16_at(input, 8),
            });
        }
        if input.len() < PREAMBLE_BYTES {
            return Ok(None);
        }
        Ok(Some(Self {
            major: u16_at(input, 8),
            minor: u16_at(input, 10),
            features: u32_at(input, 12),
            codec: u32_at(input, 16),
            max_message_bytes: u32_at(input, 20),
            max_message_fds: u32_at(input, 24),
        }))
    }
}

//! One message as the frames it needs.

use std::ops::Range;

use crate::frame::{
    FLAG_ACK_WANTED, HEADER_BYTES, Header, MAX_FRAME_BYTES, MAX_FRAME_FDS, TOTALS_BYTES, Totals,
    kind,
};

/// The header of a frame, with the totals behind it where its kind has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    bytes: [u8; HEADER_BYTES + TOTALS_BYTES],
    length: usize,
}

impl Head {
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// One frame of a message: which part of its payload and of its descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: u8,
    pub(super) bytes: Range<usize>,
    pub(super) fds: Range<usize>,
    /// The message ends with it.
    pub(super) last: bool,
}

/// A message to be cut into frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    pub(super) id: u64,
    pub(super) ack: bool,
    pub(super) bytes: u32,
    pub(super) fds: u32,
}

impl Split {
    /// It fits one frame.
    #[inline]
    pub(super) fn is_whole(&self) -> bool {
        self.bytes <= MAX_FRAME_BYTES && self.fds <= u32::from(MAX_FRAME_FDS)
    }

    /// The frames.
    #[inline]
    pub(super) fn parts(&self) -> Parts {
        Parts {
            bytes: self.bytes as usize,
            fds: self.fds as usize,
            at_byte: 0,
            at_fd: 0,
            kind: if self.is_whole() {
                kind::DATA
            } else {
                kind::FIRST
            },
            done: false,
        }
    }

    /// The header of one of them.
    #[inline]
    pub(super) fn head(&self, part: &Part) -> Head {
        let mut head = Head {
            bytes: [0; HEADER_BYTES + TOTALS_BYTES],
            length: HEADER_BYTES,
        };
        let mut length = part.bytes.len();
        if part.kind == kind::FIRST {
            let totals = Totals {
                bytes: self.bytes,
                fds: self.fds,
            };
            head.bytes[HEADER_BYTES..].copy_from_slice(&totals.encode());
            head.length += TOTALS_BYTES;
            length += TOTALS_BYTES;
        }
        let header = Header {
            length: u32::try_from(length).unwrap_or(u32::MAX),
            kind: part.kind,
            flags: if self.ack && part.kind != kind::NEXT {
                FLAG_ACK_WANTED
            } else {
                0
            },
            fds: u16::try_from(part.fds.len()).unwrap_or(u16::MAX),
            id: self.id,
        };
        head.bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
        head
    }
}

/// The frames of a message, in order.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    bytes: usize,
    fds: usize,
    at_byte: usize,
    at_fd: usize,
    kind: u8,
    done: bool,
}

impl Iterator for Parts {
    type Item = Part;

    #[inline]
    fn next(&mut self) -> Option<Part> {
        if self.done {
            return None;
        }
        let room = if self.kind == kind::FIRST {
            MAX_FRAME_BYTES as usize - TOTALS_BYTES
        } else {
            MAX_FRAME_BYTES as usize
        };
        let bytes = self.at_byte..self.bytes.min(self.at_byte + room);
        let fds = self.at_fd..self.fds.min(self.at_fd + usize::from(MAX_FRAME_FDS));
        self.at_byte = bytes.end;
        self.at_fd = fds.end;
        self.done = self.at_byte == self.bytes && self.at_fd == self.fds;
        let part = Part {
            kind: self.kind,
            bytes,
            fds,
            last: self.done,
        };
        self.kind = kind::NEXT;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: u32, fds: u32) -> Vec<(u8, usize, usize)> {
        let split = Split {
            id: 1,
            ack: false,
            bytes,
            fds,
        };
        split
            .parts()
            .map(|part| (part.kind, part.bytes.len(), part.fds.len()))
            .collect()
    }

    #[test]
    fn a_message_is_cut_where_the_protocol_says() {
        const MIB: u32 = 1 << 20;
        assert_eq!(cut(0, 0), [(kind::DATA, 0, 0)]);
        assert_eq!(cut(MIB, 253), [(kind::DATA, 1 << 20, 253)]);
        assert_eq!(cut(0, 254), [(kind::FIRST, 0, 253), (kind::NEXT, 0, 1)]);
        assert_eq!(
            cut(MIB + 1, 0),
            [(kind::FIRST, (1 << 20) - 8, 0), (kind::NEXT, 9, 0)]
        );
        assert_eq!(
            cut(10, 1_000),
            [
                (kind::FIRST, 10, 253),
                (kind::NEXT, 0, 253),
                (kind::NEXT, 0, 253),
                (kind::NEXT, 0, 241)
            ]
        );
    }
}

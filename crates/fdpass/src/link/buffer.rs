//! The memory that reads go into.

use crate::limits::LINK_READ_BUFFER_BYTES;

/// Memory for reading, shared by all links of one event loop: a link needs it only while it is being read, so that an
/// idle one costs nothing.
#[derive(Debug)]
pub struct ReadBuffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// Memory for long messages, kept from one to the next.
    pub(super) spare: Vec<u8>,
}

impl ReadBuffer {
    /// A buffer of [`LINK_READ_BUFFER_BYTES`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: vec![0; LINK_READ_BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            spare: Vec::new(),
        }
    }

    /// Takes in what a link had left over.
    pub(super) fn load(&mut self, carry: &mut Vec<u8>) {
        self.start = 0;
        self.end = carry.len();
        self.bytes[..carry.len()].copy_from_slice(carry);
        carry.clear();
    }

    /// Gives back what the link has not used.
    pub(super) fn store(&mut self, carry: &mut Vec<u8>) {
        if self.start == self.end {
            // An idle link keeps no memory.
            *carry = Vec::new();
        } else {
            carry.extend_from_slice(self.unread());
        }
        self.start = 0;
        self.end = 0;
    }

    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Room for the next read: at least half of the buffer, as no more than that stays unread.
    #[inline]
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 && self.end > self.bytes.len() / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.bytes[self.end..]
    }

    #[inline]
    pub(super) fn fill(&mut self, count: usize) {
        self.end += count;
    }
}

impl Default for ReadBuffer {
    fn default() -> Self {
        Self::new()
    }
}

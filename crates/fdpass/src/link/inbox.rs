//! What is known of the incoming stream between two reads.

use std::os::fd::OwnedFd;

use super::batches::Batches;
use super::config::Limits;
use super::senders::Senders;
use super::sink::{Damage, close_range};
use crate::credentials::Credentials;
use crate::descriptor;
use crate::frame::{Decoder, Frame, ProtocolError};

/// What is to be done with the bytes that come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A frame begins.
    Between,
    /// The payload is handled in one piece, straight from the read buffer.
    Whole,
    /// The payload is collected.
    Assemble,
    /// The payload is thrown away: of an unknown kind, or of a message that is too large.
    Discard,
    /// The message is complete and waits for the sink.
    Offer,
}

/// The message under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Incoming {
    pub(super) id: u64,
    pub(super) ack_wanted: bool,
    /// Descriptors that the peer sends with it.
    pub(super) sent_fds: u32,
    /// Descriptors that arrived.
    pub(super) arrived: u32,
    /// The first so many of [`Inbox::fds`] are its: all that arrived, or none if it is damaged.
    pub(super) fds: usize,
    pub(super) damage: Option<Damage>,
    /// Of its first byte.
    pub(super) sender: Option<Credentials>,
}

#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) decoder: Decoder,
    pub(super) stage: Stage,
    /// The frame whose payload comes.
    pub(super) frame: Option<Frame>,
    pub(super) incoming: Incoming,
    pub(super) batches: Batches,
    pub(super) senders: Senders,
    /// Every descriptor that arrived and was not delivered, in order.
    pub(super) fds: Vec<OwnedFd>,
    /// Bytes that were read and not used, between two wake-ups.
    pub(super) carry: Vec<u8>,
    /// The payload of a long message.
    pub(super) assembly: Vec<u8>,
    /// The stream offset of the first unused byte.
    pub(super) offset: u64,
    /// The last read failed with EMSGSIZE: the next one brings the bytes of the descriptors that were lost.
    pub(super) lost: bool,
}

/// Memory of an empty list of descriptors that is kept for the next message.
const KEPT_FDS: usize = 512;

impl Inbox {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            decoder: Decoder::new(limits.max_message_bytes, limits.max_message_fds),
            stage: Stage::Between,
            frame: None,
            incoming: Incoming::default(),
            batches: Batches::default(),
            senders: Senders::default(),
            fds: Vec::new(),
            carry: Vec::new(),
            assembly: Vec::new(),
            offset: 0,
            lost: false,
        }
    }

    pub(super) fn is_untouched(&self) -> bool {
        self.offset == 0 && self.carry.is_empty() && !self.lost
    }

    pub(super) fn has_buffered(&self) -> bool {
        !self.carry.is_empty() || self.stage == Stage::Offer
    }

    /// Half a frame or half a message is there.
    pub(super) fn is_amid(&self) -> bool {
        !self.carry.is_empty() || (self.offset > 0 && !self.decoder.is_at_rest())
    }

    /// Fails when descriptors have come that no frame can take any more. To be asked when the bytes at hand are used.
    pub(super) fn refuse_strays(&self) -> Result<(), ProtocolError> {
        let next = self.offset + self.decoder.needs() as u64;
        if self.stage == Stage::Between {
            self.batches.refuse_passed(self.offset)?;
            self.batches.refuse_unreachable(self.offset, next)
        } else {
            self.batches.refuse_passed(next)
        }
    }

    /// Closes the descriptors of the message under way.
    pub(super) fn close_message_fds(&mut self) {
        let count = std::mem::take(&mut self.incoming.fds);
        close_range(&mut self.fds, 0, count);
    }

    /// The message under way was delivered.
    pub(super) fn finish_message(&mut self) {
        self.close_message_fds();
        self.incoming = Incoming::default();
        self.frame = None;
        self.stage = Stage::Between;
        if self.fds.is_empty() && self.fds.capacity() > KEPT_FDS {
            self.fds = Vec::new();
        }
    }

    /// Closes and forgets everything.
    pub(super) fn clear(&mut self) {
        descriptor::close_all(&mut self.fds);
        self.fds = Vec::new();
        self.batches.clear();
        self.senders.clear();
        self.carry = Vec::new();
        self.assembly = Vec::new();
        self.incoming = Incoming::default();
        self.stage = Stage::Between;
    }
}

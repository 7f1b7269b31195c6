//! What each frame means for the message under way.

use std::mem;

use super::batches::Claim;
use super::buffer::ReadBuffer;
use super::connection::Link;
use super::error::LinkError;
use super::inbox::{Incoming, Stage};
use super::sink::{Damage, close_range};
use super::transport::Transport;
use crate::frame::{Frame, FrameKind, ProtocolError};
use crate::limits::{LINK_BROKEN_LIMITS, LINK_WHOLE_PAYLOAD_BYTES};
use crate::sys;

impl<T: Transport> Link<T> {
    /// A frame begins at stream offset `at`.
    pub(super) fn begin(
        &mut self,
        frame: &Frame,
        at: u64,
        buffer: &mut ReadBuffer,
    ) -> Result<(), LinkError> {
        let claim = if frame.fds > 0 {
            Some(self.inbox.batches.claim(at, frame.fds)?)
        } else {
            // Descriptors that came with this frame and can reach no later one are not announced.
            let next = self.inbox.offset + u64::from(frame.length);
            self.inbox.batches.refuse_passed(next)?;
            None
        };
        self.inbox.frame = Some(*frame);
        match frame.kind {
            FrameKind::Data => self.start_message(frame, at, frame.length, u32::from(frame.fds))?,
            FrameKind::First(totals) => self.start_message(frame, at, totals.bytes, totals.fds)?,
            FrameKind::Cancel => self.cancel_message(),
            FrameKind::Ack if frame.length == 0 => {
                let none = std::iter::empty();
                self.unacknowledged.settle(
                    frame.id,
                    none,
                    self.written_through,
                    &mut self.failures,
                )?;
            }
            FrameKind::Next | FrameKind::Ack | FrameKind::Goodbye => {}
            FrameKind::Unknown(_) => {
                let arrived = claim.map_or(0, |claim| claim.arrived as usize);
                close_range(&mut self.inbox.fds, self.inbox.incoming.fds, arrived);
            }
        }
        if let (Some(claim), false) = (claim, matches!(frame.kind, FrameKind::Unknown(_))) {
            self.take_fds(claim);
        }
        self.enter_payload(frame, buffer);
        Ok(())
    }

    fn start_message(
        &mut self,
        frame: &Frame,
        at: u64,
        bytes: u32,
        fds: u32,
    ) -> Result<(), LinkError> {
        let limits = self.config.limits;
        let damage = if bytes > limits.max_message_bytes {
            Some(Damage::TooLarge {
                sent: bytes,
                limit: limits.max_message_bytes,
            })
        } else if fds > limits.max_message_fds {
            Some(Damage::TooManyFds {
                sent: fds,
                limit: limits.max_message_fds,
            })
        } else {
            None
        };
        if damage.is_some() {
            self.count_broken_limit()?;
        }
        self.inbox.incoming = Incoming {
            id: frame.id,
            ack_wanted: frame.ack_wanted,
            sent_fds: fds,
            arrived: 0,
            fds: 0,
            damage,
            sender: self.inbox.senders.of(at),
        };
        Ok(())
    }

    /// The peer may not have known our limits. Once it was told, only what was under way then is excused.
    fn count_broken_limit(&mut self) -> Result<(), ProtocolError> {
        if self.preamble_queued && !self.has_urgent() {
            self.broken_limits += 1;
        } else {
            self.queue_preamble();
        }
        if self.broken_limits > LINK_BROKEN_LIMITS {
            return Err(ProtocolError::LimitIgnored);
        }
        Ok(())
    }

    /// The descriptors of a frame: kept if all came and all are welcome, else closed with those before them.
    fn take_fds(&mut self, claim: Claim) {
        let inbox = &mut self.inbox;
        let incoming = &mut inbox.incoming;
        let arrived = claim.arrived as usize;
        let new = incoming.fds..incoming.fds + arrived;
        incoming.arrived += claim.arrived;
        incoming.fds = new.end;
        if incoming.damage.is_none() && !claim.whole {
            incoming.damage = Some(Damage::Truncated {
                sent: incoming.sent_fds,
                received: 0,
            });
        } else if incoming.damage.is_none()
            && let Some(accept) = &self.config.accept
        {
            let fds = sys::borrow_all(&inbox.fds[new]);
            let refused = fds.iter().filter(|fd| !accept(**fd)).count();
            if refused > 0 {
                incoming.damage = Some(Damage::Refused {
                    sent: incoming.sent_fds,
                    received: incoming.arrived - u32::try_from(refused).unwrap_or(0),
                });
            }
        }
        if incoming.damage.is_some() {
            inbox.close_message_fds();
        }
    }

    fn cancel_message(&mut self) {
        let incoming = &mut self.inbox.incoming;
        incoming.damage.get_or_insert(Damage::Withdrawn {
            sent: incoming.sent_fds,
            received: 0,
        });
        self.inbox.close_message_fds();
    }

    /// Decides what becomes of the frame's payload.
    fn enter_payload(&mut self, frame: &Frame, buffer: &mut ReadBuffer) {
        let too_large = matches!(self.inbox.incoming.damage, Some(Damage::TooLarge { .. }));
        let length = frame.length as usize;
        self.inbox.stage = match frame.kind {
            FrameKind::Data if too_large => Stage::Discard,
            FrameKind::Data if length <= LINK_WHOLE_PAYLOAD_BYTES => Stage::Whole,
            FrameKind::Data | FrameKind::First(_) => {
                self.inbox.assembly = mem::take(&mut buffer.spare);
                self.inbox.assembly.clear();
                Stage::Assemble
            }
            FrameKind::Next => Stage::Assemble,
            FrameKind::Ack if length > 0 => Stage::Whole,
            FrameKind::Unknown(_) => Stage::Discard,
            FrameKind::Ack | FrameKind::Cancel | FrameKind::Goodbye => Stage::Between,
        };
        if length == 0 && self.inbox.stage != Stage::Whole {
            self.end_frame();
        }
    }
}

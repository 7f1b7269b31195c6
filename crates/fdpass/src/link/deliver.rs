//! From bytes to messages, and the way to the sink.

use std::mem;

use super::buffer::ReadBuffer;
use super::connection::{Link, State};
use super::error::{LinkError, SendFailure};
use super::inbox::{Incoming, Stage};
use super::receive::Pass;
use super::sink::{Damage, FdBatch, MessageMeta, Sink, SinkStatus, Stop};
use super::transport::Transport;
use crate::frame::{AckEntry, Event, FrameKind, Preamble};

/// Memory for long messages that is kept from one to the next.
const KEPT_ASSEMBLY: usize = 4 << 20;

impl<T: Transport> Link<T> {
    /// Uses the buffered bytes as far as they go. `None`: more are needed.
    pub(super) fn parse<S: Sink + ?Sized>(
        &mut self,
        pass: &mut Pass<'_, S>,
    ) -> Result<Option<Stop>, LinkError> {
        loop {
            let progress = match self.inbox.stage {
                Stage::Between => self.parse_header(pass.buffer)?,
                Stage::Assemble | Stage::Discard => self.parse_payload(pass.buffer)?,
                Stage::Whole => {
                    let needed = self.inbox.decoder.needs();
                    if self.is_acknowledgement() {
                        self.parse_acknowledgement(pass.buffer, needed)?
                    } else if pass.buffer.unread().len() < self.whole_length() {
                        false
                    } else if let Some(stop) = self.offer(pass)? {
                        return Ok(Some(stop));
                    } else {
                        true
                    }
                }
                Stage::Offer => match self.offer(pass)? {
                    Some(stop) => return Ok(Some(stop)),
                    None => true,
                },
            };
            if !progress {
                self.inbox.refuse_strays()?;
                return Ok(None);
            }
        }
    }

    fn parse_header(&mut self, buffer: &mut ReadBuffer) -> Result<bool, LinkError> {
        let begin = self.inbox.offset;
        let Some((taken, event)) = self.inbox.decoder.decode(buffer.unread())? else {
            return Ok(false);
        };
        match event {
            Event::Begin(frame) => {
                self.consume(buffer, taken);
                self.begin(&frame, begin, buffer)?;
            }
            Event::Preamble(preamble) => {
                self.consume(buffer, taken);
                self.meet(preamble)?;
            }
            Event::Payload { .. } => self.consume(buffer, taken),
        }
        Ok(true)
    }

    fn parse_payload(&mut self, buffer: &mut ReadBuffer) -> Result<bool, LinkError> {
        let Some((taken, event)) = self.inbox.decoder.decode(buffer.unread())? else {
            return Ok(false);
        };
        if let Event::Payload { bytes, last } = event {
            if self.inbox.stage == Stage::Assemble {
                self.inbox.assembly.extend_from_slice(bytes);
            }
            self.consume(buffer, taken);
            if last {
                self.end_frame();
            }
        }
        Ok(true)
    }

    fn parse_acknowledgement(
        &mut self,
        buffer: &mut ReadBuffer,
        length: usize,
    ) -> Result<bool, LinkError> {
        let Some(payload) = buffer.unread().get(..length) else {
            return Ok(false);
        };
        self.inbox.decoder.decode(payload)?;
        let id = self.inbox.frame.map_or(0, |frame| frame.id);
        self.unacknowledged.settle(
            id,
            AckEntry::decode_all(payload),
            self.written_through,
            &mut self.failures,
        )?;
        self.consume(buffer, length);
        self.end_frame();
        Ok(true)
    }

    /// The peer has said who it is. We say the same, and hold what waits against its limits.
    fn meet(&mut self, preamble: Preamble) -> Result<(), LinkError> {
        if preamble.codec != self.config.codec {
            return Err(LinkError::Codec {
                theirs: preamble.codec,
                ours: self.config.codec,
            });
        }
        self.peer = Some(preamble);
        if self.state == State::Open {
            self.queue_preamble();
        }
        let too_much: Vec<_> = self
            .out
            .unbegun()
            .filter_map(|frame| {
                let error = if frame.message_bytes > preamble.max_message_bytes {
                    LinkError::MessageTooLarge {
                        bytes: frame.message_bytes as usize,
                        limit: preamble.max_message_bytes,
                    }
                } else if frame.message_fds > preamble.max_message_fds {
                    LinkError::TooManyFds {
                        fds: frame.message_fds as usize,
                        limit: preamble.max_message_fds,
                    }
                } else {
                    return None;
                };
                Some(SendFailure {
                    id: frame.id,
                    error,
                })
            })
            .collect();
        for failure in too_much {
            self.abort(failure.id);
            self.failures.push_back(failure);
        }
        Ok(())
    }

    /// The payload of the frame is used up.
    pub(super) fn end_frame(&mut self) {
        let complete = self.inbox.frame.is_some_and(|frame| frame.completes);
        self.inbox.stage = if complete {
            Stage::Offer
        } else {
            Stage::Between
        };
    }

    fn is_acknowledgement(&self) -> bool {
        matches!(self.inbox.frame, Some(frame) if frame.kind == FrameKind::Ack)
    }

    /// The length of the payload that is handled in one piece; 0 when it is assembled.
    fn whole_length(&self) -> usize {
        match self.inbox.frame {
            Some(frame) if self.inbox.stage == Stage::Whole => frame.length as usize,
            _ => 0,
        }
    }

    /// Hands the complete message to the sink. `Some`: stop now.
    fn offer<S: Sink + ?Sized>(
        &mut self,
        pass: &mut Pass<'_, S>,
    ) -> Result<Option<Stop>, LinkError> {
        let incoming = self.inbox.incoming;
        let length = self.whole_length();
        let mut stop = None;
        if self.state == State::Open {
            let (tally, budget) = (&mut pass.tally, pass.budget);
            if tally.messages >= budget.messages.max(1)
                || (tally.fds > 0 && tally.fds + incoming.fds > budget.fds)
            {
                return Ok(Some(Stop::Budget));
            }
            let meta = incoming.meta();
            let payload = if self.inbox.stage == Stage::Whole {
                &pass.buffer.unread()[..length]
            } else {
                &self.inbox.assembly
            };
            let mut fds = FdBatch::new(&mut self.inbox.fds, incoming.fds);
            match pass.sink.message(&meta, payload, &mut fds) {
                SinkStatus::Decline => return Ok(Some(Stop::Paused)),
                SinkStatus::Pause => stop = Some(Stop::Paused),
                SinkStatus::Continue => {}
            }
            fds.close();
            self.inbox.incoming.fds = 0;
            tally.messages += 1;
            tally.fds += incoming.fds;
            // Who cannot be told any more must not make us wait until they are.
            if incoming.ack_wanted && self.can_write() {
                let entry = meta.damage.map(|damage| damage.to_entry(incoming.id));
                self.owed.note(incoming.id, entry);
            }
        }
        if length > 0 {
            self.inbox.decoder.decode(&pass.buffer.unread()[..length])?;
            self.consume(pass.buffer, length);
        }
        self.recycle_assembly(pass.buffer);
        self.inbox.finish_message();
        Ok(stop)
    }

    fn recycle_assembly(&mut self, buffer: &mut ReadBuffer) {
        let assembly = mem::take(&mut self.inbox.assembly);
        if assembly.capacity() > buffer.spare.capacity() && assembly.capacity() <= KEPT_ASSEMBLY {
            buffer.spare = assembly;
        }
    }

    #[inline]
    fn consume(&mut self, buffer: &mut ReadBuffer, count: usize) {
        self.inbox.offset += count as u64;
        buffer.consume(count);
    }
}

impl Incoming {
    fn meta(&self) -> MessageMeta {
        let damage = self.damage.map(|damage| match damage {
            // Counted to the end of the message.
            Damage::Truncated { sent, .. } => Damage::Truncated {
                sent,
                received: self.arrived,
            },
            Damage::Withdrawn { sent, .. } => Damage::Withdrawn {
                sent,
                received: self.arrived,
            },
            other => other,
        });
        MessageMeta {
            id: self.id,
            fds: self.sent_fds as usize,
            damage,
            sender: self.sender,
        }
    }
}

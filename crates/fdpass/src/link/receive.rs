//! One wake-up: reading, and handing over what is complete.

use std::io;
use std::time::Instant;

use super::buffer::ReadBuffer;
use super::connection::{Goodbye, Link};
use super::error::LinkError;
use super::inbox::Stage;
use super::sink::{Budget, Received, Sink, Stop};
use super::transport::{Chunk, Transport};
use crate::error::Syscall;
use crate::frame::MAX_FRAME_FDS;
use crate::limits::LINK_ASSEMBLY_STEP;

/// The most reads of one call.
const MAX_READS: usize = 4;

/// The room for each of them. Longer messages are read one by one.
const PIECE_BYTES: usize = 2 << 10;

/// What one wake-up works with.
pub(super) struct Pass<'pass, S: ?Sized> {
    pub(super) buffer: &'pass mut ReadBuffer,
    pub(super) sink: &'pass mut S,
    pub(super) budget: &'pass Budget,
    pub(super) tally: Received,
}

/// What one read came to.
enum Read {
    /// Bytes came.
    Some {
        /// No more are there now.
        dry: bool,
        /// It was a short message with descriptors; likely more of them follow.
        burst: bool,
    },
    Blocked,
    End,
}

impl<T: Transport> Link<T> {
    /// Reads what is there and hands complete messages to `sink`, in order, until the socket is drained (or, where messages
    /// come one by one, likely is), `budget` is used up, or the sink stops. `buffer` is lent for the call; one serves all links of an event loop. Acknowledgements
    /// are written before this returns, as far as the socket takes them.
    ///
    /// # Errors
    /// What ends the link, after everything before it was handed over: [`LinkError::Protocol`], [`LinkError::Codec`],
    /// [`LinkError::PeerGone`], ECONNRESET (the peer closed with our bytes unread). It is returned again by later calls.
    pub fn receive_into<S: Sink + ?Sized>(
        &mut self,
        buffer: &mut ReadBuffer,
        sink: &mut S,
        budget: &Budget,
        now: Instant,
    ) -> Result<Received, LinkError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        buffer.load(&mut self.inbox.carry);
        let mut pass = Pass {
            buffer,
            sink,
            budget,
            tally: Received {
                messages: 0,
                bytes: 0,
                fds: 0,
                stopped: Stop::Drained,
            },
        };
        let result = self.receive_until_stop(&mut pass);
        let tally = pass.tally;
        buffer.store(&mut self.inbox.carry);
        match result {
            Ok(stopped) => {
                let received = Received { stopped, ..tally };
                self.after_wake_up(&received, now);
                Ok(received)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    fn receive_until_stop<S: Sink + ?Sized>(
        &mut self,
        pass: &mut Pass<'_, S>,
    ) -> Result<Stop, LinkError> {
        let (mut dry, mut burst) = (false, false);
        let mut reads = 0u32;
        loop {
            if let Some(stop) = self.parse(pass)? {
                return Ok(stop);
            }
            if self.read_ended {
                return Ok(Stop::End);
            }
            if dry || self.owed.is_full() {
                return Ok(Stop::Drained);
            }
            let (tally, budget) = (&pass.tally, pass.budget);
            // The next read may bring as many descriptors as a frame has.
            let full = tally.fds > 0 && tally.fds + usize::from(MAX_FRAME_FDS) > budget.fds;
            if tally.bytes >= budget.bytes || tally.messages >= budget.messages || full {
                return Ok(Stop::Budget);
            }
            let second = reads == 1 && burst && self.holds_nothing(pass);
            if second && self.habit.expects_nothing_more() {
                return Ok(Stop::Drained);
            }
            let read = match self.reads_at_once(pass, burst) {
                0 | 1 => self.read(pass)?,
                several => self.read_several(pass, several)?,
            };
            reads += 1;
            if second {
                self.habit.note(matches!(read, Read::Blocked));
            }
            match read {
                Read::Some { dry: d, burst: b } => (dry, burst) = (d, b),
                Read::Blocked => return Ok(Stop::Drained),
                Read::End => return self.end_reading(),
            }
        }
    }

    /// Everything that was read is handed over.
    fn holds_nothing<S: ?Sized>(&self, pass: &Pass<'_, S>) -> bool {
        pass.buffer.unread().is_empty() && !self.inbox.is_amid()
    }

    /// Reads once: into the buffer, or, when only the payload of a long message can come, straight to where it goes.
    fn read<S: ?Sized>(&mut self, pass: &mut Pass<'_, S>) -> Result<Read, LinkError> {
        let straight = self.inbox.stage == Stage::Assemble && pass.buffer.unread().is_empty();
        loop {
            let start = self.inbox.offset + pass.buffer.unread().len() as u64;
            let before = self.inbox.fds.len();
            let (room, result) = if straight {
                self.read_straight()
            } else {
                let room = pass.buffer.room();
                let length = room.len();
                (length, self.transport.receive(room, &mut self.inbox.fds))
            };
            let chunk = match result {
                Ok(chunk) if chunk.bytes == 0 && chunk.truncated => {
                    self.inbox.lost = true;
                    return Ok(Read::Blocked);
                }
                Ok(chunk) if chunk.bytes == 0 => return Ok(Read::End),
                Ok(chunk) => chunk,
                Err(error) => match self.judge_read_error(&error)? {
                    Some(read) => return Ok(read),
                    None => continue,
                },
            };
            let got = self.inbox.fds.len() - before;
            self.note_batch(start, chunk, got);
            pass.tally.bytes += chunk.bytes;
            if straight {
                self.use_straight(chunk.bytes)?;
            } else {
                pass.buffer.fill(chunk.bytes);
            }
            let plain = got == 0 && chunk.refused == 0 && !chunk.truncated;
            return Ok(Read::Some {
                dry: plain && chunk.bytes < room,
                burst: got > 0 && chunk.bytes < PIECE_BYTES,
            });
        }
    }

    /// How often to read by one call. A read stops behind descriptors, so that short messages with descriptors come one
    /// a read; but as many as the budget has room for may come whether there is room or not.
    fn reads_at_once<S: ?Sized>(&self, pass: &Pass<'_, S>, burst: bool) -> usize {
        if !burst || self.inbox.stage == Stage::Assemble || self.inbox.lost {
            return 1;
        }
        let (tally, budget) = (&pass.tally, pass.budget);
        let fds = budget.fds.saturating_sub(tally.fds) / usize::from(MAX_FRAME_FDS);
        let bytes = budget.bytes.saturating_sub(tally.bytes) / PIECE_BYTES;
        let messages = budget.messages.saturating_sub(tally.messages);
        fds.min(bytes).min(messages).min(MAX_READS)
    }

    /// Reads several times by one call, and puts the pieces together.
    fn read_several<S: ?Sized>(
        &mut self,
        pass: &mut Pass<'_, S>,
        reads: usize,
    ) -> Result<Read, LinkError> {
        let mut start = self.inbox.offset + pass.buffer.unread().len() as u64;
        let room = pass.buffer.room();
        let mut chunks = [Chunk::default(); MAX_READS];
        let asked = &mut chunks[..reads.min(room.len() / PIECE_BYTES)];
        let fds = &mut self.inbox.fds;
        let read = match self
            .transport
            .receive_several(room, PIECE_BYTES, fds, asked)
        {
            Ok(read) => read,
            Err(error) => {
                let read = self.judge_read_error(&error)?;
                return Ok(read.unwrap_or(Read::Some {
                    dry: false,
                    burst: false,
                }));
            }
        };
        if chunks[0].bytes == 0 {
            // Not for certain the end: the plain read knows.
            return Ok(Read::Some {
                dry: false,
                burst: false,
            });
        }
        let (mut bytes, mut burst) = (0, true);
        for (at, chunk) in chunks[..read].iter().enumerate() {
            let from = at * PIECE_BYTES;
            room.copy_within(from..from + chunk.bytes, bytes);
            self.note_batch(start, *chunk, chunk.fds);
            bytes += chunk.bytes;
            start += chunk.bytes as u64;
            burst &= chunk.fds > 0 && chunk.bytes < PIECE_BYTES;
        }
        pass.buffer.fill(bytes);
        pass.tally.bytes += bytes;
        Ok(Read::Some { dry: false, burst })
    }

    /// `None`: read again.
    fn judge_read_error(&mut self, error: &io::Error) -> Result<Option<Read>, LinkError> {
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::Interrupted, _) => Ok(None),
            (io::ErrorKind::WouldBlock, _) => Ok(Some(Read::Blocked)),
            // The descriptors are gone, their bytes are still there (XNU at its limit).
            (_, Some(libc::EMSGSIZE)) if !self.inbox.lost => {
                self.inbox.lost = true;
                Ok(None)
            }
            (_, Some(libc::EMSGSIZE)) => Ok(Some(Read::Blocked)),
            // The peer had said all it wanted to; that it did not read all of ours is no news.
            (_, Some(libc::ECONNRESET)) if self.inbox.decoder.said_goodbye() => Ok(Some(Read::End)),
            _ => Err(LinkError::system(Syscall::Recvmsg, error)),
        }
    }

    /// Reads payload to the end of what is assembled. Memory grows with what arrives, not with what was announced.
    fn read_straight(&mut self) -> (usize, io::Result<Chunk>) {
        let inbox = &mut self.inbox;
        let have = inbox.assembly.len();
        let room = inbox.decoder.needs().min(LINK_ASSEMBLY_STEP);
        inbox.assembly.resize(have + room, 0);
        let result = self
            .transport
            .receive(&mut inbox.assembly[have..], &mut inbox.fds);
        let bytes = result.as_ref().map_or(0, |chunk| chunk.bytes);
        inbox.assembly.truncate(have + bytes);
        (room, result)
    }

    /// Tells the decoder of `count` payload bytes that are where they belong already.
    fn use_straight(&mut self, count: usize) -> Result<(), LinkError> {
        let inbox = &mut self.inbox;
        let at = inbox.assembly.len() - count;
        inbox.decoder.decode(&inbox.assembly[at..])?;
        inbox.offset += count as u64;
        if inbox.decoder.is_between_frames() {
            self.end_frame();
        }
        Ok(())
    }

    fn note_batch(&mut self, start: u64, chunk: Chunk, got: usize) {
        let end = start + chunk.bytes as u64;
        let used = self.inbox.offset;
        self.inbox.senders.note(start, end, chunk.credentials, used);
        let batches = &mut self.inbox.batches;
        if std::mem::take(&mut self.inbox.lost) {
            batches.push(start, end, 0, 0, true);
        }
        if got > 0 || chunk.refused > 0 || chunk.truncated {
            batches.push(start, end, got, chunk.refused, chunk.truncated);
        }
    }

    /// The end of the stream is no loss: the peer has said goodbye, or we have and only wait for it to leave.
    fn may_end(&self) -> bool {
        self.inbox.decoder.said_goodbye() || self.goodbye == Goodbye::Said
    }

    fn end_reading(&mut self) -> Result<Stop, LinkError> {
        if !self.may_end() {
            return Err(LinkError::PeerGone);
        }
        self.read_ended = true;
        // Nobody will acknowledge anything any more.
        self.unacknowledged.clear();
        self.settle_close();
        Ok(Stop::End)
    }

    /// Answers the peer, and keeps watch over what it left half said.
    fn after_wake_up(&mut self, received: &Received, now: Instant) {
        self.resumable = matches!(received.stopped, Stop::Budget | Stop::Paused);
        if received.stopped != Stop::Drained || !self.inbox.is_amid() {
            self.stalled_since = None;
        } else if received.bytes > 0 || self.stalled_since.is_none() {
            self.stalled_since = Some(now);
        }
        if self.can_write() && self.pressure.is_none() && (self.has_urgent() || self.owed.is_due())
        {
            // A broken write side is remembered; how the stream ends is for the next read to say.
            let _: Result<_, LinkError> = self.flush(now);
        }
    }
}

//! What waits to be written: one buffer of encoded frames and one list of descriptors.
//!
//! A queued message costs no allocation of its own, and a run of frames without descriptors leaves in one call.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::config::Marks;
use super::error::QueueLimit;
use super::split::{Part, Split};
use crate::frame::kind;
use crate::sys;

/// What is queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes, headers included.
    pub bytes: usize,
    /// Messages.
    pub messages: usize,
    /// Descriptors, those held until acknowledged included.
    pub fds: usize,
}

impl Load {
    pub(super) fn is_above(self, marks: Marks) -> bool {
        self.exceeded(marks).is_some()
    }

    /// The first of the marks that it is above.
    #[inline]
    pub(super) fn exceeded(self, marks: Marks) -> Option<QueueLimit> {
        if self.bytes > marks.bytes {
            return Some(QueueLimit::Bytes(marks.bytes));
        }
        if self.messages > marks.messages {
            return Some(QueueLimit::Messages(marks.messages));
        }
        (self.fds > marks.fds).then_some(QueueLimit::Descriptors(marks.fds))
    }
}

/// One queued frame.
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts, each named where it is asked"
)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) id: u64,
    /// Bytes not yet written, header included.
    pub(super) left: usize,
    /// Descriptors not yet written: all or, from the first byte on, none.
    pub(super) fds: usize,
    /// Some of it was written.
    pub(super) begun: bool,
    /// The message begins with it.
    pub(super) first: bool,
    /// The message ends with it.
    pub(super) last: bool,
    /// Of the whole message, to be held against the peer's limits.
    pub(super) message_bytes: u32,
    pub(super) message_fds: u32,
    /// It may not leave before the peer's limits are known.
    pub(super) needs_peer: bool,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// What of `bytes` was written.
    head: usize,
    frames: VecDeque<Frame>,
    pub(super) fds: VecDeque<OwnedFd>,
    messages: usize,
}

/// Memory of an empty outbox that is kept for the next burst.
const KEPT_BYTES: usize = 2 << 10;

impl Frame {
    /// Without payload and descriptors: it belongs to no message, or ends one.
    fn bare(id: u64, length: usize) -> Self {
        Self {
            id,
            left: length,
            fds: 0,
            begun: false,
            first: false,
            last: true,
            message_bytes: 0,
            message_fds: 0,
            needs_peer: false,
        }
    }
}

impl Outbox {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn front(&self) -> Option<&Frame> {
        self.frames.front()
    }

    pub(super) fn load(&self) -> Load {
        Load {
            bytes: self.bytes.len() - self.head,
            messages: self.messages,
            fds: self.fds.len(),
        }
    }

    /// Queues a frame of which `written` bytes have left already; its descriptors have left too if there are any such
    /// bytes, and are in `fds` already if not.
    pub(super) fn push(&mut self, split: &Split, part: &Part, payload: &[u8], written: usize) {
        let head = split.head(part);
        let before = self.bytes.len();
        let header = head.bytes();
        self.bytes
            .extend_from_slice(&header[written.min(header.len())..]);
        let skip = written.saturating_sub(header.len());
        self.bytes
            .extend_from_slice(&payload[part.bytes.clone()][skip..]);
        self.frames.push_back(Frame {
            id: split.id,
            left: self.bytes.len() - before,
            fds: if written > 0 { 0 } else { part.fds.len() },
            begun: written > 0,
            first: part.kind != kind::NEXT,
            last: part.last,
            message_bytes: split.bytes,
            message_fds: split.fds,
            needs_peer: part.kind == kind::FIRST,
        });
        self.messages += usize::from(part.last);
    }

    /// Queues a frame without payload that belongs to no message, or ends one.
    pub(super) fn push_bare(&mut self, id: u64, header: &[u8]) {
        self.bytes.extend_from_slice(header);
        self.frames.push_back(Frame::bare(id, header.len()));
        self.messages += 1;
    }

    /// The oldest frame that carries descriptors, ready for one call.
    pub(super) fn front_with_fds(&mut self) -> (&[u8], &[BorrowedFd<'_>]) {
        let (left, count) = self.front().map_or((0, 0), |frame| (frame.left, frame.fds));
        if self.fds.as_slices().0.len() < count {
            self.fds.make_contiguous();
        }
        let fds = &self.fds.as_slices().0[..count];
        (
            &self.bytes[self.head..self.head + left],
            sys::borrow_all(fds),
        )
    }

    /// The run of oldest frames without descriptors that may leave together, at most about `most` bytes.
    pub(super) fn front_run(&self, peer_known: bool, most: usize) -> &[u8] {
        let mut length = 0;
        for frame in &self.frames {
            let waits = frame.needs_peer && !frame.begun && !peer_known;
            if frame.fds > 0 || waits || length >= most {
                break;
            }
            length += frame.left;
        }
        &self.bytes[self.head..self.head + length]
    }

    /// `count` bytes were written. Returns the id of the last message that is complete now.
    pub(super) fn advance(&mut self, mut count: usize) -> Option<u64> {
        self.head += count;
        let mut complete = None;
        while let Some(frame) = self.frames.front_mut() {
            if count < frame.left {
                frame.left -= count;
                frame.begun |= count > 0;
                break;
            }
            count -= frame.left;
            if frame.last {
                complete = Some(frame.id);
                self.messages -= 1;
            }
            self.frames.pop_front();
            if count == 0 {
                break;
            }
        }
        self.reclaim();
        complete
    }

    /// The descriptors of the oldest frame were written: moves them to `spent`.
    pub(super) fn spend_fds(&mut self, spent: &mut Vec<OwnedFd>) {
        if let Some(frame) = self.frames.front_mut() {
            spent.extend(self.fds.drain(..frame.fds));
            frame.fds = 0;
        }
    }

    /// Takes message `id` out, if none of it was written. Its descriptors go to `spent`.
    pub(super) fn remove(&mut self, id: u64, spent: &mut Vec<OwnedFd>) -> bool {
        let Ok(first) = self.find_first(id) else {
            return false;
        };
        if self.frames[first].begun || !self.frames[first].first {
            return false;
        }
        let count = self
            .frames
            .range(first..)
            .take_while(|frame| frame.id == id)
            .count();
        self.cut(first, count, spent);
        true
    }

    /// Takes out what is left of the oldest message, its begun frames excepted.
    pub(super) fn remove_rest_of_front(&mut self, spent: &mut Vec<OwnedFd>) {
        let Some(id) = self.front().map(|frame| frame.id) else {
            return;
        };
        let count = self
            .frames
            .iter()
            .take_while(|frame| frame.id == id)
            .count();
        self.cut(0, count, spent);
    }

    /// Puts a frame without payload first.
    pub(super) fn push_front_bare(&mut self, id: u64, header: &[u8]) {
        let at = self.head;
        self.bytes.splice(at..at, header.iter().copied());
        self.frames.push_front(Frame::bare(id, header.len()));
        self.messages += 1;
    }

    /// The messages of which nothing was written.
    pub(super) fn unbegun(&self) -> impl Iterator<Item = &Frame> {
        self.frames
            .iter()
            .filter(|frame| frame.first && !frame.begun)
    }

    /// Drops everything. The descriptors go to `spent`.
    pub(super) fn clear(&mut self, spent: &mut Vec<OwnedFd>) {
        spent.extend(self.fds.drain(..));
        *self = Self::default();
    }

    fn find_first(&self, id: u64) -> Result<usize, usize> {
        let at = self.frames.partition_point(|frame| frame.id < id);
        match self.frames.get(at) {
            Some(frame) if frame.id == id => Ok(at),
            _ => Err(at),
        }
    }

    fn cut(&mut self, first: usize, count: usize, spent: &mut Vec<OwnedFd>) {
        let sum = |frames: &VecDeque<Frame>, range: std::ops::Range<usize>| {
            frames.range(range).fold((0, 0), |(bytes, fds), frame| {
                (bytes + frame.left, fds + frame.fds)
            })
        };
        let (bytes_before, fds_before) = sum(&self.frames, 0..first);
        let (bytes, fds) = sum(&self.frames, first..first + count);
        let at = self.head + bytes_before;
        self.bytes.drain(at..at + bytes);
        spent.extend(self.fds.drain(fds_before..fds_before + fds));
        let ended = self
            .frames
            .range(first..first + count)
            .filter(|frame| frame.last)
            .count();
        self.messages -= ended;
        self.frames.drain(first..first + count);
        self.reclaim();
    }

    /// Gives back memory: all of it when nothing is queued, the written part when that is most of it.
    fn reclaim(&mut self) {
        if self.frames.is_empty() {
            self.bytes.clear();
            self.head = 0;
            self.bytes.shrink_to(KEPT_BYTES);
            self.frames.shrink_to(KEPT_BYTES / size_of::<Frame>());
            self.fds.shrink_to(KEPT_BYTES / size_of::<OwnedFd>());
        } else if self.head > self.bytes.len() / 2 {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }
}

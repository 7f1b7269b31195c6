//! Sending: straight to the kernel when nothing waits, into the queue otherwise.

use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use super::acks::duplicate_sockets;
use super::connection::{Link, State};
use super::error::{LinkError, QueueLimit};
use super::flush::{Refusal, cancel};
use super::split::{Part, Parts, Split};
use super::transport::Transport;
use crate::descriptor;
use crate::error::{Error, Syscall};
use crate::frame::kind;
use crate::sys;

/// Frames up to this size are joined before they are sent.
const JOINED_BYTES: usize = 256;

/// How a message is to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// The peer is to say when it has the message: see [`Link::acknowledged_through`].
    pub ack: bool,
}

/// A message that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its number; they rise.
    pub id: u64,
    /// The kernel has all of it. Otherwise [`Link::written_through`] tells when it has.
    pub written: bool,
}

/// Where direct writing stopped: the frame, how much of it was written, and the frames behind it.
struct Halt {
    part: Part,
    written: usize,
    rest: Parts,
}

impl Halt {
    /// The first descriptor that the kernel does not have.
    fn first_fd(&self) -> usize {
        if self.written > 0 {
            self.part.fds.end
        } else {
            self.part.fds.start
        }
    }

    /// Nothing of the message was written.
    fn is_at_start(&self) -> bool {
        self.written == 0 && self.part.bytes.start == 0 && self.part.fds.start == 0
    }
}

impl<T: Transport> Link<T> {
    /// Sends a message and **lends** it `fds`: the caller still owns them and may close them as soon as this returns.
    ///
    /// If nothing waits, bytes and descriptors go to the kernel straight from the caller's memory; only what it does
    /// not take is copied and duplicated.
    ///
    /// # Errors
    /// Nothing was sent and nothing is queued:
    /// - [`LinkError::Closed`], or the error that ended the link or its write side (EPIPE, ECONNRESET).
    /// - [`LinkError::QueueFull`]: wait until [`Link::is_above_high_water`] is false.
    /// - [`LinkError::MessageTooLarge`], [`LinkError::TooManyFds`]: more than the peer accepts.
    /// - EMFILE: no number is free for the duplicates that the queue needs. EBADF, EINVAL, EPERM: a descriptor that
    ///   cannot be passed.
    ///
    /// The exception is [`LinkError::Withdrawn`]: a message of several frames had begun when EMFILE stopped it; the
    /// peer gets a damaged message.
    pub fn try_send(
        &mut self,
        payload: &[u8],
        fds: &[BorrowedFd<'_>],
        options: SendOptions,
        now: Instant,
    ) -> Result<Sent, LinkError> {
        let (split, held) = self.admit(payload, fds, options)?;
        let halt = self.write_directly(&split, payload, fds, now)?;
        if let Some(halt) = &halt {
            let queued = self.out.fds.len();
            for fd in &fds[halt.first_fd()..] {
                match descriptor::duplicate(*fd) {
                    Ok(copy) => self.out.fds.push_back(copy),
                    Err(error) => {
                        self.out.fds.truncate(queued);
                        return Err(self.withdraw(&split, halt, &error, payload));
                    }
                }
            }
        }
        Ok(self.accept(&split, options, held, halt, payload, now))
    }

    /// Sends a message and **moves** `fds` into it. On success the list is empty: written descriptors are closed here,
    /// queued ones belong to the queue.
    ///
    /// # Errors
    /// As [`Link::try_send`], EMFILE excepted; `fds` is as it was.
    pub fn try_send_owned(
        &mut self,
        payload: &[u8],
        fds: &mut Vec<OwnedFd>,
        options: SendOptions,
        now: Instant,
    ) -> Result<Sent, LinkError> {
        let (split, held) = self.admit(payload, sys::borrow_all(fds), options)?;
        let halt = self.write_directly(&split, payload, sys::borrow_all(fds), now)?;
        if let Some(halt) = &halt {
            self.out.fds.extend(fds.drain(halt.first_fd()..));
        }
        descriptor::close_all(fds);
        Ok(self.accept(&split, options, held, halt, payload, now))
    }

    /// Takes message `id` back, if none of it has been written. Its descriptors are closed.
    pub fn abort(&mut self, id: u64) -> bool {
        let removed = self.out.remove(id, &mut self.spent);
        if removed {
            descriptor::close_all(&mut self.spent);
            self.unacknowledged.remove(id);
        }
        removed
    }

    /// Everything that can refuse a message before a byte of it is written.
    #[inline]
    fn admit(
        &mut self,
        payload: &[u8],
        fds: &[BorrowedFd<'_>],
        options: SendOptions,
    ) -> Result<(Split, Vec<OwnedFd>), LinkError> {
        if let Some(error) = self.failure.as_ref().or(self.write_error.as_ref()) {
            return Err(error.clone());
        }
        if self.state != State::Open {
            return Err(LinkError::Closed);
        }
        let (max_bytes, max_fds) = self.peer.map_or((u32::MAX, u32::MAX), |peer| {
            (peer.max_message_bytes, peer.max_message_fds)
        });
        let bytes = fitting(payload.len(), max_bytes).ok_or(LinkError::MessageTooLarge {
            bytes: payload.len(),
            limit: max_bytes,
        })?;
        let count = fitting(fds.len(), max_fds).ok_or(LinkError::TooManyFds {
            fds: fds.len(),
            limit: max_fds,
        })?;
        self.refuse_overload(payload.len(), fds.len(), options)?;
        let held = if self.config.hold_sockets && !fds.is_empty() {
            duplicate_sockets(fds).map_err(|error| from_core(&error))?
        } else {
            Vec::new()
        };
        let split = Split {
            id: self.last_id + 1,
            ack: options.ack || !held.is_empty(),
            bytes,
            fds: count,
        };
        Ok((split, held))
    }

    #[inline]
    fn refuse_overload(
        &self,
        bytes: usize,
        fds: usize,
        options: SendOptions,
    ) -> Result<(), LinkError> {
        if options.ack && self.unacknowledged.len() >= self.config.most_unacknowledged {
            let limit = QueueLimit::Unacknowledged(self.config.most_unacknowledged);
            return Err(LinkError::QueueFull { limit });
        }
        if self.out.is_empty() && self.unacknowledged.held() == 0 {
            return Ok(());
        }
        let mut load = self.queued();
        load.bytes += bytes;
        load.messages += 1;
        load.fds += fds;
        match load.exceeded(self.config.most) {
            Some(limit) => Err(LinkError::QueueFull { limit }),
            None => Ok(()),
        }
    }

    /// Writes the message as far as the kernel takes it. `None`: all of it.
    ///
    /// An error means that nothing was written.
    #[inline]
    fn write_directly(
        &mut self,
        split: &Split,
        payload: &[u8],
        fds: &[BorrowedFd<'_>],
        now: Instant,
    ) -> Result<Option<Halt>, LinkError> {
        let mut parts = split.parts();
        let way_is_free = self.is_way_free(split, now)?;
        while let Some(part) = parts.next() {
            let halt = |written| {
                Ok(Some(Halt {
                    part: part.clone(),
                    written,
                    rest: parts.clone(),
                }))
            };
            if !way_is_free {
                return halt(0);
            }
            let head = split.head(&part);
            let bytes = &payload[part.bytes.clone()];
            match self.send_frame(head.bytes(), bytes, &fds[part.fds.clone()]) {
                Ok(written) if written == head.bytes().len() + bytes.len() => {}
                Ok(written) => return halt(written),
                Err(error) => {
                    // A message that has begun waits in any case, and a flush deals with the error.
                    if part.kind != kind::NEXT {
                        self.judge_refusal(&error, now)?;
                    }
                    return halt(0);
                }
            }
        }
        Ok(None)
    }

    /// One frame by one call. A short one is joined first: the kernel takes one piece with less ado than two.
    #[inline]
    fn send_frame(
        &mut self,
        head: &[u8],
        payload: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        let length = head.len() + payload.len();
        if length > JOINED_BYTES {
            return self.send_parts(&[IoSlice::new(head), IoSlice::new(payload)], fds);
        }
        let mut joined = [0; JOINED_BYTES];
        joined[..head.len()].copy_from_slice(head);
        joined[head.len()..length].copy_from_slice(payload);
        self.send_parts(&[IoSlice::new(&joined[..length])], fds)
    }

    /// Nothing waits before the message, and it need not wait for the peer.
    #[inline]
    fn is_way_free(&mut self, split: &Split, now: Instant) -> Result<bool, LinkError> {
        self.queue_preamble();
        if (self.has_urgent() || self.owed.is_due())
            && self.pressure.is_none()
            && self.out.is_empty()
        {
            self.write_control(now)?;
        }
        Ok(self.out.is_empty()
            && !self.has_urgent()
            && self.pressure.is_none()
            && (split.is_whole() || self.peer.is_some()))
    }

    fn write_control(&mut self, now: Instant) -> Result<(), LinkError> {
        while self.has_urgent() || self.owed.is_due() {
            match self.write_once() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.judge_refusal(&error, now),
            }
        }
        Ok(())
    }

    /// `Ok`: the message can wait in the queue.
    fn judge_refusal(&mut self, error: &io::Error, now: Instant) -> Result<(), LinkError> {
        match Refusal::of(error) {
            Refusal::Interrupted | Refusal::Blocked => Ok(()),
            Refusal::Pressure(errno) => {
                self.press(errno, now);
                Ok(())
            }
            Refusal::Descriptors => Err(LinkError::system(Syscall::Sendmsg, error)),
            Refusal::Broken => Err(self.break_writing(LinkError::system(Syscall::Sendmsg, error))),
        }
    }

    /// The message is ours: gives it its number, queues what is left, and remembers whom to tell.
    #[inline]
    fn accept(
        &mut self,
        split: &Split,
        options: SendOptions,
        held: Vec<OwnedFd>,
        halt: Option<Halt>,
        payload: &[u8],
        now: Instant,
    ) -> Sent {
        self.last_id = split.id;
        if split.ack {
            self.unacknowledged.push(split.id, options.ack, now, held);
        }
        let written = halt.is_none();
        if let Some(halt) = halt {
            self.out.push(split, &halt.part, payload, halt.written);
            for part in halt.rest {
                self.out.push(split, &part, payload, 0);
            }
        } else {
            self.written_through = split.id;
        }
        Sent {
            id: split.id,
            written,
        }
    }

    /// The rest of a message cannot be queued. If some of it has left, the peer is told that the rest will not come.
    fn withdraw(&mut self, split: &Split, halt: &Halt, error: &Error, payload: &[u8]) -> LinkError {
        let error = from_core(error);
        if halt.is_at_start() {
            return error;
        }
        self.last_id = split.id;
        if halt.written > 0 {
            self.out.push(split, &halt.part, payload, halt.written);
        }
        self.out.push_bare(split.id, &cancel(split.id));
        match error {
            LinkError::System { syscall, errno } => LinkError::Withdrawn { syscall, errno },
            other => other,
        }
    }
}

/// `count` as the wire has it, if it is within `limit`.
#[inline]
fn fitting(count: usize, limit: u32) -> Option<u32> {
    u32::try_from(count).ok().filter(|count| *count <= limit)
}

fn from_core(error: &Error) -> LinkError {
    let syscall = match error {
        Error::System { syscall, .. } => *syscall,
        _ => Syscall::Fcntl,
    };
    LinkError::System {
        syscall,
        errno: error.errno().unwrap_or(0),
    }
}

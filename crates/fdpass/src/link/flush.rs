//! Writing what waits.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::connection::{Goodbye, Link, State};
use super::error::{LinkError, SendFailure};
use super::transport::Transport;
use crate::descriptor;
use crate::error::Syscall;
use crate::frame::{Header, MAX_FRAME_BYTES, Preamble, kind};
use crate::limits::{LINK_PRESSURE_DELAY, LINK_PRESSURE_DELAY_MAX};

/// What is left after writing as much as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Nothing.
    Empty,
    /// Something: wait until the socket is writable.
    Blocked,
    /// Something that writability does not help: [`Link::pressure`], or a message that waits for the peer's limits.
    Later,
}

/// The kernel takes no descriptors for now: more are in flight than it allows this user (ETOOMANYREFS), or it has no
/// memory for control data (EMSGSIZE on macOS, ENOBUFS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressure {
    /// What the kernel said.
    pub errno: i32,
    /// When to try again.
    pub retry_at: Instant,
    delay: Duration,
}

impl<T: Transport> Link<T> {
    /// Writes what waits: acknowledgements, the queue, the goodbye. Call it when the socket is writable, and after
    /// [`Link::receive_into`] if [`Link::wants_write`].
    ///
    /// # Errors
    /// EPIPE or ECONNRESET as [`LinkError::System`]: nothing can be written any more; the queue is dropped and its
    /// descriptors are closed. **Go on reading**: what the peer sent is still there, and how the stream ends says more.
    pub fn flush(&mut self, now: Instant) -> Result<Flush, LinkError> {
        if let Some(error) = &self.write_error {
            return Err(error.clone());
        }
        if self.state == State::Finished {
            return Ok(Flush::Empty);
        }
        while self.has_urgent() || self.has_sendable() {
            if let Err(error) = self.write_once() {
                match Refusal::of(&error) {
                    Refusal::Interrupted => continue,
                    Refusal::Blocked => return Ok(Flush::Blocked),
                    Refusal::Pressure(errno) => {
                        self.press(errno, now);
                        return Ok(Flush::Later);
                    }
                    Refusal::Descriptors if self.fail_front(&error) => continue,
                    Refusal::Descriptors | Refusal::Broken => {
                        let error = LinkError::system(Syscall::Sendmsg, &error);
                        return Err(self.break_writing(error));
                    }
                }
            }
            self.pressure = None;
        }
        self.settle_close();
        Ok(if self.out.is_empty() {
            Flush::Empty
        } else {
            Flush::Later
        })
    }

    pub(super) fn can_write(&self) -> bool {
        self.write_error.is_none() && self.state != State::Finished
    }

    pub(super) fn has_urgent(&self) -> bool {
        self.urgent_head < self.urgent.len()
    }

    /// Something could be written that is not in `urgent` yet.
    pub(super) fn has_sendable(&self) -> bool {
        match self.out.front() {
            Some(frame) if !frame.needs_peer || frame.begun || self.peer.is_some() => true,
            Some(_) => self.owed.is_due(),
            None => self.owed.is_due() || self.goodbye == Goodbye::Wanted,
        }
    }

    /// Queues our preamble, if that has not been done.
    pub(super) fn queue_preamble(&mut self) {
        if !self.preamble_queued {
            self.preamble_queued = true;
            let limits = self.config.limits;
            let preamble = Preamble::new(
                self.config.codec,
                limits.max_message_bytes,
                limits.max_message_fds,
            );
            self.urgent.extend_from_slice(&preamble.encode());
        }
    }

    /// One call of the transport.
    pub(super) fn write_once(&mut self) -> io::Result<()> {
        self.queue_preamble();
        let begun = self.out.front().is_some_and(|frame| frame.begun);
        if !self.has_urgent() && !begun {
            if self.owed.is_due() {
                self.owed.encode(&mut self.urgent);
            } else if self.out.is_empty() && self.goodbye == Goodbye::Wanted {
                let header = Header {
                    kind: kind::GOODBYE,
                    ..Header::default()
                };
                self.urgent.extend_from_slice(&header.encode());
                self.goodbye = Goodbye::Encoded;
            }
        }
        if self.has_urgent() {
            self.write_urgent()
        } else {
            self.write_queue()
        }
    }

    fn write_urgent(&mut self) -> io::Result<()> {
        let waiting = &self.urgent[self.urgent_head..];
        self.urgent_head += some(self.transport.send(&[IoSlice::new(waiting)], &[])?)?;
        if self.has_urgent() {
            return Ok(());
        }
        self.urgent.clear();
        self.urgent_head = 0;
        self.urgent.shrink_to(256);
        if self.goodbye == Goodbye::Encoded {
            self.goodbye = Goodbye::Said;
            // The peer may have closed already; it has our goodbye or does not care.
            let _: io::Result<()> = self.transport.shutdown_write();
        }
        Ok(())
    }

    fn write_queue(&mut self) -> io::Result<()> {
        let carries_fds = self.out.front().is_some_and(|frame| frame.fds > 0);
        let written = if carries_fds {
            let (bytes, fds) = self.out.front_with_fds();
            let written = some(self.transport.send(&[IoSlice::new(bytes)], fds)?)?;
            self.out.spend_fds(&mut self.spent);
            descriptor::close_all(&mut self.spent);
            written
        } else {
            let most = MAX_FRAME_BYTES as usize;
            let run = self.out.front_run(self.peer.is_some(), most);
            some(self.transport.send(&[IoSlice::new(run)], &[])?)?
        };
        if let Some(id) = self.out.advance(written) {
            self.written_through = self.written_through.max(id);
        }
        Ok(())
    }

    /// Waits before the kernel is asked again, longer each time.
    pub(super) fn press(&mut self, errno: i32, now: Instant) {
        let delay = self.pressure.map_or(LINK_PRESSURE_DELAY, |pressure| {
            (pressure.delay * 2).min(LINK_PRESSURE_DELAY_MAX)
        });
        self.pressure = Some(Pressure {
            errno,
            retry_at: now.checked_add(delay).unwrap_or(now),
            delay,
        });
    }

    /// The kernel refuses the descriptors of the oldest frame for good: its message fails, the others go on.
    fn fail_front(&mut self, error: &io::Error) -> bool {
        let Some(&frame) = self.out.front() else {
            return false;
        };
        if frame.begun || frame.fds == 0 {
            return false;
        }
        self.out.remove_rest_of_front(&mut self.spent);
        descriptor::close_all(&mut self.spent);
        self.unacknowledged.remove(frame.id);
        if !frame.first {
            self.out.push_front_bare(frame.id, &cancel(frame.id));
        }
        self.failures.push_back(SendFailure {
            id: frame.id,
            error: LinkError::system(Syscall::Sendmsg, error),
        });
        true
    }

    /// One `sendmsg` past the queue, repeated after a signal.
    #[inline]
    pub(super) fn send_parts(
        &mut self,
        parts: &[IoSlice<'_>],
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        loop {
            match self.transport.send(parts, fds) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// A stream takes something or says why not; a transport that does neither is treated as full.
fn some(written: usize) -> io::Result<usize> {
    if written == 0 {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    Ok(written)
}

/// The frame that takes the rest of message `id` back.
pub(super) fn cancel(id: u64) -> [u8; crate::frame::HEADER_BYTES] {
    Header {
        kind: kind::CANCEL,
        id,
        ..Header::default()
    }
    .encode()
}

/// What an errno of a send means for the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Interrupted,
    /// Wait for writability.
    Blocked,
    /// Wait a while.
    Pressure(i32),
    /// The descriptors cannot be passed, now or later.
    Descriptors,
    /// Nothing can be written any more.
    Broken,
}

impl Refusal {
    pub(super) fn of(error: &io::Error) -> Self {
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::Interrupted, _) => Self::Interrupted,
            (io::ErrorKind::WouldBlock, _) => Self::Blocked,
            (
                _,
                Some(errno @ (libc::ETOOMANYREFS | libc::EMSGSIZE | libc::ENOBUFS | libc::ENOMEM)),
            ) => Self::Pressure(errno),
            (_, Some(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN)) => Self::Broken,
            _ => Self::Descriptors,
        }
    }
}

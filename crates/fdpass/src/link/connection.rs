//! The link itself: its state, what it wants, and when.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::Instant;

use super::acks::{Owed, Unacknowledged};
use super::config::Config;
use super::error::{LinkError, SendFailure, Waited};
use super::flush::Pressure;
use super::habit::Habit;
use super::inbox::Inbox;
use super::outbox::{Load, Outbox};
use super::transport::{SocketTransport, Transport};
use crate::frame::Preamble;

/// How far a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Messages may be sent.
    Open,
    /// [`Link::close`] was called: the queue is leaving, or the peer's end is awaited.
    Closing,
    /// Nothing is left to do: drop it.
    Finished,
}

/// How far our goodbye is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goodbye {
    No,
    Wanted,
    /// In `urgent`, perhaps in part.
    Encoded,
    /// Written, and writing is shut down.
    Said,
}

/// A framed connection. See the [module documentation](super).
///
/// Dropping it closes the socket and every descriptor it holds, at once and without a goodbye.
#[derive(Debug)]
pub struct Link<T: Transport = SocketTransport> {
    pub(super) transport: T,
    pub(super) config: Config,
    pub(super) state: State,
    /// What ended it.
    pub(super) failure: Option<LinkError>,

    pub(super) out: Outbox,
    /// Control frames and the preamble: they go before the queue, but never into the middle of a frame.
    pub(super) urgent: Vec<u8>,
    /// What of `urgent` was written.
    pub(super) urgent_head: usize,
    pub(super) preamble_queued: bool,
    pub(super) last_id: u64,
    pub(super) written_through: u64,
    pub(super) write_error: Option<LinkError>,
    pub(super) pressure: Option<Pressure>,
    pub(super) failures: VecDeque<SendFailure>,
    pub(super) unacknowledged: Unacknowledged,
    /// Descriptors on their way to being closed together.
    pub(super) spent: Vec<OwnedFd>,
    pub(super) goodbye: Goodbye,

    pub(super) inbox: Inbox,
    pub(super) habit: Habit,
    pub(super) owed: Owed,
    pub(super) peer: Option<Preamble>,
    pub(super) read_ended: bool,
    /// The last wake-up stopped before it had used up what is buffered.
    pub(super) resumable: bool,
    pub(super) stalled_since: Option<Instant>,
    pub(super) close_deadline: Option<Instant>,
    /// Messages above our limits since the peer was told them.
    pub(super) broken_limits: u32,
}

impl<T: Transport> Link<T> {
    /// A link on `transport`, which it owns. Nothing is written before the first send.
    #[must_use]
    pub fn new(transport: T, config: Config) -> Self {
        Self {
            inbox: Inbox::new(config.limits),
            habit: Habit::default(),
            transport,
            config,
            state: State::Open,
            failure: None,
            out: Outbox::default(),
            urgent: Vec::new(),
            urgent_head: 0,
            preamble_queued: false,
            last_id: 0,
            written_through: 0,
            write_error: None,
            pressure: None,
            failures: VecDeque::new(),
            unacknowledged: Unacknowledged::default(),
            spent: Vec::new(),
            goodbye: Goodbye::No,
            owed: Owed::default(),
            peer: None,
            read_ended: false,
            resumable: false,
            stalled_since: None,
            close_deadline: None,
            broken_limits: 0,
        }
    }

    /// The transport, to be polled.
    #[must_use]
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// The transport, yours again. What the link holds is closed; see [`Link::is_untouched`].
    #[must_use]
    pub fn into_transport(self) -> T {
        self.transport
    }

    /// Nothing was sent and nothing received: the socket can still be given to somebody else.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        !self.preamble_queued && self.inbox.is_untouched() && self.state == State::Open
    }

    /// What the peer said about itself, once it has.
    #[must_use]
    pub fn peer_preamble(&self) -> Option<&Preamble> {
        self.peer.as_ref()
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Poll the socket for readability.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.state != State::Finished && !self.read_ended && !self.owed.is_full()
    }

    /// Poll the socket for writability. False under [`Link::pressure`]: the socket would be writable all the time.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.can_write()
            && self.pressure.is_none()
            && (self.has_urgent() || (self.has_sendable() && self.goodbye != Goodbye::Said))
    }

    /// Messages are buffered in the link: call [`Link::receive_into`] again without waiting for the socket.
    #[must_use]
    pub fn has_buffered(&self) -> bool {
        self.resumable && self.inbox.has_buffered()
    }

    /// What is queued to be written.
    #[must_use]
    pub fn queued(&self) -> Load {
        let mut load = self.out.load();
        load.fds += self.unacknowledged.held();
        load
    }

    /// More is queued than a polite sender lets wait.
    #[must_use]
    pub fn is_above_high_water(&self) -> bool {
        self.queued().is_above(self.config.high_water)
    }

    /// Every message up to this id has been written, has failed ([`Link::next_failure`]) or was taken back.
    #[must_use]
    pub fn written_through(&self) -> u64 {
        self.written_through
    }

    /// Every message up to this id that wanted an acknowledgement has it, or has failed ([`Link::next_failure`]).
    #[must_use]
    pub fn acknowledged_through(&self) -> u64 {
        self.unacknowledged.through()
    }

    /// The next message that was taken and then failed, in the order it became known.
    pub fn next_failure(&mut self) -> Option<SendFailure> {
        self.failures.pop_front()
    }

    /// Why nothing can be written any more. Every message above [`Link::written_through`] has failed with it.
    #[must_use]
    pub fn write_error(&self) -> Option<&LinkError> {
        self.write_error.as_ref()
    }

    /// The kernel takes no descriptors for now; [`Link::next_deadline`] says when to try again.
    #[must_use]
    pub fn pressure(&self) -> Option<Pressure> {
        self.pressure
    }

    /// When to call [`Link::on_deadline`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.state == State::Finished {
            return None;
        }
        [
            self.pressure.map(|pressure| pressure.retry_at),
            self.stall_deadline(),
            self.ack_deadline(),
            self.close_deadline,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due at `now`: tries again to write, or ends the link because a time-out is over.
    ///
    /// # Errors
    /// [`LinkError::TimedOut`] ends the link.
    pub fn on_deadline(&mut self, now: Instant) -> Result<(), LinkError> {
        if self.state == State::Finished {
            return Ok(());
        }
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if is_over(self.close_deadline) {
            return self.give_up_closing();
        }
        if is_over(self.stall_deadline()) {
            return Err(self.fail(LinkError::TimedOut {
                waited: Waited::Rest,
                after: self.config.stall_timeout.unwrap_or_default(),
            }));
        }
        if is_over(self.ack_deadline()) {
            return Err(self.fail(LinkError::TimedOut {
                waited: Waited::Acknowledgement,
                after: self.config.ack_timeout.unwrap_or_default(),
            }));
        }
        if is_over(self.pressure.map(|pressure| pressure.retry_at)) {
            // A broken write side is remembered; how the stream ends is for the next read to say.
            let _: Result<_, LinkError> = self.flush(now);
        }
        Ok(())
    }

    fn stall_deadline(&self) -> Option<Instant> {
        self.stalled_since?.checked_add(self.config.stall_timeout?)
    }

    fn ack_deadline(&self) -> Option<Instant> {
        self.unacknowledged
            .oldest()?
            .checked_add(self.config.ack_timeout?)
    }
}

//! The end of a link: on purpose, by time-out, by failure.

use std::io;
use std::time::Instant;

use super::connection::{Goodbye, Link, State};
use super::error::{LinkError, Waited};
use super::transport::Transport;
use crate::descriptor;

impl<T: Transport> Link<T> {
    /// Closes on purpose: what is queued still leaves, then a goodbye, then the peer's end is awaited (closing with
    /// unread bytes would reset the peer), all within `close_timeout`. Messages that arrive from now on are closed.
    ///
    /// Go on polling until [`Link::state`] is [`State::Finished`].
    pub fn close(&mut self, now: Instant) {
        if self.state != State::Open {
            return;
        }
        self.state = State::Closing;
        self.goodbye = Goodbye::Wanted;
        self.close_deadline = now.checked_add(self.config.close_timeout);
        self.owed.clear();
        self.stalled_since = None;
        // A broken write side is seen below; there is nobody to tell it twice.
        let _: Result<_, LinkError> = self.flush(now);
        self.settle_close();
    }

    /// Finishes when nothing is left to be written or awaited.
    pub(super) fn settle_close(&mut self) {
        let written = self.goodbye == Goodbye::Said || self.write_error.is_some();
        let read = self.read_ended || self.write_error.is_some();
        if self.state == State::Closing && written && read {
            self.finish();
        }
    }

    /// The time for closing is over. That the peer did not end is its affair; that our messages did not leave is not.
    pub(super) fn give_up_closing(&mut self) -> Result<(), LinkError> {
        if self.goodbye == Goodbye::Said {
            self.finish();
            return Ok(());
        }
        Err(self.fail(LinkError::TimedOut {
            waited: Waited::Close,
            after: self.config.close_timeout,
        }))
    }

    /// Ends the link because of `error`, and returns it.
    pub(super) fn fail(&mut self, error: LinkError) -> LinkError {
        if error.is_about_preambles() {
            self.introduce();
        }
        self.failure = Some(error.clone());
        if self.write_error.is_none() {
            self.write_error = Some(error.clone());
        }
        self.finish();
        error
    }

    /// Says who we are, if that has not been done: the peer finds the same fault with us, and need not guess why we left.
    /// There is room for it: nothing was written before. A peer that is gone need not be told.
    fn introduce(&mut self) {
        if self.preamble_queued || !self.can_write() {
            return;
        }
        self.queue_preamble();
        while self.has_urgent() {
            match self.write_once() {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
                _ => {}
            }
        }
    }

    /// The write side is broken: nothing of the queue can leave. What the peer has sent can still be read.
    pub(super) fn break_writing(&mut self, error: LinkError) -> LinkError {
        self.write_error = Some(error.clone());
        self.drop_queue();
        self.settle_close();
        error
    }

    fn drop_queue(&mut self) {
        self.out.clear(&mut self.spent);
        descriptor::close_all(&mut self.spent);
        self.urgent = Vec::new();
        self.urgent_head = 0;
        self.owed.clear();
        self.pressure = None;
    }

    fn finish(&mut self) {
        self.state = State::Finished;
        self.read_ended = true;
        self.close_deadline = None;
        self.stalled_since = None;
        self.resumable = false;
        self.drop_queue();
        self.unacknowledged.clear();
        self.inbox.clear();
    }
}

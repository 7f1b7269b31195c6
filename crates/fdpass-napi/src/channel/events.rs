//! What JavaScript is told besides messages (`ChannelEvent` in `src/native-types.ts`).

use std::cell::Cell;

use fdpass::error::errno_name;
use fdpass::link::{Link, SocketTransport, State};

use super::Channel;
use super::setup::Setup;
use crate::error::Failure;
use crate::js;

const DRAIN: i32 = 1;
const WRITTEN: i32 = 2;
const ACKNOWLEDGED: i32 = 3;
const FAILED: i32 = 4;
pub(super) const END: i32 = 5;
pub(super) const ERROR: i32 = 6;
pub(super) const CLOSED: i32 = 7;
const PRESSURE: i32 = 8;
const UNWRITABLE: i32 = 9;

/// What was told already.
pub(super) struct Told {
    /// The highest id that was returned as queued.
    pub(super) queued: Cell<u64>,
    /// The highest id that was sent with an acknowledgement.
    pub(super) expects: Cell<u64>,
    pub(super) above: Cell<bool>,
    written: Cell<u64>,
    acknowledged: Cell<u64>,
    pressure: Cell<bool>,
    unwritable: Cell<bool>,
}

impl Told {
    /// Everything that a link (which may come from another thread) is past already counts as told.
    pub(super) fn of(link: &Link<SocketTransport>) -> Self {
        // A link that has spoken may have messages under way that the other thread waited for.
        let under_way = if link.is_untouched() { 0 } else { u64::MAX };
        Self {
            queued: Cell::new(under_way),
            expects: Cell::new(under_way),
            above: Cell::new(link.is_above_high_water()),
            written: Cell::new(0),
            acknowledged: Cell::new(0),
            pressure: Cell::new(false),
            unwritable: Cell::new(false),
        }
    }
}

impl From<fdpass::link::LinkError> for Failure {
    fn from(error: fdpass::link::LinkError) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            errno: error.errno(),
            syscall: error.syscall(),
        }
    }
}

impl Channel {
    /// Tells what changed, failures before the watermarks that pass them. JavaScript may close the channel at any of
    /// these calls; the link is not borrowed meanwhile.
    pub(super) fn tell(&self, setup: &Setup) {
        while let Some(failure) = self.with_link(Link::next_failure).flatten() {
            self.event(setup, FAILED, failure.id, Some(&failure.error.into()));
        }
        self.tell_mark(
            setup,
            WRITTEN,
            &self.told.written,
            &self.told.queued,
            Link::written_through,
        );
        self.tell_mark(
            setup,
            ACKNOWLEDGED,
            &self.told.acknowledged,
            &self.told.expects,
            Link::acknowledged_through,
        );
        self.tell_pressure(setup);
    }

    /// Not of a link that failed: who sends more, as the event asks for, would be thrown what the error is about to tell.
    pub(super) fn tell_drain(&self, setup: &Setup) {
        let has_room = |link: &mut Link<_>| !link.is_above_high_water();
        if self.told.above.get() && self.with_link(has_room) == Some(true) {
            self.told.above.set(false);
            self.event(setup, DRAIN, 0, None);
        }
    }

    /// What was queued is dropped. How the connection ended is for the read side to say, but nobody may be reading.
    pub(super) fn tell_broken_writing(&self, setup: &Setup) {
        if self.told.unwritable.get() {
            return;
        }
        let broken = self.with_link(|link| {
            let error = link.write_error().filter(|_| link.state() == State::Open)?;
            Some((link.written_through(), error.clone()))
        });
        if let Some((written, error)) = broken.flatten() {
            self.told.unwritable.set(true);
            self.event(setup, UNWRITABLE, written, Some(&error.into()));
        }
    }

    fn tell_mark(
        &self,
        setup: &Setup,
        event: i32,
        told: &Cell<u64>,
        expected: &Cell<u64>,
        mark: fn(&Link<SocketTransport>) -> u64,
    ) {
        let Some(mark) = self.with_link(|link| mark(link)) else {
            return;
        };
        if mark > told.get() && told.get() < expected.get() {
            told.set(mark);
            self.event(setup, event, mark, None);
        }
    }

    fn tell_pressure(&self, setup: &Setup) {
        let pressure = self.with_link(|link| link.pressure()).flatten();
        if self.told.pressure.replace(pressure.is_some()) {
            return;
        }
        if let Some(pressure) = pressure {
            let name = js::string(setup.env(), errno_name(pressure.errno));
            setup.event_with(self.handle.get(), PRESSURE, 0.0, name);
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "ids count messages: 2^53 of them are never sent"
    )]
    fn event(&self, setup: &Setup, event: i32, id: u64, failure: Option<&Failure>) {
        let handle = self.handle.get();
        if handle != 0 {
            setup.event(handle, event, id as f64, failure);
        }
    }

    pub(super) fn with_link<T>(
        &self,
        look: impl FnOnce(&mut Link<SocketTransport>) -> T,
    ) -> Option<T> {
        self.link.borrow_mut().as_deref_mut().map(look)
    }
}

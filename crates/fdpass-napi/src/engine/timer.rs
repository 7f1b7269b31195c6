//! One timer an environment, armed only while something waits for a time.

use std::cell::Cell;
use std::time::Instant;

use super::Engine;

#[derive(Debug, Default)]
pub(super) struct Timer {
    /// When the engine's timer fires.
    armed: Cell<Option<Instant>>,
    /// Nothing is due before this.
    earliest: Cell<Option<Instant>>,
}

impl Timer {
    /// Has the engine call `Loop::on_timer` at `deadline` or before.
    pub(super) fn arm(&self, engine: &Engine, deadline: Instant) {
        if self
            .earliest
            .get()
            .is_none_or(|earliest| deadline < earliest)
        {
            self.earliest.set(Some(deadline));
        }
        self.start(engine, deadline);
    }

    /// Has the engine call `Loop::on_timer` in its next turn.
    pub(super) fn arm_now(&self, engine: &Engine) {
        self.start(engine, Instant::now());
    }

    fn start(&self, engine: &Engine, at: Instant) {
        if self.armed.get().is_some_and(|armed| armed <= at) {
            return;
        }
        self.armed.set(Some(at));
        match engine {
            Engine::Uv(uv) => uv.start_timer(at),
            Engine::Thread(thread) => thread.start_timer(at),
        }
    }

    /// The engine's timer has fired. Whether a deadline may be due.
    pub(super) fn fired(&self, now: Instant) -> bool {
        self.armed.set(None);
        self.earliest.get().is_some_and(|earliest| earliest <= now)
    }

    /// The deadlines were looked through: `next` is the earliest that is left.
    pub(super) fn forget(&self, next: Option<Instant>) {
        self.earliest.set(next);
    }

    /// After `fired`: what is still to come is armed anew.
    pub(super) fn rearm(&self, engine: &Engine) {
        if let Some(earliest) = self.earliest.get() {
            self.start(engine, earliest);
        }
    }
}

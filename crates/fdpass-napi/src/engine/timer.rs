//! One timer an environment, armed only while something waits for a time.

use std::cell::Cell;
use std::time::Instant;

use super::Engine;

#[derive(Debug, Default)]
pub(super) struct Timer {
    armed: Cell<Option<Instant>>,
}

impl Timer {
    /// Has the engine call `Loop::on_timer` at `deadline` or before.
    pub(super) fn arm(&self, engine: &Engine, deadline: Instant) {
        if self.armed.get().is_some_and(|armed| armed <= deadline) {
            return;
        }
        self.armed.set(Some(deadline));
        match engine {
            Engine::Uv(uv) => uv.start_timer(deadline),
            Engine::Thread(thread) => thread.start_timer(deadline),
        }
    }

    pub(super) fn fired(&self) {
        self.armed.set(None);
    }
}

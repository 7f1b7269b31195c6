//! One turn of the loop.

use std::io;
#[cfg(doc)]
use std::os::fd::AsFd;
use std::time::Instant;

use super::{ESTATE, FIRST_BYTES, Manager, WORKER};
use crate::prefork::WorkerId;
use crate::prefork::held::SlotId;
use crate::sys::Ready;

impl Manager {
    /// Does what is to be done: reads what workers said, keeps time, accepts. Call it when [`Manager::as_fd`] is readable.
    /// Returns whether anything was: then more may have come meanwhile, and to ask at once is cheaper than to be woken.
    ///
    /// # Errors
    /// The kernel refused to say what is ready; nothing is lost.
    pub fn begin(&mut self, now: Instant) -> io::Result<bool> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        let timer = self.poller.wait(&mut ready, 0);
        // Workers first: what they closed makes room for what is accepted.
        for event in &ready {
            let number = u32::try_from(event.token & u64::from(u32::MAX)).unwrap_or(0);
            match event.token >> 32 {
                WORKER => self.worker_ready(number, *event, now),
                FIRST_BYTES => self.first_bytes(SlotId(number), now),
                ESTATE => self.estate_ready(number, now),
                _ => self.mark_listener(number),
            }
        }
        let any = !ready.is_empty();
        self.ready = ready;
        if timer? {
            self.armed = None;
            self.on_time(now);
        }
        self.place_waiting(now);
        self.accept_all(now);
        Ok(any)
    }

    /// Sends what was decided, and sets what is waited for next. After [`Manager::begin`], and after any other call that
    /// changes something.
    ///
    /// # Errors
    /// The kernel refused to watch a descriptor.
    pub fn finish(&mut self, now: Instant) -> io::Result<()> {
        for at in 0..self.workers.len() {
            self.hand_off(at, now);
        }
        self.place_waiting(now);
        for at in 0..self.workers.len() {
            self.hand_off(at, now);
        }
        self.say_whether_accepting();
        self.sync_interests()?;
        self.arm(now)
    }

    fn worker_ready(&mut self, id: WorkerId, event: Ready, now: Instant) {
        let Some(at) = self.position(id) else { return };
        if event.read {
            self.read_words(at, now);
        }
        let worker = &mut self.workers[at];
        if worker.link.wants_write() && worker.link.flush(now).is_err() {
            // The read side says how it ended.
            worker.broken = true;
        }
    }
}

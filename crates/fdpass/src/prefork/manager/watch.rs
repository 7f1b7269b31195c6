//! Time: heartbeats, rests, waits.

use std::io;
use std::time::{Duration, Instant};

use super::Manager;
use super::event::Event;
use crate::prefork::acceptor::LIMIT_PAUSE;
use crate::prefork::wire::{self, PING};

/// How many times within the watchdog time workers are looked after.
const BEATS: u32 = 8;

impl Manager {
    pub(super) fn on_time(&mut self, now: Instant) {
        self.give_up_looking(now);
        self.close_old_estates(now);
        self.bury();
        for listener in self.listeners.iter_mut().flatten() {
            if listener
                .acceptor
                .resting_until()
                .is_some_and(|until| until <= now)
            {
                listener.acceptor.wake();
            }
        }
        for at in 0..self.workers.len() {
            self.worker_time(at, now);
        }
        self.look_after(now);
    }

    fn worker_time(&mut self, at: usize, now: Instant) {
        let worker = &mut self.workers[at];
        if worker.resting_until.is_some_and(|until| until <= now) {
            worker.resting_until = None;
        }
        if worker.link.next_deadline().is_some_and(|at| at <= now)
            && worker.link.on_deadline(now).is_err()
        {
            worker.broken = true;
        }
        if worker.link.has_buffered() {
            self.read_words(at, now);
        }
    }

    /// Asks those with work that were silent, suspects those that do not answer, reports those that hang.
    fn look_after(&mut self, now: Instant) {
        let Some(watchdog) = self.config.watchdog else {
            return;
        };
        if self.next_beat.is_some_and(|at| at > now) {
            return;
        }
        let beat = watchdog / BEATS;
        self.next_beat = Some(now + beat);
        self.beat = self.beat.wrapping_add(1);
        for worker in &mut self.workers {
            if !worker.ready || worker.hung || worker.ended {
                continue;
            }
            let Some(asked) = worker.pinged else {
                let busy = self.config.always_beat || worker.active > 0;
                let silent = now.saturating_duration_since(worker.heard) >= beat;
                if busy && silent && worker.say(&wire::beat(PING, self.beat), &[], now).is_ok() {
                    worker.pinged = Some(now);
                }
                continue;
            };
            // Counted from the question, so that a manager that was itself stopped does not blame its workers.
            let silent = now.saturating_duration_since(asked) + beat;
            if silent >= watchdog {
                worker.hung = true;
                self.events.push(Event::Hung(worker.id));
            } else if silent >= watchdog / 2 && !worker.suspect {
                worker.suspect = true;
                self.events.push(Event::Suspect(worker.id));
            }
        }
    }

    /// Sets the timer for what comes next. A timer that runs out too early does no harm, so it is only moved forward.
    pub(super) fn arm(&mut self, now: Instant) -> io::Result<()> {
        let Some(next) = self.next_deadline(now) else {
            return Ok(());
        };
        if self.armed.is_some_and(|armed| armed <= next) {
            return Ok(());
        }
        self.armed = Some(next);
        let after = next.saturating_duration_since(now);
        self.poller.arm(Some(after.max(Duration::from_micros(1))))
    }

    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let listeners = self.listeners.iter().flatten();
        let rests = listeners.filter_map(|listener| listener.acceptor.resting_until());
        let links = self.workers.iter().flat_map(|worker| {
            let buffered = (!worker.ended && worker.link.has_buffered()).then_some(now);
            let link = worker.link.next_deadline().filter(|_| !worker.broken);
            [worker.resting_until, buffered, link]
        });
        let waits = self.waiting.iter().map(|waiting| waiting.until);
        let estates = self.estates.iter().map(|estate| estate.until);
        let burials = (!self.unburied.is_empty()).then(|| now + LIMIT_PAUSE);
        let looks = self.peeking.front().map(|peeking| peeking.until);
        let beats = self.beat_at(now);
        rests
            .chain(links.flatten())
            .chain(waits.min())
            .chain(estates)
            .chain(burials)
            .chain(looks)
            .chain(beats)
            .min()
    }

    fn beat_at(&self, now: Instant) -> Option<Instant> {
        let watchdog = self.config.watchdog?;
        if self.workers.is_empty() {
            return None;
        }
        Some(self.next_beat.unwrap_or(now + watchdog / BEATS))
    }
}

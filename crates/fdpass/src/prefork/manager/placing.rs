//! Who gets a connection, and how it is sent.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::config::MAX_PREFIXES;
use super::event::{Decision, Event};
use super::{Manager, Waiting};
use crate::link::SendOptions;
use crate::prefork::held::SlotId;
use crate::prefork::policy::Policy;
use crate::prefork::verdict::{self, Verdict};
use crate::prefork::wire::{MAX_BATCH, Record};

/// How long a worker rests after a connection could not be put into its queue for want of descriptors.
const SEND_PAUSE: Duration = Duration::from_millis(20);

impl Manager {
    /// Whether any worker can take a connection.
    pub(super) fn somebody_can(&self) -> bool {
        self.workers
            .iter()
            .any(|worker| worker.can_take(self.config.max_in_flight, self.config.max_connections))
    }

    /// Gives a connection to a worker, or lets it wait for one.
    pub(super) fn place(&mut self, slot: SlotId, to: Option<u32>, now: Instant) {
        if !self.try_place(slot, to, now) {
            let until = now + self.config.wait_timeout;
            self.waiting.push_back(Waiting { slot, to, until });
        }
    }

    fn try_place(&mut self, slot: SlotId, to: Option<u32>, now: Instant) -> bool {
        let (in_flight, connections) = (self.config.max_in_flight, self.config.max_connections);
        let Some(connection) = self.held.get_mut(slot) else {
            return true;
        };
        let workers = &self.workers;
        let found = if let Some(index) = to {
            workers
                .iter()
                .position(|worker| worker.index == index && worker.can_take(in_flight, connections))
        } else {
            let client = (self.chooser.policy() == Policy::Sticky)
                .then(|| connection.peer.hash())
                .flatten();
            self.chooser.choose(workers.len(), client, |at| {
                let worker = &workers[at];
                worker
                    .can_take(in_flight, connections)
                    .then(|| worker.candidate())
            })
        };
        let Some(at) = found else { return false };
        let worker = &mut self.workers[at];
        connection.worker = Some(worker.id);
        worker.active += 1;
        worker.given_since_report += 1;
        worker.batch.push(slot);
        if worker.batch.len() >= MAX_BATCH {
            self.hand_off(at, now);
        }
        true
    }

    /// Tries again for those that wait, and closes those that have waited too long.
    pub(super) fn place_waiting(&mut self, now: Instant) {
        if self.waiting.is_empty() {
            return;
        }
        let somebody = self.somebody_can();
        for _ in 0..self.waiting.len() {
            let Some(waiting) = self.waiting.pop_front() else {
                return;
            };
            if somebody && self.try_place(waiting.slot, waiting.to, now) {
                continue;
            }
            if now >= waiting.until {
                self.drop_slot(waiting.slot);
            } else {
                self.waiting.push_back(waiting);
            }
        }
    }

    /// Closes a connection that nobody has.
    pub(super) fn drop_slot(&mut self, slot: SlotId) {
        if self.held.remove(slot).is_some() {
            self.totals.dropped += 1;
            self.wake_listeners();
        }
    }

    /// Sends a worker the connections chosen for it, in one message.
    pub(super) fn hand_off(&mut self, at: usize, now: Instant) {
        while !self.workers[at].batch.is_empty() {
            let slots = std::mem::take(&mut self.workers[at].batch);
            let (sent, kept) = self.send_some(at, &slots, now);
            let worker = &mut self.workers[at];
            if !sent {
                self.take_back(at, &slots, now);
                return;
            }
            worker.batch.extend_from_slice(kept);
        }
    }

    /// Sends as many as one message should carry; returns whether it went, and what is left.
    fn send_some<'s>(
        &mut self,
        at: usize,
        slots: &'s [SlotId],
        now: Instant,
    ) -> (bool, &'s [SlotId]) {
        let worker = &mut self.workers[at];
        self.batch.clear();
        let mut fds = Vec::with_capacity(slots.len());
        let (mut count, mut prefixes) = (0, 0);
        for slot in slots {
            let Some(connection) = self.held.get(*slot) else {
                count += 1;
                continue;
            };
            prefixes += connection.prefix.len();
            if prefixes > MAX_PREFIXES && count > 0 {
                break;
            }
            let record = Record {
                slot: slot.0,
                listener: connection.listener,
                peer: connection.peer,
                prefix: 0,
            };
            self.batch.push(record, &connection.prefix);
            fds.push(connection.fd.as_fd());
            count += 1;
            let took = now.saturating_duration_since(connection.accepted);
            worker.hand_off_sum += took;
            worker.hand_off_max = worker.hand_off_max.max(took);
        }
        let options = SendOptions::default();
        if worker
            .link
            .try_send(self.batch.finish(), &fds, options, now)
            .is_err()
        {
            return (false, &[]);
        }
        let given = u32::try_from(fds.len()).unwrap_or(u32::MAX);
        worker.sent = worker.sent.wrapping_add(given);
        worker.given += u64::from(given);
        (true, &slots[count..])
    }

    /// Nothing of these was sent: they go to somebody else.
    fn take_back(&mut self, at: usize, slots: &[SlotId], now: Instant) {
        let worker = &mut self.workers[at];
        if worker.link.write_error().is_some() {
            worker.broken = true;
        } else {
            worker.resting_until = Some(now + SEND_PAUSE);
        }
        let until = now + self.config.wait_timeout;
        for slot in slots {
            let Some(connection) = self.held.get_mut(*slot) else {
                continue;
            };
            connection.worker = None;
            worker.active = worker.active.saturating_sub(1);
            self.waiting.push_front(Waiting {
                slot: *slot,
                to: None,
                until,
            });
        }
    }

    /// A connection of a dead worker: see [`verdict`].
    pub(super) fn inherit(&mut self, slot: SlotId, now: Instant) -> Verdict {
        let Some(connection) = self.held.get_mut(slot) else {
            return Verdict::Close;
        };
        let count = verdict::count(connection.fd.as_fd());
        let verdict = verdict::judge(connection, count, self.config.replay);
        match &verdict {
            Verdict::Untouched => self.totals.reassigned += 1,
            Verdict::Replay(request) => {
                connection.prefix.clone_from(request);
                connection.replayed = true;
                self.totals.replayed += 1;
            }
            Verdict::Close => {
                self.totals.closed += 1;
                drop(self.held.remove(slot));
                return verdict;
            }
        }
        connection.worker = None;
        if let Some(slot) = self.held.renew(slot) {
            self.admit(slot, now);
        }
        verdict
    }

    /// The connections to be decided by the caller since the last call. Their first bytes are in
    /// [`crate::prefork::held::Connection::seen`], if they were asked for.
    pub fn take_undecided(&mut self) -> Vec<SlotId> {
        std::mem::take(&mut self.undecided)
    }

    /// Decides one of them.
    pub fn decide(&mut self, slot: SlotId, decision: Decision, now: Instant) {
        if let Some(connection) = self.held.get_mut(slot) {
            connection.admitted = true;
        }
        match decision {
            Decision::Worker(index) => self.place(slot, Some(index), now),
            Decision::Default => self.place(slot, None, now),
            Decision::Refuse => {
                if self.held.remove(slot).is_some() {
                    self.totals.refused += 1;
                    self.wake_listeners();
                }
            }
        }
    }

    /// Says when accepting stops because nobody can take connections, and when it goes on.
    pub(super) fn say_whether_accepting(&mut self) {
        let accepting = self.can_accept();
        if accepting == self.accepting {
            return;
        }
        self.accepting = accepting;
        self.events.push(if accepting {
            Event::Accepting
        } else {
            Event::Saturated
        });
    }
}

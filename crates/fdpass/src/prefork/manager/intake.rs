//! Connections come in: accepted, looked at, admitted.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use super::config::ACCEPT_BUDGET;
use super::event::Event;
use super::{FIRST_BYTES, LISTENER, Manager, Peeking, WORKER, token};
use crate::prefork::acceptor::Accepted;
use crate::prefork::held::{Connection, SlotId};
use crate::prefork::peer::Peer;
use crate::prefork::policy::Policy;
use crate::sys::{self, Interest};

impl Manager {
    /// Whether a connection that is accepted now finds somebody to take it.
    pub(super) fn can_accept(&self) -> bool {
        self.waiting.len() < self.config.max_waiting
            && self.peeking.len() < self.config.max_waiting
            && !self.held.is_full()
            && self.somebody_can()
    }

    pub(super) fn mark_listener(&mut self, number: u32) {
        if let Some(Some(listener)) = self.listeners.get_mut(number as usize) {
            listener.more = true;
        }
    }

    pub(super) fn accept_all(&mut self, now: Instant) {
        for number in 0..self.listeners.len() {
            let Some(Some(listener)) = self.listeners.get_mut(number) else {
                continue;
            };
            if std::mem::take(&mut listener.more) && listener.enabled {
                self.accept_some(number, now);
            }
        }
    }

    /// Accepts until nobody waits there, within a budget: the socket stays readable, so the rest comes next turn.
    pub(super) fn accept_some(&mut self, number: usize, now: Instant) {
        for _ in 0..ACCEPT_BUDGET {
            if !self.can_accept() {
                return;
            }
            let Some(Some(listener)) = self.listeners.get_mut(number) else {
                return;
            };
            if listener.failed {
                return;
            }
            let number = u16::try_from(number).unwrap_or(u16::MAX);
            match listener.acceptor.accept(now) {
                Accepted::Connection(fd, peer) => self.take_in(fd, number, peer, now),
                Accepted::Empty => return,
                Accepted::Rest(errno) => {
                    self.events.push(Event::Pressure(errno));
                    return;
                }
                Accepted::Failed(errno) => {
                    (listener.enabled, listener.failed) = (false, true);
                    self.events.push(Event::ListenerFailed(number, errno));
                    return;
                }
            }
        }
    }

    fn take_in(&mut self, fd: OwnedFd, listener: u16, peer: Peer, now: Instant) {
        self.totals.accepted += 1;
        if let (Some(buckets), Some(client)) = (&mut self.admission, peer.ip())
            && !buckets.admit(client, now)
        {
            self.totals.refused += 1;
            return;
        }
        let connection = Connection::new(fd, listener, peer, now);
        let Ok(slot) = self.held.insert(connection) else {
            self.totals.dropped += 1;
            return;
        };
        // A Unix socket can carry descriptors, and a look at it would lose them.
        let wanted = self.config.first_bytes();
        if wanted == 0 || peer == Peer::Unix || self.look(slot) {
            self.admit(slot, now);
            return;
        }
        self.watch_first_bytes(slot, now);
    }

    fn watch_first_bytes(&mut self, slot: SlotId, now: Instant) {
        let Some(connection) = self.held.get(slot) else {
            return;
        };
        let fd = connection.fd.as_fd();
        let token = token(FIRST_BYTES, slot.0);
        if self
            .poller
            .change(fd, token, Interest::NONE, Interest::READ)
            .is_err()
        {
            return self.admit(slot, now);
        }
        let until = now + self.config.peek_timeout;
        self.peeking.push_back(Peeking { slot, until });
    }

    /// Looks at the first bytes. `false`: there are none yet.
    fn look(&mut self, slot: SlotId) -> bool {
        let mut buffer = [0; super::config::SEEN_BYTES];
        let wanted = self.config.first_bytes().min(buffer.len());
        let Some(connection) = self.held.get_mut(slot) else {
            return true;
        };
        match sys::peek(connection.fd.as_fd(), &mut buffer[..wanted]) {
            Ok(count) => {
                connection.seen = buffer[..count].into();
                true
            }
            // A failed connection goes the usual way: its worker sees the failure.
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// First bytes are there.
    pub(super) fn first_bytes(&mut self, slot: SlotId, now: Instant) {
        if let Some(at) = self.peeking.iter().position(|peeking| peeking.slot == slot) {
            self.peeking.remove(at);
            self.look(slot);
            self.stop_watching(slot);
            self.admit(slot, now);
        }
    }

    /// First bytes did not come in time: the connection goes on without them.
    pub(super) fn give_up_looking(&mut self, now: Instant) {
        while let Some(peeking) = self.peeking.front().copied() {
            if peeking.until > now {
                return;
            }
            self.peeking.pop_front();
            self.stop_watching(peeking.slot);
            self.admit(peeking.slot, now);
        }
    }

    /// A connection that goes on must not be watched: its copies live elsewhere, and so would the watch.
    fn stop_watching(&self, slot: SlotId) {
        if let Some(connection) = self.held.get(slot) {
            let fd = connection.fd.as_fd();
            let token = token(FIRST_BYTES, slot.0);
            let _: io::Result<()> = self
                .poller
                .change(fd, token, Interest::READ, Interest::NONE);
        }
    }

    /// Lets the policy or the caller choose a worker.
    pub(super) fn admit(&mut self, slot: SlotId, now: Instant) {
        if self.config.ask || self.chooser.policy() == Policy::External {
            self.undecided.push(slot);
        } else {
            self.place(slot, None, now);
        }
    }

    /// A descriptor was closed: who rests because there was none need not rest any longer.
    pub(super) fn wake_listeners(&mut self) {
        for listener in self.listeners.iter_mut().flatten() {
            listener.acceptor.wake();
        }
    }

    /// Tells the kernel what is waited for, where it changed.
    pub(super) fn sync_interests(&mut self) -> io::Result<()> {
        let accepting = self.accepting;
        for (listener, number) in self.listeners.iter_mut().zip(0u32..) {
            let Some(listener) = listener else { continue };
            let read = listener.enabled && accepting && listener.acceptor.resting_until().is_none();
            let new = Interest { read, write: false };
            if new != listener.interest {
                let token = token(LISTENER, number);
                let fd = listener.acceptor.as_fd();
                self.poller.change(fd, token, listener.interest, new)?;
                listener.interest = new;
            }
        }
        for worker in &mut self.workers {
            let new = Interest {
                read: !worker.ended && worker.link.wants_read(),
                write: !worker.broken && worker.link.wants_write(),
            };
            if new != worker.interest {
                let token = token(WORKER, worker.id);
                let fd = worker.link.transport().as_fd();
                self.poller.change(fd, token, worker.interest, new)?;
                worker.interest = new;
            }
        }
        Ok(())
    }
}

//! What workers say.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use super::config::MAX_PREFIX;
use super::event::Event;
use super::{Manager, WORDS};
use crate::descriptor;
use crate::link::{Damage, FdBatch, MessageMeta, Sink, SinkStatus, Stop};
use crate::prefork::WorkerId;
use crate::prefork::acceptor::LIMIT_PAUSE;
use crate::prefork::held::SlotId;
use crate::prefork::verdict::{self, Count};
use crate::prefork::wire::{self, FromWorker};

/// Words that are rarer than "closed".
#[derive(Debug)]
pub(super) enum Word {
    Ready,
    Load(f64),
    Drained,
    Keeper {
        socket: OwnedFd,
        pid: u32,
    },
    Released {
        slot: SlotId,
        to: u32,
        prefix: Box<[u8]>,
        no_room: bool,
    },
    Message {
        to: u32,
        data: Vec<u8>,
        fds: Vec<OwnedFd>,
        damage: Option<Damage>,
    },
}

/// What one read brought.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    closed: Vec<u32>,
    received: Option<u32>,
    words: Vec<Word>,
}

impl Sink for Inbox {
    fn message(&mut self, meta: &MessageMeta, payload: &[u8], fds: &mut FdBatch<'_>) -> SinkStatus {
        match wire::from_worker(payload) {
            Some(FromWorker::Closed { received, slots }) => {
                self.received = Some(received);
                self.closed.extend(wire::words(slots));
            }
            Some(FromWorker::Released {
                slot,
                to,
                prefix,
                no_room,
            }) => self.words.push(Word::Released {
                slot: SlotId(slot),
                to,
                prefix: prefix.into(),
                no_room,
            }),
            Some(FromWorker::Ready) => self.words.push(Word::Ready),
            Some(FromWorker::Load(load)) => self.words.push(Word::Load(load)),
            Some(FromWorker::Drained) => self.words.push(Word::Drained),
            Some(FromWorker::Keeper { pid }) => {
                let keepers = fds.drain().map(|socket| Word::Keeper { socket, pid });
                self.words.extend(keepers);
            }
            Some(FromWorker::Message { to, data }) => self.words.push(Word::Message {
                to,
                data: data.to_vec(),
                fds: fds.drain().collect(),
                damage: meta.damage,
            }),
            // That it came is all a pong says; what is of a later version is passed over.
            Some(FromWorker::Pong(_) | FromWorker::Unknown(_)) | None => {}
        }
        SinkStatus::Continue
    }
}

impl Manager {
    /// Reads what a worker said. `true`: there may be more.
    pub(super) fn read_words(&mut self, at: usize, now: Instant) -> bool {
        let worker = &mut self.workers[at];
        if worker.ended {
            return false;
        }
        let result = worker
            .link
            .receive_into(&mut self.buffer, &mut self.inbox, &WORDS, now);
        let id = worker.id;
        if matches!(&result, Ok(received) if received.messages > 0) {
            worker.spoke(now);
            if worker.suspect {
                worker.suspect = false;
                worker.hung = false;
                self.events.push(Event::Recovered(id));
            }
        }
        self.apply_closed(at);
        let mut words = std::mem::take(&mut self.inbox.words);
        for word in words.drain(..) {
            self.apply(id, word, now);
        }
        self.inbox.words = words;
        let end = match result {
            Ok(received) if received.stopped == Stop::End => None,
            Ok(received) => return received.stopped != Stop::Drained,
            Err(error) => Some(error),
        };
        if let Some(at) = self.position(id) {
            let worker = &mut self.workers[at];
            (worker.broken, worker.ended) = (true, true);
            self.events.push(Event::ChannelEnded(id, end));
        }
        false
    }

    fn apply_closed(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        if let Some(received) = self.inbox.received.take() {
            worker.received = received;
        }
        for slot in self.inbox.closed.drain(..).map(SlotId) {
            // A worker speaks of its own connections only.
            if self
                .held
                .get(slot)
                .is_none_or(|connection| connection.worker != Some(worker.id))
            {
                continue;
            }
            if let Some(connection) = self.held.remove(slot) {
                worker.active = worker.active.saturating_sub(1);
                self.closing.push(connection.fd);
            }
        }
        if !self.closing.is_empty() {
            descriptor::close_all(&mut self.closing);
            self.wake_listeners();
        }
    }

    fn apply(&mut self, id: WorkerId, word: Word, now: Instant) {
        let Some(at) = self.position(id) else { return };
        match word {
            Word::Ready => {
                self.workers[at].ready = true;
                self.events.push(Event::Ready(id));
            }
            Word::Load(load) => self.workers[at].report(load),
            Word::Drained => {
                self.workers[at].draining = true;
                self.events.push(Event::Drained(id));
            }
            Word::Keeper { socket, pid } => self.workers[at].keeper = Some((socket, pid)),
            Word::Released {
                slot,
                to,
                prefix,
                no_room,
            } => {
                if no_room {
                    self.workers[at].resting_until = Some(now + LIMIT_PAUSE);
                }
                self.released(at, slot, to, prefix, now);
            }
            Word::Message {
                to,
                data,
                fds,
                damage,
            } if to == wire::TO_MANAGER => self.events.push(Event::Message {
                from: id,
                data,
                fds,
                damage,
            }),
            Word::Message {
                to,
                data,
                fds,
                damage,
            } => {
                let lost = damage.map_or(0, |damage| damage.counts().0);
                let lost = u16::try_from(lost).unwrap_or(u16::MAX);
                let payload = wire::damaged(self.workers[at].index, lost, &data);
                self.route(id, to, &payload, &fds, now);
            }
        }
    }

    /// A live worker hands a connection back: the kernel says where it stands, so that the next one is judged from there.
    fn released(&mut self, at: usize, slot: SlotId, to: u32, prefix: Box<[u8]>, now: Instant) {
        let id = self.workers[at].id;
        let Some(connection) = self
            .held
            .get_mut(slot)
            .filter(|connection| connection.worker == Some(id))
        else {
            return;
        };
        self.workers[at].active = self.workers[at].active.saturating_sub(1);
        connection.worker = None;
        match verdict::count(connection.fd.as_fd()) {
            Count::Over => return self.drop_slot(slot),
            Count::Open(mark) => connection.mark = mark,
            Count::Unknown => {}
        }
        if prefix.len() > MAX_PREFIX {
            return self.drop_slot(slot);
        }
        connection.prefix = prefix;
        connection.seen = Box::default();
        self.totals.moved += 1;
        if let Some(slot) = self.held.renew(slot) {
            if to == wire::TO_ANY {
                self.admit(slot, now);
            } else {
                self.place(slot, Some(to), now);
            }
        }
    }

    /// A message between workers goes through the manager.
    fn route(&mut self, from: WorkerId, to: u32, payload: &[u8], fds: &[OwnedFd], now: Instant) {
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        let receivers = self.workers.iter_mut().filter(|worker| {
            let meant = to == wire::TO_ALL || worker.index == to;
            meant && worker.id != from && worker.ready && !worker.draining && !worker.broken
        });
        for worker in receivers {
            // A worker that cannot be reached is about to be replaced; messages do not outlive it.
            if worker.say(payload, &fds, now).is_err() {
                worker.broken = worker.link.write_error().is_some();
            } else if to != wire::TO_ALL {
                // While workers are replaced there are two of one index, and the message is for one.
                break;
            }
        }
    }
}

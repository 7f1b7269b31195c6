//! The manager's state: listeners, workers, held connections, and one pollable descriptor for all of it.

mod config;
mod estate;
mod event;
mod intake;
mod placing;
mod roster;
mod turn;
mod watch;
mod words;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

pub use config::Config;
pub use event::{Decision, Event, Totals, WorkerStats};

use self::estate::Estate;
use self::roster::Worker;
use self::words::Inbox;
use super::WorkerId;
use super::acceptor::Acceptor;
use super::admission::TokenBuckets;
use super::held::{Connection, Held, SlotId};
use super::policy::Chooser;
use super::wire;
use crate::error::Result;
use crate::link::{Budget, LinkError, ReadBuffer, SendOptions};
use crate::sys::{Interest, Poller, Ready};

/// What a token of the poller stands for: the kind above, the number below.
const LISTENER: u64 = 0;
const WORKER: u64 = 1;
const FIRST_BYTES: u64 = 2;
const ESTATE: u64 = 3;

const fn token(kind: u64, number: u32) -> u64 {
    kind << 32 | number as u64
}

#[derive(Debug)]
struct Listener {
    acceptor: Acceptor,
    /// Whether the manager accepts from it at all.
    enabled: bool,
    /// It was told that the socket has failed, and is not asked again before it is enabled.
    failed: bool,
    interest: Interest,
    /// There may be more to accept than the budget of one turn.
    more: bool,
}

/// A connection that nobody could take so far.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    slot: SlotId,
    /// The index it must go to.
    to: Option<u32>,
    until: Instant,
}

/// A connection whose first bytes are waited for.
#[derive(Clone, Copy, Debug)]
struct Peeking {
    slot: SlotId,
    until: Instant,
}

/// Accepts connections and gives them to workers over framed links.
///
/// It never waits and has no clock: poll [`Manager::as_fd`] for readability, call [`Manager::begin`], decide what it
/// asks (with [`super::policy::Policy::External`]), call [`Manager::finish`]. Processes are the caller's business: it
/// says when one has died ([`Manager::worker_died`]) and does what an [`Event`] asks for.
#[derive(Debug)]
pub struct Manager {
    config: Config,
    poller: Poller,
    listeners: Vec<Option<Listener>>,
    workers: Vec<Worker>,
    next_worker: WorkerId,
    /// Of dead workers whose keepers still send.
    estates: Vec<Estate>,
    /// Keepers that have ended and that nobody else buries.
    unburied: Vec<u32>,
    held: Held,
    waiting: VecDeque<Waiting>,
    peeking: VecDeque<Peeking>,
    undecided: Vec<SlotId>,
    chooser: Chooser,
    admission: Option<TokenBuckets>,
    events: Vec<Event>,
    totals: Totals,
    accepting: bool,
    armed: Option<Instant>,
    beat: u32,
    next_beat: Option<Instant>,
    // Memory that is used again each turn.
    buffer: ReadBuffer,
    inbox: Inbox,
    ready: Vec<Ready>,
    batch: wire::Batch,
    closing: Vec<OwnedFd>,
}

impl Manager {
    /// A manager without listeners and workers.
    ///
    /// # Errors
    /// EMFILE, ENFILE: no free descriptor.
    pub fn new(config: Config) -> io::Result<Self> {
        Ok(Self {
            poller: Poller::new()?,
            listeners: Vec::new(),
            workers: Vec::new(),
            next_worker: 1,
            estates: Vec::new(),
            unburied: Vec::new(),
            held: Held::default(),
            waiting: VecDeque::new(),
            peeking: VecDeque::new(),
            undecided: Vec::new(),
            chooser: Chooser::new(config.policy),
            admission: None,
            events: Vec::new(),
            totals: Totals::default(),
            accepting: false,
            armed: None,
            beat: 0,
            next_beat: None,
            buffer: ReadBuffer::new(),
            inbox: Inbox::default(),
            ready: Vec::new(),
            batch: wire::Batch::default(),
            closing: Vec::new(),
            config,
        })
    }

    /// Refuses connections above what these buckets allow.
    pub fn set_admission(&mut self, admission: Option<TokenBuckets>) {
        self.admission = admission;
    }

    /// Takes a listening socket and returns its number. `enabled`: the manager accepts from it.
    ///
    /// # Errors
    /// [`crate::Error::Kind`]: it does not listen.
    pub fn add_listener(&mut self, fd: OwnedFd, enabled: bool) -> Result<u16> {
        let listener = Listener {
            acceptor: Acceptor::new(fd)?,
            enabled,
            failed: false,
            interest: Interest::NONE,
            more: false,
        };
        let number = u16::try_from(self.listeners.len()).unwrap_or(u16::MAX);
        self.listeners.push(Some(listener));
        Ok(number)
    }

    /// Starts or stops accepting from a listener; it stays open.
    pub fn enable_listener(&mut self, number: u16, enabled: bool) {
        if let Some(Some(listener)) = self.listeners.get_mut(usize::from(number)) {
            listener.enabled = enabled;
            listener.failed &= !enabled;
        }
    }

    /// Closes a listener, after taking in who waits in its queue and finds a worker. Who is left there is refused, unless
    /// somebody else has a copy of it.
    pub fn close_listener(&mut self, number: u16, now: Instant) {
        let mut accepted = u64::MAX;
        while accepted != self.totals.accepted {
            accepted = self.totals.accepted;
            self.accept_some(usize::from(number), now);
        }
        let Some(place) = self.listeners.get_mut(usize::from(number)) else {
            return;
        };
        if let Some(listener) = place.take() {
            let token = token(LISTENER, u32::from(number));
            let fd = listener.acceptor.as_fd();
            // Closing takes it out as well, but not where a worker has a copy.
            let _: io::Result<()> =
                self.poller
                    .change(fd, token, listener.interest, Interest::NONE);
        }
    }

    /// The descriptor of a listener, for a look.
    #[must_use]
    pub fn listener(&self, number: u16) -> Option<BorrowedFd<'_>> {
        let listener = self.listeners.get(usize::from(number))?.as_ref()?;
        Some(listener.acceptor.as_fd())
    }

    /// Takes the manager's end of a worker's socket. The worker gets nothing before it says that it is ready.
    ///
    /// # Errors
    /// [`crate::Error::NotUnixSocket`], [`crate::Error::Kind`]: no Unix stream socket.
    pub fn add_worker(
        &mut self,
        socket: OwnedFd,
        index: u32,
        weight: u32,
        now: Instant,
    ) -> Result<WorkerId> {
        let id = self.next_worker;
        let worker = Worker::new(id, socket, index, weight, now)?;
        self.next_worker = self.next_worker.wrapping_add(1).max(1);
        self.workers.push(worker);
        Ok(id)
    }

    /// The process of a worker has ended and its descriptors are closed: reads its last words, asks the kernel about
    /// every connection it held, and gives away what it had not touched. What its keeper sends is treated in the same way
    /// as it comes; [`Event::Inherited`] follows when that is through. Call it for a dead process only.
    pub fn worker_died(&mut self, id: WorkerId, now: Instant) {
        let Some(at) = self.position(id) else { return };
        // What it said before it died: closed connections must not be given away.
        while self.read_words(at, now) {}
        let mut worker = self.workers.remove(at);
        self.forget(&worker);
        let mut estate = Estate::new(id, worker.keeper.take(), &self.held, now);
        for slot in self.held.of_worker(id) {
            estate.count(&self.inherit(slot, now));
        }
        self.wake_listeners();
        self.open_estate(estate, now);
    }

    fn forget(&self, worker: &Worker) {
        let token = token(WORKER, worker.id);
        let fd = worker.link.transport().as_fd();
        // Closing the socket takes it out as well.
        let _: io::Result<()> = self
            .poller
            .change(fd, token, worker.interest, Interest::NONE);
    }

    /// Gives a worker nothing more and tells it to finish within `millis`. `hand_back`: connections that are idle go to
    /// other workers.
    ///
    /// # Errors
    /// The worker is gone.
    pub fn drain_worker(
        &mut self,
        id: WorkerId,
        hand_back: bool,
        millis: u32,
        now: Instant,
    ) -> std::result::Result<(), LinkError> {
        let Some(at) = self.position(id) else {
            return Ok(());
        };
        self.hand_off(at, now);
        let worker = &mut self.workers[at];
        worker.draining = true;
        worker.say(&wire::drain(hand_back, millis), &[], now)
    }

    /// Sends a message of the application to a worker.
    ///
    /// # Errors
    /// The worker is gone, or its queue is full.
    pub fn send(
        &mut self,
        id: WorkerId,
        data: &[u8],
        fds: &[BorrowedFd<'_>],
        now: Instant,
    ) -> std::result::Result<(), LinkError> {
        match self.position(id) {
            Some(at) => self.workers[at].say(&wire::message(wire::TO_MANAGER, data), fds, now),
            None => Err(LinkError::PeerGone),
        }
    }

    /// Gives listening sockets to a worker, which accepts from them itself.
    ///
    /// # Errors
    /// The worker is gone.
    pub fn give_listeners(
        &mut self,
        id: WorkerId,
        numbers: &[u16],
        now: Instant,
    ) -> std::result::Result<(), LinkError> {
        let Some(at) = self.position(id) else {
            return Err(LinkError::PeerGone);
        };
        let listeners = &self.listeners;
        let (mut names, mut fds) = (Vec::new(), Vec::new());
        for number in numbers {
            if let Some(Some(listener)) = listeners.get(usize::from(*number)) {
                names.push(u32::from(*number));
                fds.push(listener.acceptor.as_fd());
            }
        }
        self.workers[at].say(&wire::listeners(&names), &fds, now)
    }

    /// What happened since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Counts of the manager as a whole.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            held: self.held.len(),
            waiting: self.waiting.len() + self.peeking.len(),
            accepting: self.accepting,
            ..self.totals
        }
    }

    /// Counts of one worker.
    #[must_use]
    pub fn worker_stats(&self, id: WorkerId) -> Option<WorkerStats> {
        let (in_flight, connections) = (self.config.max_in_flight, self.config.max_connections);
        Some(self.workers[self.position(id)?].stats(in_flight, connections))
    }

    /// A held connection, for a look.
    #[must_use]
    pub fn connection(&self, slot: SlotId) -> Option<&Connection> {
        self.held.get(slot)
    }

    fn position(&self, id: WorkerId) -> Option<usize> {
        self.workers.iter().position(|worker| worker.id == id)
    }
}

impl AsFd for Manager {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

impl Worker {
    fn say(
        &mut self,
        payload: &[u8],
        fds: &[BorrowedFd<'_>],
        now: Instant,
    ) -> std::result::Result<(), LinkError> {
        self.link
            .try_send(payload, fds, SendOptions::default(), now)
            .map(|_| ())
    }
}

/// One read of a worker's words: bounded, so that one worker cannot keep the others waiting.
const WORDS: Budget = Budget {
    bytes: 256 * 1024,
    messages: 256,
    fds: 256,
};

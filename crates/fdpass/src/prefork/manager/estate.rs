//! What a dead worker had accepted by itself: its keeper sends it, the kernel says of each connection how far it had come.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::event::Event;
use super::{ESTATE, Manager, token};
use crate::message::{self, Arrival, Wait};
use crate::prefork::WorkerId;
use crate::prefork::held::{Connection, Held};
use crate::prefork::peer::Peer;
use crate::prefork::verdict::{self, Count, Verdict};
use crate::socket::{Socket, SocketType};
use crate::sys::{self, Interest, RawAddress};

/// How long a keeper is waited for. It needs some microseconds for each connection; a stopped one never ends.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many messages of one keeper are read in one turn.
const BUDGET: usize = 128;

/// What a dead worker leaves behind.
#[derive(Debug)]
pub(super) struct Estate {
    worker: WorkerId,
    keeper: Option<(OwnedFd, u32)>,
    /// The sockets that the manager had a copy of: those are judged as held connections, here they are passed over.
    known: HashSet<u64>,
    pub(super) until: Instant,
    reassigned: u32,
    replayed: u32,
    closed: u32,
}

impl Estate {
    pub(super) fn new(
        worker: WorkerId,
        keeper: Option<(OwnedFd, u32)>,
        held: &Held,
        now: Instant,
    ) -> Self {
        let known = if keeper.is_some() {
            held.iter().filter_map(|held| socket_of(&held.fd)).collect()
        } else {
            HashSet::new()
        };
        Self {
            worker,
            keeper,
            known,
            until: now + PATIENCE,
            reassigned: 0,
            replayed: 0,
            closed: 0,
        }
    }

    pub(super) fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Untouched => self.reassigned += 1,
            Verdict::Replay(_) => self.replayed += 1,
            Verdict::Close => self.closed += 1,
        }
    }
}

/// The number that the kernel gives a socket: the same for all its descriptors, in all processes.
fn socket_of(fd: &OwnedFd) -> Option<u64> {
    let status = sys::fstat(fd.as_fd()).ok()?;
    Some(sys::to_status(&status).inode)
}

impl Manager {
    /// Begins to listen to the keeper of a dead worker, or says at once what became of its connections.
    pub(super) fn open_estate(&mut self, estate: Estate, now: Instant) {
        let watched = estate.keeper.as_ref().is_some_and(|(socket, _)| {
            let token = token(ESTATE, estate.worker);
            self.poller
                .change(socket.as_fd(), token, Interest::NONE, Interest::READ)
                .is_ok()
        });
        let id = estate.worker;
        self.estates.push(estate);
        if watched {
            self.estate_ready(id, now);
        } else {
            self.close_estate(self.estates.len() - 1);
        }
    }

    /// A keeper has sent something, or has ended.
    pub(super) fn estate_ready(&mut self, worker: WorkerId, now: Instant) {
        let Some(at) = self
            .estates
            .iter()
            .position(|estate| estate.worker == worker)
        else {
            return;
        };
        let mut fds = Vec::new();
        let mut end = false;
        if let Some((socket, _)) = &self.estates[at].keeper {
            let socket = Socket::known(socket.as_fd(), SocketType::Stream);
            for _ in 0..BUDGET {
                let mut arrival = Arrival::default();
                let (bytes, wait) = (&mut [0; 64], Wait::Never);
                match message::receive_into(socket, bytes, &mut fds, &mut arrival, wait) {
                    Ok(true) => {}
                    Err(error) if error.is_would_block() => break,
                    Ok(false) | Err(_) => {
                        end = true;
                        break;
                    }
                }
            }
        }
        for fd in fds {
            if let Some(verdict) = self.rescue(at, fd, now) {
                self.estates[at].count(&verdict);
            }
        }
        if end {
            self.close_estate(at);
        }
    }

    /// Gives a connection that a dead worker had accepted to another worker, if nobody has read from it. `None`: it is no
    /// connection of ours, or is over.
    fn rescue(&mut self, at: usize, fd: OwnedFd, now: Instant) -> Option<Verdict> {
        let known = socket_of(&fd).is_none_or(|socket| self.estates[at].known.contains(&socket));
        let count = verdict::count(fd.as_fd());
        if known || !matches!(count, Count::Open(_)) {
            return None;
        }
        let listener = self.listener_of(fd.as_fd())?;
        let peer = sys::peer_address(fd.as_fd()).map_or(Peer::Unix, |peer| Peer::from_raw(&peer));
        let connection = Connection::new(fd, listener, peer, now);
        let verdict = verdict::judge(&connection, count, false);
        if verdict != Verdict::Untouched {
            self.totals.closed += 1;
            return Some(verdict);
        }
        self.totals.reassigned += 1;
        match self.held.insert(connection) {
            Ok(slot) => self.admit(slot, now),
            Err(_full) => self.totals.dropped += 1,
        }
        Some(verdict)
    }

    /// The listener that a connection came from: the one at its port.
    fn listener_of(&self, fd: BorrowedFd<'_>) -> Option<u16> {
        let port = port_of(fd)?;
        let listeners = self.listeners.iter().zip(0u16..);
        listeners
            .filter_map(|(listener, number)| Some((listener.as_ref()?, number)))
            .find(|(listener, _)| port_of(listener.acceptor.as_fd()) == Some(port))
            .map(|(_, number)| number)
    }

    /// Nothing more comes.
    fn close_estate(&mut self, at: usize) {
        let estate = self.estates.swap_remove(at);
        if let Some((socket, pid)) = estate.keeper {
            let token = token(ESTATE, estate.worker);
            // Closing takes it out as well.
            let _: io::Result<()> =
                self.poller
                    .change(socket.as_fd(), token, Interest::READ, Interest::NONE);
            self.unburied.push(pid);
            self.bury();
        }
        self.events.push(Event::Inherited {
            worker: estate.worker,
            reassigned: estate.reassigned,
            replayed: estate.replayed,
            closed: estate.closed,
        });
    }

    pub(super) fn close_old_estates(&mut self, now: Instant) {
        while let Some(at) = self.estates.iter().position(|estate| estate.until <= now) {
            self.close_estate(at);
        }
    }

    /// An orphan is buried by the first process of its container, or by one that offered to. If that is this one, nobody
    /// else does; it is tried again until the keeper has ended, which its socket says a moment too early.
    pub(super) fn bury(&mut self) {
        if self.unburied.is_empty() {
            return;
        }
        if !sys::adopts_orphans() {
            self.unburied.clear();
        }
        self.unburied.retain(|pid| !sys::bury(*pid));
    }
}

fn port_of(fd: BorrowedFd<'_>) -> Option<u16> {
    match sys::local_address(fd) {
        Ok(RawAddress::Inet(address)) => Some(address.port()),
        _ => None,
    }
}

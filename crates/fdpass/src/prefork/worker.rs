//! A worker's side: takes connections, says what became of them.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::time::Instant;

use super::peer::Peer;
use super::wire::{self, FromManager};
use crate::error::Result;
use crate::link::{
    self, Budget, Damage, FdBatch, Link, LinkError, MessageMeta, ReadBuffer, SendOptions, Sink,
    SinkStatus, SocketTransport, Stop,
};
use crate::socket::{self, SocketType};
use crate::sys::{self, RawAddress};

/// A worker says how many connections it has received at least this often, so that its manager sends more.
const REPORT_EVERY: u32 = 64;

/// A connection that a manager gave.
#[derive(Debug)]
pub struct Given {
    /// Yours.
    pub fd: OwnedFd,
    /// Names it in [`Worker::closed`] and [`Worker::release`].
    pub slot: u32,
    /// The number of the manager's listener it came from.
    pub listener: u16,
    /// The client.
    pub peer: Peer,
    /// Bytes that come before what is in the socket.
    pub prefix: Box<[u8]>,
}

/// What a manager said, in order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Order {
    /// Serve this.
    Serve(Given),
    /// Accept from these listening sockets.
    Accept(Vec<(u32, OwnedFd)>),
    /// Finish, handing back what is idle if `hand_back`; what is left after `millis` is cut.
    Drain {
        /// Idle connections go to others.
        hand_back: bool,
        /// The time there is.
        millis: u32,
    },
    /// A message of the application.
    Message {
        /// The worker it comes from, or [`wire::TO_MANAGER`].
        from: u32,
        /// The bytes.
        data: Vec<u8>,
        /// The descriptors.
        fds: Vec<OwnedFd>,
        /// Why it is not whole; then it has no descriptors.
        damage: Option<Damage>,
    },
    /// Connections or listeners of this message were lost on the way, because this process has no free descriptor.
    /// The manager has them still, and judges them when this worker ends.
    Lost {
        /// How many.
        count: u32,
    },
}

#[derive(Debug, Default)]
struct Inbox {
    orders: Vec<Order>,
    /// Slots whose descriptors did not arrive, with the bytes that came before what is in their sockets.
    lost: Vec<(u32, Box<[u8]>)>,
    ping: Option<u32>,
    received: u32,
}

impl Sink for Inbox {
    fn message(&mut self, meta: &MessageMeta, payload: &[u8], fds: &mut FdBatch<'_>) -> SinkStatus {
        match wire::from_manager(payload) {
            Some(FromManager::Connections(connections)) => {
                let mut fds = fds.drain();
                for (record, prefix) in connections {
                    self.received = self.received.wrapping_add(1);
                    let Some(fd) = fds.next() else {
                        self.lost.push((record.slot, prefix.into()));
                        continue;
                    };
                    self.orders.push(Order::Serve(Given {
                        fd,
                        slot: record.slot,
                        listener: record.listener,
                        peer: record.peer,
                        prefix: prefix.into(),
                    }));
                }
            }
            Some(FromManager::Listeners(numbers)) => {
                self.orders.push(Order::Accept(
                    numbers.into_iter().zip(fds.drain()).collect(),
                ));
            }
            Some(FromManager::Ping(number)) => self.ping = Some(number),
            Some(FromManager::Drain { hand_back, millis }) => {
                self.orders.push(Order::Drain { hand_back, millis });
            }
            Some(FromManager::Message { from, lost, data }) => {
                let before = (lost > 0).then_some(Damage::Withdrawn {
                    sent: lost.into(),
                    received: 0,
                });
                self.orders.push(Order::Message {
                    from,
                    data: data.to_vec(),
                    fds: fds.drain().collect(),
                    damage: meta.damage.or(before),
                });
                return SinkStatus::Continue;
            }
            Some(FromManager::Unknown(_)) | None => {}
        }
        if let Some(damage) = &meta.damage {
            self.orders.push(Order::Lost {
                count: damage.counts().0,
            });
        }
        SinkStatus::Continue
    }
}

/// The worker's end of the link to its manager. It never waits: poll [`Worker::as_fd`] as [`Worker::wants_write`] says.
#[derive(Debug)]
pub struct Worker {
    link: Link<SocketTransport>,
    buffer: ReadBuffer,
    inbox: Inbox,
    /// Of the received connections, how many the manager was told of.
    reported: u32,
    /// Words that found the queue full. None may be lost: the manager would keep its copy of a closed connection.
    unsaid: VecDeque<Vec<u8>>,
}

impl Worker {
    /// Takes the worker's end of the socket.
    ///
    /// # Errors
    /// [`crate::Error::NotUnixSocket`], [`crate::Error::Kind`]: no Unix stream socket.
    pub fn new(socket: OwnedFd) -> Result<Self> {
        Ok(Self {
            link: Link::new(SocketTransport::new(socket)?, link::Config::default()),
            buffer: ReadBuffer::new(),
            inbox: Inbox::default(),
            reported: 0,
            unsaid: VecDeque::new(),
        })
    }

    /// Reads what the manager said, and answers its pings. `true`: that was all for now. `false`: call again soon.
    /// An empty list of orders and `Ok(None)` is the end: the manager closed.
    ///
    /// # Errors
    /// The manager is gone, or does not speak this protocol.
    pub fn receive(
        &mut self,
        orders: &mut Vec<Order>,
        now: Instant,
    ) -> std::result::Result<Option<bool>, LinkError> {
        let result =
            self.link
                .receive_into(&mut self.buffer, &mut self.inbox, &Budget::default(), now);
        orders.append(&mut self.inbox.orders);
        if let Some(number) = self.inbox.ping.take() {
            self.say(&wire::beat(wire::PONG, number), now)?;
        }
        for (slot, prefix) in std::mem::take(&mut self.inbox.lost) {
            // The manager has its copy; somebody else may have more room.
            self.say(&wire::released(slot, wire::TO_ANY, &prefix, true), now)?;
        }
        if self.inbox.received.wrapping_sub(self.reported) >= REPORT_EVERY {
            self.closed(&[], now)?;
        }
        if self.link.wants_write() {
            self.flush(now)?;
        }
        Ok(match result?.stopped {
            Stop::End => None,
            Stop::Drained => Some(true),
            _ => Some(false),
        })
    }

    /// Says a word of the protocol, as soon as there is room for it.
    fn say(&mut self, payload: &[u8], now: Instant) -> std::result::Result<(), LinkError> {
        self.say_unsaid(now)?;
        if self.unsaid.is_empty() {
            match self.try_say(payload, &[], now) {
                Err(LinkError::QueueFull { .. }) => {}
                said => return said,
            }
        }
        self.unsaid.push_back(payload.to_vec());
        Ok(())
    }

    fn say_unsaid(&mut self, now: Instant) -> std::result::Result<(), LinkError> {
        while let Some(payload) = self.unsaid.pop_front() {
            match self.try_say(&payload, &[], now) {
                Err(LinkError::QueueFull { .. }) => {
                    self.unsaid.push_front(payload);
                    break;
                }
                said => said?,
            }
        }
        Ok(())
    }

    fn try_say(
        &mut self,
        payload: &[u8],
        fds: &[BorrowedFd<'_>],
        now: Instant,
    ) -> std::result::Result<(), LinkError> {
        self.link
            .try_send(payload, fds, SendOptions::default(), now)
            .map(|_| ())
    }

    /// Says that this worker can take connections.
    ///
    /// # Errors
    /// The manager is gone.
    pub fn ready(&mut self, now: Instant) -> std::result::Result<(), LinkError> {
        self.say(&[wire::READY], now)
    }

    /// Says that these connections are closed: once a turn of the loop, for all of the turn.
    ///
    /// # Errors
    /// The manager is gone.
    pub fn closed(&mut self, slots: &[u32], now: Instant) -> std::result::Result<(), LinkError> {
        self.reported = self.inbox.received;
        self.say(&wire::closed(self.inbox.received, slots), now)
    }

    /// Starts a keeper (Linux): a small process that shares this one's table of descriptors. When this process has ended,
    /// however it did, the keeper sends the TCP connections at the ports of `listeners` to the manager, which gives those
    /// that nobody had read from to others. For a worker that accepts by itself; before it accepts. Once in a process:
    /// two descriptors stay open in it for ever.
    ///
    /// Returns whether there is one. There is none where the kernel or a sandbox refuses, on other systems, and for
    /// listeners that are not of TCP.
    ///
    /// # Errors
    /// The manager is gone.
    pub fn keep(
        &mut self,
        listeners: &[BorrowedFd<'_>],
        now: Instant,
    ) -> std::result::Result<bool, LinkError> {
        let ports: Vec<u16> = listeners.iter().filter_map(|fd| port_of(*fd)).collect();
        if ports.is_empty() || ports.len() > sys::MAX_KEPT_PORTS {
            return Ok(false);
        }
        let Ok((ours, theirs)) = socket::pair(SocketType::Stream) else {
            return Ok(false);
        };
        let Ok(pid) = sys::start_keeper(ours.as_fd(), &ports) else {
            return Ok(false);
        };
        // The keeper knows it by its number, which must not come to mean anything else.
        let _for_the_keeper = ours.into_raw_fd();
        self.try_say(&wire::keeper(pid), &[theirs.as_fd()], now)?;
        Ok(true)
    }

    /// Hands a connection back for the worker at index `to` ([`wire::TO_ANY`]: whoever is chosen), with the bytes that
    /// were read and not served. Close your descriptor without shutting it down, before or after.
    ///
    /// # Errors
    /// The manager is gone.
    pub fn release(
        &mut self,
        slot: u32,
        to: u32,
        prefix: &[u8],
        now: Instant,
    ) -> std::result::Result<(), LinkError> {
        self.say(&wire::released(slot, to, prefix, false), now)
    }

    /// Says how busy this worker is; any figure that is comparable between workers.
    ///
    /// # Errors
    /// The manager is gone, or the queue to it is full.
    pub fn report(&mut self, load: f64, now: Instant) -> std::result::Result<(), LinkError> {
        self.try_say(&wire::load(load), &[], now)
    }

    /// Says that nothing is left and nothing more is taken.
    ///
    /// # Errors
    /// The manager is gone.
    pub fn drained(&mut self, now: Instant) -> std::result::Result<(), LinkError> {
        self.say(&[wire::DRAINED], now)
    }

    /// Sends a message of the application to the worker at index `to`, to the manager or to all.
    ///
    /// # Errors
    /// The manager is gone, or the queue to it is full.
    pub fn send(
        &mut self,
        to: u32,
        data: &[u8],
        fds: &[BorrowedFd<'_>],
        now: Instant,
    ) -> std::result::Result<(), LinkError> {
        self.try_say(&wire::message(to, data), fds, now)
    }

    /// Writes what is queued.
    ///
    /// # Errors
    /// The manager is gone.
    pub fn flush(&mut self, now: Instant) -> std::result::Result<(), LinkError> {
        self.link.flush(now)?;
        self.say_unsaid(now)
    }

    /// Whether to poll for readability.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.link.wants_read()
    }

    /// Whether to poll for writability.
    #[must_use]
    pub fn wants_write(&self) -> bool {
        self.link.wants_write()
    }
}

fn port_of(listener: BorrowedFd<'_>) -> Option<u16> {
    match sys::local_address(listener) {
        Ok(RawAddress::Inet(address)) => Some(address.port()),
        _ => None,
    }
}

impl AsFd for Worker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.transport().as_fd()
    }
}

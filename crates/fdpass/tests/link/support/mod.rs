//! What the tests of links share: a transport that fails on demand, a sink that keeps, descriptors that can be told
//! apart, and two links driven by hand.
#![allow(
    dead_code,
    clippy::allow_attributes,
    unreachable_pub,
    unused_imports,
    reason = "two test programs share this and each uses a part"
)]

mod fault;
mod tag;

pub use fault::{Fault, FaultTransport, Script};
pub use tag::Tag;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use fdpass::link::{
    Budget, Config, Damage, FdBatch, Link, LinkError, MessageMeta, ReadBuffer, Received,
    SendOptions, Sink, SinkStatus, SocketTransport, Stop, Transport,
};
use fdpass::socket::{self, SocketType};

/// A message as it arrived.
#[derive(Debug)]
pub struct Got {
    pub id: u64,
    pub payload: Vec<u8>,
    pub sent_fds: usize,
    pub fds: Vec<OwnedFd>,
    pub damage: Option<Damage>,
}

/// Keeps everything.
#[derive(Debug, Default)]
pub struct Keep {
    pub messages: Vec<Got>,
}

impl Sink for Keep {
    fn message(&mut self, meta: &MessageMeta, payload: &[u8], fds: &mut FdBatch<'_>) -> SinkStatus {
        self.messages.push(Got {
            id: meta.id,
            payload: payload.to_vec(),
            sent_fds: meta.fds,
            fds: fds.drain().collect(),
            damage: meta.damage,
        });
        SinkStatus::Continue
    }
}

/// One end: a link and what a program keeps beside it.
pub struct End<T: Transport = FaultTransport> {
    pub link: Link<T>,
    pub buffer: ReadBuffer,
    pub got: Keep,
    pub now: Instant,
}

impl<T: Transport> End<T> {
    pub fn new(transport: T, config: Config) -> Self {
        Self {
            link: Link::new(transport, config),
            buffer: ReadBuffer::new(),
            got: Keep::default(),
            now: Instant::now(),
        }
    }

    pub fn send(&mut self, payload: &[u8], fds: &[BorrowedFd<'_>]) -> u64 {
        let options = SendOptions::default();
        self.link
            .try_send(payload, fds, options, self.now)
            .expect("the send is taken")
            .id
    }

    pub fn send_acked(&mut self, payload: &[u8], fds: &[BorrowedFd<'_>]) -> u64 {
        let options = SendOptions { ack: true };
        self.link
            .try_send(payload, fds, options, self.now)
            .expect("the send is taken")
            .id
    }

    pub fn receive(&mut self) -> Result<Received, LinkError> {
        let budget = Budget::default();
        self.link
            .receive_into(&mut self.buffer, &mut self.got, &budget, self.now)
    }

    /// Reads until the socket is dry.
    pub fn receive_all(&mut self) -> Result<Stop, LinkError> {
        let mut idle = 0;
        loop {
            let received = self.receive()?;
            match received.stopped {
                Stop::Drained if received.bytes == 0 => idle += 1,
                Stop::End => return Ok(Stop::End),
                _ => idle = 0,
            }
            // A fault may look like a dry socket once.
            if idle > 3 {
                return Ok(Stop::Drained);
            }
        }
    }

    /// The message `index`, its payload and descriptors checked.
    pub fn expect(&self, index: usize, payload: &[u8], tags: &[&Tag]) {
        let got = &self.got.messages[index];
        assert_eq!(got.damage, None, "message {index}");
        assert!(got.payload == payload, "payload of message {index}");
        assert_eq!(got.fds.len(), tags.len(), "descriptors of message {index}");
        for (fd, tag) in got.fds.iter().zip(tags) {
            tag.assert_is(fd);
        }
    }
}

/// Two connected ends with every fault at hand.
pub fn pair() -> (End, End) {
    pair_with(Config::default(), Config::default())
}

pub fn pair_with(left: Config, right: Config) -> (End, End) {
    let (a, b) = socket::pair(SocketType::Stream).unwrap();
    (
        End::new(FaultTransport::new(SocketTransport::new(a).unwrap()), left),
        End::new(FaultTransport::new(SocketTransport::new(b).unwrap()), right),
    )
}

/// An end and the bare socket of its peer.
pub fn with_raw_peer(config: Config) -> (End, OwnedFd) {
    let (a, b) = socket::pair(SocketType::Stream).unwrap();
    let transport = FaultTransport::new(SocketTransport::new(a).unwrap());
    (End::new(transport, config), b)
}

/// Drives both ends until nothing moves. Errors are returned with the end they came from.
pub fn settle(left: &mut End, right: &mut End) -> Result<(), LinkError> {
    let mut quiet = 0;
    while quiet < 4 {
        let before = (progress(left), progress(right));
        for end in [&mut *left, &mut *right] {
            if end.link.pressure().is_some() {
                end.now = end.link.next_deadline().unwrap().max(end.now);
                end.link.on_deadline(end.now)?;
            }
            if end.link.wants_write() {
                end.link.flush(end.now)?;
            }
            if end.link.wants_read() || end.link.has_buffered() {
                end.receive()?;
            }
        }
        quiet = if before == (progress(left), progress(right)) {
            quiet + 1
        } else {
            0
        };
    }
    Ok(())
}

/// What moved, and how many faults are still to come.
fn progress(end: &End) -> (usize, usize) {
    let script = end.link.transport().script();
    let faults = script.borrow().send.len() + script.borrow().receive.len();
    (end.link.transport().moved(), faults)
}

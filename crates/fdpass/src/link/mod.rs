//! A framed connection on a non-blocking socket.
//!
//! A [`Link`] carries messages of bytes and any number of descriptors, in order, each whole or with a clear
//! [`Damage`]. It never waits and has no clock: it says when it [wants to read](Link::wants_read) or
//! [to write](Link::wants_write) and [when to be called again](Link::next_deadline), and is told what time it is. Every
//! event loop can drive it, and every test can.
//!
//! - Sending: [`Link::try_send`] lends descriptors, [`Link::try_send_owned`] moves them. What the kernel does not take
//!   at once waits in a queue that is bounded in bytes, messages **and** descriptors.
//! - Receiving: [`Link::receive_into`] hands messages to a [`Sink`], without an allocation for each, within a
//!   [`Budget`].
//! - The end: [`Link::close`] flushes and says goodbye. A stream that ends without goodbye is
//!   [`LinkError::PeerGone`].
//!
//! The wire format is [`crate::frame`]; the socket is behind [`Transport`], so that tests can put every fault there.
//!
//! # Examples
//! ```
//! use std::os::fd::AsFd;
//! use std::time::Instant;
//! use fdpass::link::{
//!     Budget, Config, FdBatch, Link, MessageMeta, ReadBuffer, SendOptions, Sink, SinkStatus, SocketTransport,
//! };
//! use fdpass::socket::{self, SocketType};
//!
//! struct Print;
//! impl Sink for Print {
//!     fn message(&mut self, _: &MessageMeta, payload: &[u8], fds: &mut FdBatch<'_>) -> SinkStatus {
//!         assert_eq!((payload, fds.len()), (&b"here"[..], 1));
//!         SinkStatus::Continue // what was not taken is closed
//!     }
//! }
//!
//! let (left, right) = socket::pair(SocketType::Stream)?;
//! let mut left = Link::new(SocketTransport::new(left)?, Config::default());
//! let mut right = Link::new(SocketTransport::new(right)?, Config::default());
//! let file = std::fs::File::open("/dev/null").expect("every Unix has it");
//! let now = Instant::now();
//!
//! let sent = left.try_send(b"here", &[file.as_fd()], SendOptions::default(), now).expect("the peer is alive");
//! assert!(sent.written);
//! let received = right.receive_into(&mut ReadBuffer::new(), &mut Print, &Budget::default(), now);
//! assert_eq!(received.expect("a sound stream").messages, 1);
//! # Ok::<(), fdpass::Error>(())
//! ```

mod acks;
mod batches;
mod begin;
mod buffer;
mod close;
mod config;
mod connection;
mod deliver;
mod error;
mod flush;
mod habit;
mod inbox;
mod outbox;
mod receive;
mod send;
mod senders;
mod sink;
mod split;
mod transport;

pub use buffer::ReadBuffer;
pub use config::{Accept, Config, Limits, Marks};
pub use connection::{Link, State};
pub use error::{LinkError, QueueLimit, SendFailure, Waited};
pub use flush::{Flush, Pressure};
pub use outbox::Load;
pub use send::{SendOptions, Sent};
pub use sink::{Budget, Damage, FdBatch, MessageMeta, Received, Sink, SinkStatus, Stop};
pub use transport::{Chunk, SocketTransport, Transport};

//! What a link is told when it is made.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::{frame, limits, sys};

/// The largest message a side accepts. Told to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Payload bytes of one message.
    pub max_message_bytes: u32,
    /// Descriptors of one message.
    pub max_message_fds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: limits::LINK_MAX_MESSAGE_BYTES,
            max_message_fds: limits::LINK_MAX_MESSAGE_FDS,
        }
    }
}

/// Three counts of what is queued. Each counts on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Bytes, headers included.
    pub bytes: usize,
    /// Messages.
    pub messages: usize,
    /// Descriptors, those held until acknowledged included.
    pub fds: usize,
}

/// Says whether a descriptor that arrived is of a kind the application accepts.
pub type Accept = Arc<dyn Fn(BorrowedFd<'_>) -> bool + Send + Sync>;

/// How a link behaves. `Config::default()` has every default of [`crate::limits`].
#[derive(Clone)]
pub struct Config {
    /// What the payloads are; must be the same on both sides ([`frame::CODEC_BYTES`] and its neighbours).
    pub codec: u32,
    /// What we accept.
    pub limits: Limits,
    /// Above one of these, [`Link::is_above_high_water`](super::Link::is_above_high_water); sends are still taken.
    pub high_water: Marks,
    /// Above one of these, a send is refused. An empty queue always takes one message.
    pub most: Marks,
    /// Messages whose acknowledgement may be outstanding; above, a send that wants one is refused.
    pub most_unacknowledged: usize,
    /// How long half a frame or half a message may be followed by silence.
    pub stall_timeout: Option<Duration>,
    /// How long a message may wait for its acknowledgement. A peer that pauses does not acknowledge.
    pub ack_timeout: Option<Duration>,
    /// How long [`Link::close`](super::Link::close) may take.
    pub close_timeout: Duration,
    /// Keep a copy of every socket that is sent until the peer has it: XNU's collector may shut down a socket in flight
    /// that nobody else has open (`unp_gc`).
    pub hold_sockets: bool,
    /// What kinds of descriptors are accepted; others are closed and their message is damaged. `None`: all.
    pub accept: Option<Accept>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            codec: frame::CODEC_BYTES,
            limits: Limits::default(),
            high_water: Marks {
                bytes: limits::LINK_HIGH_WATER_BYTES,
                messages: limits::LINK_HIGH_WATER_MESSAGES,
                fds: limits::LINK_HIGH_WATER_FDS,
            },
            most: Marks {
                bytes: limits::LINK_QUEUE_BYTES,
                messages: limits::LINK_QUEUE_MESSAGES,
                fds: limits::LINK_QUEUE_FDS,
            },
            most_unacknowledged: limits::LINK_UNACKNOWLEDGED,
            stall_timeout: Some(limits::LINK_STALL_TIMEOUT),
            ack_timeout: Some(limits::LINK_ACK_TIMEOUT),
            close_timeout: limits::LINK_CLOSE_TIMEOUT,
            hold_sockets: sys::HOLD_SOCKETS_UNTIL_ACKNOWLEDGED,
            accept: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Config")
            .field("codec", &self.codec)
            .field("limits", &self.limits)
            .field("high_water", &self.high_water)
            .field("most", &self.most)
            .field("hold_sockets", &self.hold_sockets)
            .finish_non_exhaustive()
    }
}

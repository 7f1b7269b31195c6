use std::time::Duration;

use crate::prefork::policy::Policy;

/// How many of a connection's first bytes are kept for a replay: a longer head of a request is not replayed.
pub(super) const SEEN_BYTES: usize = 4096;
/// How many connections one listener gives in one turn.
pub(super) const ACCEPT_BUDGET: usize = 128;
/// The most bytes a worker may hand back with a connection.
pub(super) const MAX_PREFIX: usize = 256 * 1024;
/// A message of connections is sent before its first bytes exceed this.
pub(super) const MAX_PREFIXES: usize = 512 * 1024;

/// How a [`super::Manager`] works. The defaults are for servers of short requests.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who gets the next connection.
    pub policy: Policy,
    /// Requests that may be repeated (GET and HEAD) and that a dead worker had read but not begun to answer go to
    /// another worker, once.
    pub replay: bool,
    /// How many connections a worker may have been sent that it has not reported as received.
    pub max_in_flight: u32,
    /// How many connections a worker may hold.
    pub max_connections: u32,
    /// A worker with work that says nothing for half of this gets nothing more; after all of it, [`super::Event::Hung`].
    pub watchdog: Option<Duration>,
    /// Ask workers whether they are there even when the manager knows of no work (workers that accept for themselves).
    pub always_beat: bool,
    /// How long a connection waits for a worker that can take it before it is closed.
    pub wait_timeout: Duration,
    /// How many connections may wait so; then the manager stops accepting.
    pub max_waiting: usize,
    /// How many first bytes the caller wants to see before it decides, at most 4,096.
    pub peek_bytes: usize,
    /// Ask the caller about each connection whichever policy there is: what it leaves open, the policy decides.
    pub ask: bool,
    /// How long first bytes are waited for; then the connection goes on without them.
    pub peek_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            replay: false,
            max_in_flight: 256,
            max_connections: u32::MAX,
            watchdog: None,
            always_beat: false,
            wait_timeout: Duration::from_secs(10),
            max_waiting: 1024,
            peek_bytes: 0,
            ask: false,
            peek_timeout: Duration::from_secs(1),
        }
    }
}

impl Config {
    /// How many first bytes are looked at.
    pub(super) fn first_bytes(&self) -> usize {
        self.peek_bytes
            .max(if self.replay { SEEN_BYTES } else { 0 })
    }
}

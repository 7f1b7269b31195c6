use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::link::{Damage, LinkError};
use crate::prefork::WorkerId;
#[cfg(doc)]
use crate::prefork::policy::Policy;

/// What a caller should know of or do something about.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The worker can take connections.
    Ready(WorkerId),
    /// The worker holds nothing any more and takes nothing.
    Drained(WorkerId),
    /// It has work and says nothing: it gets nothing more for now.
    Suspect(WorkerId),
    /// It speaks again.
    Recovered(WorkerId),
    /// It has said nothing for the whole watchdog time: kill its process, then call [`super::Manager::worker_died`].
    Hung(WorkerId),
    /// Its channel is over while its process may still live: end the process, then call
    /// [`super::Manager::worker_died`]. A live worker's connections are never given away.
    ChannelEnded(WorkerId, Option<LinkError>),
    /// A message of the application for the manager.
    Message {
        /// Who sent it.
        from: WorkerId,
        /// The bytes.
        data: Vec<u8>,
        /// The descriptors, yours.
        fds: Vec<OwnedFd>,
        /// Why it is not whole; then it has no descriptors.
        damage: Option<Damage>,
    },
    /// The process or the system is at its descriptor limit (errno): accepting rests.
    Pressure(i32),
    /// A listening socket has failed (errno) and is not accepted from any more.
    ListenerFailed(u16, i32),
    /// No worker can take connections: accepting pauses, clients wait in the kernel's queue.
    Saturated,
    /// Accepting goes on.
    Accepting,
    /// A worker has died: how many of its connections went to others untouched, how many with their request, how many
    /// were closed.
    Inherited {
        /// Who died.
        worker: WorkerId,
        /// Untouched, given to others.
        reassigned: u32,
        /// Given to others with their request.
        replayed: u32,
        /// Closed: the worker had begun.
        closed: u32,
    },
}

/// What the caller decides of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The worker at this index, now or as soon as it can.
    Worker(u32),
    /// Whom the policy chooses; with [`Policy::External`], whoever has the fewest connections.
    Default,
    /// Nobody: it is closed.
    Refuse,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Connections accepted.
    pub accepted: u64,
    /// Refused by admission or decision.
    pub refused: u64,
    /// Closed because nobody could take them in time, or at a limit.
    pub dropped: u64,
    /// Untouched connections of dead workers that went to others.
    pub reassigned: u64,
    /// Requests of dead workers that went to others.
    pub replayed: u64,
    /// Connections of dead workers that were closed: they had begun.
    pub closed: u64,
    /// Connections that a live worker handed back and another got.
    pub moved: u64,
    /// Held now.
    pub held: usize,
    /// Waiting for a worker or for their first bytes now.
    pub waiting: usize,
    /// Whether the manager is accepting.
    pub accepting: bool,
}

/// Counts of one worker.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkerStats {
    /// Connections it was given.
    pub given: u64,
    /// Connections it holds.
    pub active: u32,
    /// Sent and not reported as received.
    pub in_flight: u32,
    /// What it last reported.
    pub load: f64,
    /// It said that it is ready.
    pub ready: bool,
    /// It can take a connection now.
    pub available: bool,
    /// The sum of the times between accepting a connection and having sent it.
    pub hand_off_sum: Duration,
    /// The longest of these times.
    pub hand_off_max: Duration,
}

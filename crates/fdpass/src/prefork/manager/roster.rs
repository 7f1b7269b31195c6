//! One worker as the manager knows it.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::event::WorkerStats;
use crate::error::Result;
use crate::link::{self, Link, SocketTransport};
use crate::prefork::WorkerId;
use crate::prefork::held::SlotId;
use crate::prefork::policy::Candidate;
use crate::sys::Interest;

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not the states of one machine"
)]
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) index: u32,
    pub(super) weight: u32,
    pub(super) link: Link<SocketTransport>,
    pub(super) interest: Interest,
    pub(super) ready: bool,
    pub(super) draining: bool,
    /// Has work and is silent.
    pub(super) suspect: bool,
    pub(super) hung: bool,
    /// Nothing can be sent to it any more.
    pub(super) broken: bool,
    /// The end of its channel was reported.
    pub(super) ended: bool,
    /// A send failed for want of descriptors: not before this.
    pub(super) resting_until: Option<Instant>,
    /// Chosen for it, not sent yet.
    pub(super) batch: Vec<SlotId>,
    pub(super) active: u32,
    /// Connections sent, and those it reported as received; both wrap.
    pub(super) sent: u32,
    pub(super) received: u32,
    pub(super) given: u64,
    pub(super) load: f64,
    /// What one more connection adds to the load until the next report.
    pub(super) load_step: f64,
    pub(super) given_since_report: u32,
    pub(super) heard: Instant,
    /// A ping is unanswered since.
    pub(super) pinged: Option<Instant>,
    pub(super) hand_off_sum: Duration,
    pub(super) hand_off_max: Duration,
    /// Where what it had accepted itself comes from when it has died, and from which process.
    pub(super) keeper: Option<(OwnedFd, u32)>,
}

impl Worker {
    pub(super) fn new(
        id: WorkerId,
        socket: OwnedFd,
        index: u32,
        weight: u32,
        now: Instant,
    ) -> Result<Self> {
        let config = link::Config {
            // The manager holds every connection until it is closed, so nothing must be held for the kernel's sake.
            hold_sockets: false,
            ..link::Config::default()
        };
        Ok(Self {
            id,
            index,
            weight,
            link: Link::new(SocketTransport::new(socket)?, config),
            interest: Interest::NONE,
            ready: false,
            draining: false,
            suspect: false,
            hung: false,
            broken: false,
            ended: false,
            resting_until: None,
            batch: Vec::new(),
            active: 0,
            sent: 0,
            received: 0,
            given: 0,
            load: 0.0,
            load_step: 1.0,
            given_since_report: 0,
            heard: now,
            pinged: None,
            hand_off_sum: Duration::ZERO,
            hand_off_max: Duration::ZERO,
            keeper: None,
        })
    }

    /// Sent to it, or about to be, and not reported as received.
    pub(super) fn in_flight(&self) -> u32 {
        let batch = u32::try_from(self.batch.len()).unwrap_or(u32::MAX);
        self.sent.wrapping_sub(self.received).saturating_add(batch)
    }

    pub(super) fn can_take(&self, max_in_flight: u32, max_connections: u32) -> bool {
        self.ready
            && !self.draining
            && !self.suspect
            && !self.broken
            && self.resting_until.is_none()
            && self.active < max_connections
            && self.in_flight() < max_in_flight
            && self.link.queued().messages == 0
    }

    pub(super) fn candidate(&self) -> Candidate {
        Candidate {
            index: self.index,
            active: self.active,
            load: self.load + self.load_step * f64::from(self.given_since_report),
            weight: self.weight,
        }
    }

    pub(super) fn report(&mut self, load: f64) {
        let load = if load.is_finite() { load.max(0.0) } else { 0.0 };
        self.load = load;
        self.given_since_report = 0;
        self.load_step = if self.active > 0 && load > 0.0 {
            load / f64::from(self.active)
        } else {
            // Nothing is known: any step spreads what comes until the next report.
            f64::EPSILON
        };
    }

    /// It said something.
    pub(super) fn spoke(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    pub(super) fn stats(&self, max_in_flight: u32, max_connections: u32) -> WorkerStats {
        WorkerStats {
            given: self.given,
            active: self.active,
            in_flight: self.in_flight(),
            load: self.load,
            ready: self.ready,
            available: self.can_take(max_in_flight, max_connections),
            hand_off_sum: self.hand_off_sum,
            hand_off_max: self.hand_off_max,
        }
    }
}

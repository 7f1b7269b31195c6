//! Descriptors and channels on their way from one thread to another: one of the two global objects of the process.
//!
//! What nobody claims in time is closed by a thread that is there while anything is parked: the thread that parked it, with
//! all its timers, may have ended.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fdpass::link::{Link, SocketTransport};

use crate::error::Failure;

/// What was parked.
pub(crate) enum Moved {
    Fd(OwnedFd),
    Channel(Box<Link<SocketTransport>>),
}

struct Parked {
    moved: Moved,
    until: Instant,
}

#[derive(Default)]
struct Table {
    last: u32,
    parked: Option<HashMap<u32, Parked>>,
    /// The thread that closes what is due is there.
    is_swept: bool,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    last: 0,
    parked: None,
    is_swept: false,
});

/// Something was parked.
static CHANGED: Condvar = Condvar::new();

/// The thread does nothing but look at a clock and close.
const SWEEPER_STACK: usize = 64 * 1024;

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds as JavaScript has them.
pub(crate) fn lifetime(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1_000.0).unwrap_or_default()
}

/// Parks `moved` and returns its token, which one thread can claim once, within `lifetime`.
pub(crate) fn park(moved: Moved, lifetime: Duration) -> f64 {
    let until = Instant::now() + lifetime;
    let mut table = table();
    table.last += 1;
    let token = table.last;
    table.insert(token, Parked { moved, until });
    f64::from(token)
}

/// Undoes a claim that came to nothing.
pub(crate) fn put_back(token: f64, moved: Moved, until: Instant) {
    table().insert(key(token), Parked { moved, until });
}

impl Table {
    fn insert(&mut self, token: u32, parked: Parked) {
        self.parked.get_or_insert_default().insert(token, parked);
        if !self.is_swept {
            let sweeper = thread::Builder::new()
                .name("fdpass tokens".to_owned())
                .stack_size(SWEEPER_STACK);
            // Where no thread can be started, the next one that is closes this too.
            self.is_swept = sweeper.spawn(sweep).is_ok();
        }
        CHANGED.notify_one();
    }
}

/// Closes what is due, until nothing is parked.
fn sweep() {
    let mut table = table();
    loop {
        let now = Instant::now();
        let parked = table.parked.get_or_insert_default();
        let due: Vec<Parked> = parked
            .extract_if(|_, parked| parked.until <= now)
            .map(|(_, parked)| parked)
            .collect();
        if !due.is_empty() {
            // Closing may take its time; nobody need wait for the table meanwhile.
            drop(table);
            drop(due);
            table = self::table();
            continue;
        }
        let Some(next) = parked.values().map(|parked| parked.until).min() else {
            table.is_swept = false;
            return;
        };
        let waited = CHANGED.wait_timeout(table, next - now);
        table = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of f64 saturates; 0 is no token"
)]
fn key(token: f64) -> u32 {
    token as u32
}

fn claim(token: f64, fits: impl FnOnce(&Moved) -> bool) -> Result<Parked, Failure> {
    let mut table = table();
    let parked = table.parked.get_or_insert_default();
    let unknown = || {
        Failure::new(
            "ERR_FDPASS_TOKEN",
            "Cannot claim the token: it was claimed already, dropped, or is of another kind. Claim each token once",
        )
    };
    if !parked
        .get(&key(token))
        .is_some_and(|parked| fits(&parked.moved))
    {
        return Err(unknown());
    }
    parked.remove(&key(token)).ok_or_else(unknown)
}

pub(crate) fn claim_fd(token: f64) -> Result<OwnedFd, Failure> {
    match claim(token, |moved| matches!(moved, Moved::Fd(_)))?.moved {
        Moved::Fd(fd) => Ok(fd),
        Moved::Channel(_) => Err(Failure::internal("claim() looked at the kind")),
    }
}

/// The channel, and until when it may be claimed should it be put back.
pub(crate) fn claim_channel(token: f64) -> Result<(Box<Link<SocketTransport>>, Instant), Failure> {
    let Parked { moved, until } = claim(token, |moved| matches!(moved, Moved::Channel(_)))?;
    match moved {
        Moved::Channel(link) => Ok((link, until)),
        Moved::Fd(_) => Err(Failure::internal("claim() looked at the kind")),
    }
}

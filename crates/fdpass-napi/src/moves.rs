//! Descriptors and channels on their way from one thread to another: one of the two global objects of the process.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fdpass::link::{Link, SocketTransport};

use crate::error::Failure;

/// What was parked.
pub(crate) enum Moved {
    Fd(OwnedFd),
    Channel(Box<Link<SocketTransport>>),
}

#[derive(Default)]
struct Table {
    last: u32,
    parked: Option<HashMap<u32, Moved>>,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    last: 0,
    parked: None,
});

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parks `moved` and returns its token, which one thread can claim once.
pub(crate) fn park(moved: Moved) -> f64 {
    let mut table = table();
    table.last += 1;
    let token = table.last;
    table.parked.get_or_insert_default().insert(token, moved);
    f64::from(token)
}

/// Undoes a claim that came to nothing.
pub(crate) fn put_back(token: f64, moved: Moved) {
    table()
        .parked
        .get_or_insert_default()
        .insert(key(token), moved);
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of f64 saturates; 0 is no token"
)]
fn key(token: f64) -> u32 {
    token as u32
}

fn claim(token: f64, fits: impl FnOnce(&Moved) -> bool) -> Result<Moved, Failure> {
    let mut table = table();
    let parked = table.parked.get_or_insert_default();
    let unknown = || {
        Failure::new(
            "ERR_FDPASS_TOKEN",
            "The token is not known: it was claimed already, dropped, or is of another kind",
        )
    };
    if !parked.get(&key(token)).is_some_and(fits) {
        return Err(unknown());
    }
    parked.remove(&key(token)).ok_or_else(unknown)
}

pub(crate) fn claim_fd(token: f64) -> Result<OwnedFd, Failure> {
    match claim(token, |moved| matches!(moved, Moved::Fd(_)))? {
        Moved::Fd(fd) => Ok(fd),
        Moved::Channel(_) => Err(Failure::internal("claim() looked at the kind")),
    }
}

pub(crate) fn claim_channel(token: f64) -> Result<Box<Link<SocketTransport>>, Failure> {
    match claim(token, |moved| matches!(moved, Moved::Channel(_)))? {
        Moved::Channel(link) => Ok(link),
        Moved::Fd(_) => Err(Failure::internal("claim() looked at the kind")),
    }
}

/// Closes what nobody claimed.
pub(crate) fn discard(token: f64) {
    let dropped = table()
        .parked
        .as_mut()
        .and_then(|parked| parked.remove(&key(token)));
    drop(dropped);
}

//! Descriptors on their way to another thread.

use fdpass::Error;
use napi::Env;
use napi_derive::napi;

use super::OrThrow;
use super::descriptor::give;
use crate::fd;
use crate::moves::{self, Moved};
use crate::state;

/// Moves `fd` out of this environment; returns the token with which one thread claims it, once, within `lifetime`
/// milliseconds.
#[napi(catch_unwind)]
pub fn thread_park(env: Env, fd: i32, lifetime: f64) -> napi::Result<f64> {
    let owned = fd::own(fd)
        .ok_or(Error::BadDescriptor { number: fd.into() })
        .or_throw(env)?;
    state::of(env.raw())?.ledger.borrow_mut().remove(fd);
    Ok(moves::park(Moved::Fd(owned), moves::lifetime(lifetime)))
}

/// Moves the descriptor behind `token` into this environment.
#[napi(catch_unwind)]
pub fn thread_claim(env: Env, token: f64) -> napi::Result<i32> {
    give(env, moves::claim_fd(token).or_throw(env)?)
}

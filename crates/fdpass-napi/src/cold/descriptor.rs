//! Any descriptor: duplicate, flags.

use std::os::fd::OwnedFd;

use fdpass::descriptor;
use napi::Env;
use napi_derive::napi;

use super::OrThrow;
use crate::fd;
use crate::state;

/// Gives `fd` to JavaScript: its number is in the ledger from now on.
pub(super) fn give(env: Env, fd: OwnedFd) -> napi::Result<i32> {
    let state = state::of(env.raw())?;
    let number = fd::give(fd);
    state.ledger.borrow_mut().enter(number);
    Ok(number)
}

/// An own copy of `fd`, close-on-exec.
#[napi(catch_unwind)]
pub fn duplicate(env: Env, fd: i32) -> napi::Result<i32> {
    let copy = fd::borrow(fd)
        .and_then(descriptor::duplicate)
        .or_throw(env)?;
    give(env, copy)
}

/// Whether `fd` is an open descriptor of this process.
#[napi(catch_unwind)]
#[must_use]
pub fn is_open(fd: i32) -> bool {
    fd::borrow(fd)
        .and_then(descriptor::is_close_on_exec)
        .is_ok()
}

/// `FD_CLOEXEC`
#[napi(catch_unwind)]
pub fn is_close_on_exec(env: Env, fd: i32) -> napi::Result<bool> {
    fd::borrow(fd)
        .and_then(descriptor::is_close_on_exec)
        .or_throw(env)
}

/// `FD_CLOEXEC`
#[napi(catch_unwind)]
pub fn set_close_on_exec(env: Env, fd: i32) -> napi::Result<()> {
    fd::borrow(fd)
        .and_then(descriptor::set_close_on_exec)
        .or_throw(env)
}

/// `O_NONBLOCK`
#[napi(catch_unwind)]
pub fn is_nonblocking(env: Env, fd: i32) -> napi::Result<bool> {
    fd::borrow(fd)
        .and_then(descriptor::is_nonblocking)
        .or_throw(env)
}

/// `O_NONBLOCK`, shared with every holder of a copy.
#[napi(catch_unwind)]
pub fn set_nonblocking(env: Env, fd: i32, on: bool) -> napi::Result<()> {
    fd::borrow(fd)
        .and_then(|fd| descriptor::set_nonblocking(fd, on))
        .or_throw(env)
}

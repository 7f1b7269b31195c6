//! Listening and connecting; what Node's own sockets cannot do for a socket that carries descriptors.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use fdpass::address::Address;
use fdpass::descriptor;
use fdpass::error::Error;
use fdpass::socket::{self, SocketType};
use napi::Env;
use napi_derive::napi;

use super::OrThrow;
use super::descriptor::give;
use crate::fd;

/// `kind`: 0 a path, 1 an abstract name.
fn address(kind: u32, name: &[u8]) -> Result<Address, Error> {
    if kind == 0 {
        Address::path(OsStr::from_bytes(name))
    } else {
        Address::abstract_name(name)
    }
}

fn listening(address: &Address, mode: u32, backlog: u32) -> Result<OwnedFd, Error> {
    let listener = socket::create(SocketType::Stream)?;
    descriptor::set_nonblocking(listener.as_fd(), true)?;
    socket::bind_with_mode(listener.as_fd(), address, mode)?;
    socket::listen(listener.as_fd(), backlog)?;
    Ok(listener)
}

/// A listening socket, non-blocking. The socket file has the permissions `mode` before anyone can connect. Nothing is
/// ever unlinked.
#[napi(catch_unwind)]
pub fn listen_unix(env: Env, kind: u32, name: &[u8], mode: u32, backlog: u32) -> napi::Result<i32> {
    let listener = address(kind, name).and_then(|address| listening(&address, mode, backlog));
    give(env, listener.or_throw(env)?)
}

/// Throws what is wrong with a path or name: one that is too long, for one.
#[napi(catch_unwind)]
pub fn check_address(env: Env, kind: u32, name: &[u8]) -> napi::Result<()> {
    address(kind, name).or_throw(env).map(drop)
}

fn connected(address: &Address) -> Result<OwnedFd, Error> {
    let socket = socket::create(SocketType::Stream)?;
    descriptor::set_nonblocking(socket.as_fd(), true)?;
    socket::connect(socket.as_fd(), address)?;
    Ok(socket)
}

/// A connected socket, non-blocking. EAGAIN: the listener's queue is full; try again later.
#[napi(catch_unwind)]
pub fn connect_unix(env: Env, kind: u32, name: &[u8]) -> napi::Result<i32> {
    let socket = address(kind, name).and_then(|address| connected(&address));
    give(env, socket.or_throw(env)?)
}

fn accepted(listener: i32) -> Result<Option<OwnedFd>, Error> {
    let listener = fd::borrow(listener)?;
    loop {
        match socket::accept(listener) {
            Ok(connection) => {
                descriptor::set_nonblocking(connection.as_fd(), true)?;
                return Ok(Some(connection));
            }
            Err(error) if error.is_would_block() => return Ok(None),
            // The client gave up while it waited.
            Err(error) if error.code() == "ECONNABORTED" => {}
            Err(error) => return Err(error),
        }
    }
}

/// The next connection of a non-blocking listener, or -1: none waits.
#[napi(catch_unwind)]
pub fn accept_unix(env: Env, listener: i32) -> napi::Result<i32> {
    match accepted(listener).or_throw(env)? {
        Some(connection) => give(env, connection),
        None => Ok(-1),
    }
}

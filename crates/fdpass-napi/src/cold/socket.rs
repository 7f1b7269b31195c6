//! Unix domain sockets: made, asked, told.

use std::os::fd::AsFd;

use fdpass::credentials;
use fdpass::socket::{self, Socket, SocketType};
use napi::Env;
use napi_derive::napi;

use super::OrThrow;
use super::descriptor::give;
use crate::error::Failure;
use crate::fd;
use crate::message::kind_from;

/// Two connected sockets. `kind`: 1 stream, 2 datagram, 3 seqpacket.
#[napi(catch_unwind, ts_return_type = "[number, number]")]
pub fn socket_pair(env: Env, kind: i32) -> napi::Result<Vec<i32>> {
    let kind = kind_from(kind)
        .ok_or_else(|| Failure::internal("no such kind of socket"))
        .or_throw(env)?;
    let (left, right) = socket::pair(kind).or_throw(env)?;
    Ok(vec![give(env, left)?, give(env, right)?])
}

/// The kind of the Unix domain socket `fd` (1, 2, 3 as above); throws when it is none.
#[napi(catch_unwind)]
pub fn socket_kind(env: Env, fd: i32) -> napi::Result<i32> {
    let kind = fd::borrow(fd)
        .and_then(Socket::check)
        .map(Socket::kind)
        .or_throw(env)?;
    Ok(match kind {
        SocketType::Stream => 1,
        SocketType::Datagram => 2,
        _ => 3,
    })
}

/// The peer of a connected socket, as the kernel recorded it.
#[napi(object)]
#[derive(Debug)]
pub struct NativeCredentials {
    pub uid: u32,
    pub gid: u32,
    pub pid: Option<i32>,
}

/// Who is at the other end of `fd`.
#[napi(catch_unwind)]
pub fn peer_credentials(env: Env, fd: i32) -> napi::Result<NativeCredentials> {
    let peer = fd::borrow(fd).and_then(credentials::peer).or_throw(env)?;
    Ok(NativeCredentials {
        uid: peer.uid,
        gid: peer.gid,
        pid: peer.pid,
    })
}

/// A process descriptor of the peer, or -1 where there is none to be had.
#[napi(catch_unwind)]
pub fn peer_pidfd(env: Env, fd: i32) -> napi::Result<i32> {
    match fd::borrow(fd)
        .and_then(credentials::peer_pidfd)
        .or_throw(env)?
    {
        Some(pidfd) => give(env, pidfd),
        None => Ok(-1),
    }
}

/// `SO_PASSCRED`
#[napi(catch_unwind)]
pub fn set_pass_credentials(env: Env, fd: i32, on: bool) -> napi::Result<()> {
    fd::borrow(fd)
        .and_then(|fd| socket::set_pass_credentials(fd, on))
        .or_throw(env)
}

/// `SO_PASSPIDFD`
#[napi(catch_unwind)]
pub fn set_pass_pidfd(env: Env, fd: i32, on: bool) -> napi::Result<()> {
    fd::borrow(fd)
        .and_then(|fd| socket::set_pass_pidfd(fd, on))
        .or_throw(env)
}

/// `SO_PASSRIGHTS`
#[napi(catch_unwind)]
pub fn set_pass_rights(env: Env, fd: i32, on: bool) -> napi::Result<()> {
    fd::borrow(fd)
        .and_then(|fd| socket::set_pass_rights(fd, on))
        .or_throw(env)
}

/// Whether the peer end of a socket pair is meant: neither end has a name.
#[napi(catch_unwind)]
pub fn is_unnamed_pair(env: Env, fd: i32) -> napi::Result<bool> {
    let fd = fd::borrow(fd).or_throw(env)?;
    let local = socket::local_address(fd.as_fd()).or_throw(env)?;
    let peer = socket::peer_address(fd.as_fd()).or_throw(env)?;
    Ok(local == fdpass::address::Address::Unnamed && peer == fdpass::address::Address::Unnamed)
}

/// Whether a socket that moves must stay open here until the receiver has it.
#[napi(catch_unwind)]
#[must_use]
pub fn holds_sockets() -> bool {
    socket::must_hold_until_acknowledged()
}

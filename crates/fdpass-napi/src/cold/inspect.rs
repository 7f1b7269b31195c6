//! What is this descriptor.

use std::net::SocketAddr;

use fdpass::address::Address;
use fdpass::inspect::{self, Access, Kind};
use fdpass::socket::SocketType;
use napi::Env;
use napi::bindgen_prelude::BigInt;
use napi_derive::napi;

use super::OrThrow;
use crate::fd;

/// What is known of a descriptor; which fields are there follows from `kind` (`src/inspect.ts`).
#[napi(object)]
#[derive(Debug)]
pub struct NativeDescription {
    pub kind: String,
    pub access: String,
    pub nonblocking: bool,
    pub device: BigInt,
    pub inode: BigInt,
    pub listening: Option<bool>,
    pub socket_type: Option<String>,
    pub local_address: Option<String>,
    pub local_port: Option<u32>,
    pub peer_address: Option<String>,
    pub peer_port: Option<u32>,
    pub path: Option<String>,
    pub abstract_name: Option<String>,
}

/// Looks at `fd`; reads nothing from it and changes nothing.
#[napi(catch_unwind)]
pub fn describe(env: Env, fd: i32) -> napi::Result<NativeDescription> {
    let found = fd::borrow(fd).and_then(inspect::describe).or_throw(env)?;
    let mut description = NativeDescription {
        kind: found.kind.name().to_owned(),
        access: access_name(found.access).to_owned(),
        nonblocking: found.nonblocking,
        device: found.device.into(),
        inode: found.inode.into(),
        listening: None,
        socket_type: None,
        local_address: None,
        local_port: None,
        peer_address: None,
        peer_port: None,
        path: None,
        abstract_name: None,
    };
    match found.kind {
        Kind::Tcp {
            listening,
            local,
            peer,
        } => {
            description.listening = Some(listening);
            description.set_inet(local, peer);
        }
        Kind::Udp { local, peer } => {
            description.set_inet(local, peer);
        }
        Kind::Unix {
            socket_type,
            listening,
            address,
        } => {
            description.listening = Some(listening);
            description.socket_type = Some(type_name(socket_type).to_owned());
            description.set_unix(&address);
        }
        _ => {}
    }
    Ok(description)
}

impl NativeDescription {
    fn set_inet(&mut self, local: Option<SocketAddr>, peer: Option<SocketAddr>) {
        self.local_address = local.map(|address| address.ip().to_string());
        self.local_port = local.map(|address| address.port().into());
        self.peer_address = peer.map(|address| address.ip().to_string());
        self.peer_port = peer.map(|address| address.port().into());
    }

    fn set_unix(&mut self, address: &Address) {
        match address {
            Address::Path(path) => {
                self.path = Some(path.to_string_lossy().into_owned());
            }
            Address::Abstract(name) => {
                self.abstract_name = Some(String::from_utf8_lossy(name).into_owned());
            }
            _ => {}
        }
    }
}

/// `struct stat`, as `fs.Stats` names its fields.
#[napi(object)]
#[derive(Debug)]
pub struct NativeStatus {
    pub dev: f64,
    pub ino: f64,
    pub mode: u32,
    pub nlink: f64,
    pub uid: u32,
    pub gid: u32,
    pub rdev: f64,
    pub size: f64,
    pub blksize: f64,
    pub blocks: f64,
    pub atime_ms: f64,
    pub mtime_ms: f64,
    pub ctime_ms: f64,
}

/// `fstat(2)`
#[napi(catch_unwind)]
pub fn stat(env: Env, fd: i32) -> napi::Result<NativeStatus> {
    let found = fd::borrow(fd).and_then(inspect::status).or_throw(env)?;
    Ok(NativeStatus {
        dev: double(found.device.cast_signed()),
        ino: double(found.inode.cast_signed()),
        mode: found.mode,
        nlink: double(found.links.cast_signed()),
        uid: found.uid,
        gid: found.gid,
        rdev: double(found.special_device.cast_signed()),
        size: double(found.size),
        blksize: double(found.block_size),
        blocks: double(found.blocks),
        atime_ms: found.accessed,
        mtime_ms: found.modified,
        ctime_ms: found.changed,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "as in `fs.Stats`, whose numbers are doubles"
)]
const fn double(number: i64) -> f64 {
    number as f64
}

const fn access_name(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
        Access::ReadWrite => "read-write",
    }
}

const fn type_name(kind: SocketType) -> &'static str {
    match kind {
        SocketType::Stream => "stream",
        SocketType::Datagram => "datagram",
        _ => "seqpacket",
    }
}

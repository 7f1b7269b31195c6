//! The manager and the workers of `fdpass/prefork`: the loop over connections runs here, JavaScript hears of what it must
//! decide or know (`src/prefork/native-types.ts`).

mod managers;
mod workers;

use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use fdpass::descriptor;
use fdpass::link::Damage;
use fdpass::prefork::Peer;
use fdpass::prefork::acceptor::{ListenOptions, listen_tcp};
use napi::sys::{TypedarrayType, napi_callback_info, napi_env, napi_value};

use crate::engine::Loop;
use crate::error::Failure;
use crate::fd;
use crate::js::{self, Call, Exports, Value};
use crate::state::State;

pub(crate) fn register(exports: &Exports<'_>) -> napi::Result<()> {
    exports.function(c"listenTcp", Some(listen))?;
    managers::register(exports)?;
    workers::register(exports)
}

/// The managers and workers of one environment.
#[derive(Debug, Default)]
pub(crate) struct Prefork {
    managers: Table<managers::Watched>,
    workers: Table<workers::Watched>,
}

/// Things by handle. Handles begin at 1, so that none is mistaken for "no handle".
#[derive(Debug)]
struct Table<T>(RefCell<Vec<Option<Rc<T>>>>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T> Table<T> {
    fn add(&self, thing: Rc<T>) -> i32 {
        let mut list = self.0.borrow_mut();
        let at = list.iter().position(Option::is_none).unwrap_or(list.len());
        if at == list.len() {
            list.push(None);
        }
        list[at] = Some(thing);
        i32::try_from(at + 1).unwrap_or(0)
    }

    fn get(&self, handle: i32) -> Result<Rc<T>, Failure> {
        let index = usize::try_from(handle.wrapping_sub(1)).unwrap_or(usize::MAX);
        let found = self.0.borrow().get(index).cloned().flatten();
        found.ok_or_else(|| Failure::new("ERR_FDPASS_CLOSED", "It is closed"))
    }

    fn remove(&self, handle: i32) -> Option<Rc<T>> {
        let index = usize::try_from(handle.wrapping_sub(1)).ok()?;
        self.0.borrow_mut().get_mut(index)?.take()
    }
}

fn event_loop(state: &State) -> Result<&Loop, Failure> {
    state
        .event_loop
        .get()
        .ok_or_else(|| Failure::internal("the event loop was not started"))
}

fn system(error: &std::io::Error) -> Failure {
    let errno = error.raw_os_error();
    Failure {
        code: fdpass::error::errno_name(errno.unwrap_or(0)).to_owned(),
        message: error.to_string(),
        errno,
        syscall: None,
    }
}

/// Takes a number out of JavaScript's hands.
fn take(state: &State, number: i32) -> Result<OwnedFd, Failure> {
    // What is not open must not be owned.
    descriptor::is_close_on_exec(fd::borrow(number)?)?;
    state.ledger.borrow_mut().remove(number);
    fd::own(number).ok_or_else(|| Failure::internal("a descriptor is not negative"))
}

fn give(state: &State, fd: OwnedFd) -> i32 {
    let number = fd::give(fd);
    state.ledger.borrow_mut().enter(number);
    number
}

/// Bytes and descriptors of a message of the application, as JavaScript gets them; of one that is not whole, the error in
/// the place of the descriptors.
fn message_parts(
    state: &State,
    data: &[u8],
    fds: Vec<OwnedFd>,
    damage: Option<Damage>,
) -> [Option<napi_value>; 2] {
    let env = state.env;
    let bytes = js::new_typed_array(env, TypedarrayType::uint8_array, data.len(), |into| {
        into.copy_from_slice(data);
    });
    if let Some(damage) = damage {
        let failure = Failure::new(damage.code(), damage.to_string());
        return [bytes, Some(failure.to_js(env))];
    }
    let count = fds.len();
    let mut fds = fds.into_iter();
    let numbers = js::new_typed_array(env, TypedarrayType::int32_array, count, |into| {
        for (place, fd) in into.iter_mut().zip(fds.by_ref()) {
            *place = give(state, fd);
        }
    });
    [bytes, numbers]
}

/// family, port, four words of the address: as `src/prefork/peer.ts` reads them.
fn peer_words(peer: &Peer) -> [i32; 6] {
    let Peer::Inet(address) = peer else {
        return [0; 6];
    };
    let octets = match address.ip().to_canonical() {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(v6) => v6.octets(),
    };
    let family = if address.ip().to_canonical().is_ipv4() {
        4
    } else {
        6
    };
    let word = |at: usize| i32::from_be_bytes(std::array::from_fn(|i| octets[at + i]));
    [
        family,
        i32::from(address.port()),
        word(0),
        word(4),
        word(8),
        word(12),
    ]
}

/// `listenTcp(host, port, backlog, flags, deferAccept)`: a listening socket, in the ledger. `host`: a numeric address in
/// ASCII. `flags`: 1 reuse the port, 2 IPv6 only, 4 without `TCP_NODELAY`. `deferAccept`: seconds, or 0.
extern "C" fn listen(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 5>| {
        let host = String::from_utf8_lossy(call.bytes(0));
        let ip = host
            .parse()
            .map_err(|_| Failure::new("EINVAL", format!("{host:?} is not a numeric address")))?;
        let port = u16::try_from(call.int(1))
            .map_err(|_| Failure::new("EINVAL", "A port is 0 to 65535"))?;
        let flags = call.int(3);
        let options = ListenOptions {
            backlog: u32::try_from(call.int(2)).unwrap_or(ListenOptions::default().backlog),
            reuse_port: flags & 1 != 0,
            only_v6: flags & 2 != 0,
            nodelay: flags & 4 == 0,
            defer_accept: u32::try_from(call.int(4))
                .ok()
                .filter(|seconds| *seconds > 0),
        };
        let fd = listen_tcp(std::net::SocketAddr::new(ip, port), &options)?;
        Ok(Value::Int(give(call.state, fd)))
    })
}

/// Watches the descriptor of something until it is closed.
fn watch(
    state: &State,
    fd: &impl AsFd,
    pollable: Rc<dyn crate::engine::Pollable>,
) -> Result<u32, Failure> {
    event_loop(state)?.open(state, fd.as_fd(), pollable)
}

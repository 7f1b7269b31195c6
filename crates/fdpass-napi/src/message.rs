//! One message by one call, as raw Node-API callbacks (`src/native-types.ts`).
//!
//! Looking an array up in its JavaScript object costs as much as the rest of a call. So the arrays of the usual call are
//! given once (`messageSetup`), and `sendHere` and `receiveHere` use those; the other two take their own.

use std::time::Duration;

use fdpass::error::LossCause;
use fdpass::message::{self, ReceiveLimits, TruncationPolicy, Wait};
use fdpass::socket::{Socket, SocketType};
use napi::sys::{TypedarrayType, napi_callback_info, napi_env, napi_value};

use crate::error::Failure;
use crate::fd;
use crate::js::{self, Call, Elements, Exports, Reference, Value};
use crate::state::State;

pub(crate) fn register(exports: &Exports<'_>) -> napi::Result<()> {
    exports.function(c"messageSetup", Some(message_setup))?;
    exports.function(c"sendHere", Some(send_here))?;
    exports.function(c"receiveHere", Some(receive_here))?;
    exports.function(c"sendMessage", Some(send_message))?;
    exports.function(c"receiveMessage", Some(receive_message))
}

/// The arrays that `messageSetup` was given. They are JavaScript's; the references keep them alive, and V8 does not move
/// their content.
#[derive(Debug)]
pub(crate) struct Arrays {
    sent: Elements,
    into: Elements,
    slots: Elements,
    meta: Elements,
    _references: [Reference; 4],
}

impl Arrays {
    fn new(env: napi_env, [sent, into, slots, meta]: [napi_value; 4]) -> Result<Self, Failure> {
        Ok(Self {
            sent: js::typed_array(env, sent, TypedarrayType::int32_array),
            into: js::typed_array(env, into, TypedarrayType::uint8_array),
            slots: js::typed_array(env, slots, TypedarrayType::int32_array),
            meta: js::typed_array(env, meta, TypedarrayType::int32_array),
            _references: [
                Reference::new(env, sent)?,
                Reference::new(env, into)?,
                Reference::new(env, slots)?,
                Reference::new(env, meta)?,
            ],
        })
    }
}

fn arrays(state: &State) -> Result<&Arrays, Failure> {
    let arrays = state.arrays.get();
    arrays.ok_or_else(|| Failure::internal("messageSetup() comes first"))
}

extern "C" fn message_setup(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 4>| {
        let given = [call.raw(0), call.raw(1), call.raw(2), call.raw(3)];
        let arrays = Arrays::new(env, given)?;
        let first = call.state.arrays.set(arrays).is_ok();
        first
            .then_some(Value::Undefined)
            .ok_or_else(|| Failure::internal("messageSetup() was called twice"))
    })
}

extern "C" fn send_here(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 5>| {
        let socket = socket(call.int(0), call.int(1))?;
        let numbers = js::view(arrays(call.state)?.sent);
        send(socket, call.bytes(2), numbers, call.count(3), call.int(4))
    })
}

extern "C" fn send_message(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 6>| {
        let socket = socket(call.int(0), call.int(1))?;
        send(
            socket,
            call.bytes(2),
            call.ints(3),
            call.count(4),
            call.int(5),
        )
    })
}

fn send(
    socket: Socket<'_>,
    data: &[u8],
    numbers: &[i32],
    count: usize,
    timeout: i32,
) -> Result<Value, Failure> {
    let fds = fd::borrow_all(numbers.get(..count).unwrap_or_default())?;
    let sent = message::send(socket, data, fds, wait(timeout))?;
    Ok(Value::Int(int(sent)))
}

extern "C" fn receive_here(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 4>| {
        let socket = socket(call.int(0), call.int(1))?;
        let arrays = arrays(call.state)?;
        let mut room = Room {
            into: js::view(arrays.into),
            slots: js::view(arrays.slots),
            meta: js::view(arrays.meta),
        };
        receive(call.state, socket, &mut room, call.count(2), call.int(3))
    })
}

extern "C" fn receive_message(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 7>| {
        let socket = socket(call.int(0), call.int(1))?;
        let mut room = Room {
            into: call.bytes(2),
            slots: call.ints(3),
            meta: call.ints(4),
        };
        receive(call.state, socket, &mut room, call.count(5), call.int(6))
    })
}

/// Where a message goes.
struct Room<'call> {
    into: &'call mut [u8],
    slots: &'call mut [i32],
    meta: &'call mut [i32],
}

fn receive(
    state: &State,
    socket: Socket<'_>,
    room: &mut Room<'_>,
    max_fds: usize,
    timeout: i32,
) -> Result<Value, Failure> {
    let limits = ReceiveLimits {
        max_fds,
        truncation: TruncationPolicy::Partial,
        wait: wait(timeout),
    };
    let mut fds = state.arrivals.take();
    let result = message::receive_reusing(socket, room.into, &mut fds, &limits);
    let mut ledger = state.ledger.borrow_mut();
    let count = fds.len();
    for (slot, fd) in room.slots.iter_mut().zip(fds.drain(..)) {
        *slot = fd::give(fd);
        ledger.enter(*slot);
    }
    state.arrivals.replace(fds);
    let Some((received, truncation)) = result? else {
        return Ok(Value::Int(-1));
    };
    let pidfd = received.pidfd.map_or(-1, fd::give);
    if pidfd >= 0 {
        ledger.enter(pidfd);
    }
    let (has_credentials, pid, uid, gid) = received.credentials.map_or((0, 0, 0, 0), |sender| {
        (
            1,
            sender.pid,
            sender.uid.cast_signed(),
            sender.gid.cast_signed(),
        )
    });
    let flags = i32::from(truncation.data) | truncation.descriptors.map_or(0, cause_bit);
    let values = [
        int(count),
        flags,
        int(truncation.arrived),
        truncation.sent.map_or(-1, int),
        has_credentials,
        pid,
        uid,
        gid,
        pidfd,
    ];
    for (slot, value) in room.meta.iter_mut().zip(values) {
        *slot = value;
    }
    Ok(Value::Int(int(received.bytes)))
}

fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn cause_bit(cause: LossCause) -> i32 {
    match cause {
        LossCause::Surplus => 2,
        LossCause::DescriptorLimit => 4,
        _ => 8,
    }
}

/// `kind`: what `socketKind` said of the same open descriptor, or 0 to look now.
fn socket<'call>(number: i32, kind: i32) -> Result<Socket<'call>, fdpass::Error> {
    let fd = fd::borrow(number)?;
    match kind_from(kind) {
        Some(kind) => Ok(Socket::known(fd, kind)),
        None => Socket::check(fd),
    }
}

/// The kinds of sockets as JavaScript numbers them.
pub(crate) fn kind_from(number: i32) -> Option<SocketType> {
    match number {
        1 => Some(SocketType::Stream),
        2 => Some(SocketType::Datagram),
        3 => Some(SocketType::SeqPacket),
        _ => None,
    }
}

fn wait(timeout: i32) -> Wait {
    match u64::try_from(timeout) {
        Err(_) => Wait::AsDescriptor,
        Ok(0) => Wait::Never,
        Ok(millis) => Wait::AtMost(Duration::from_millis(millis)),
    }
}

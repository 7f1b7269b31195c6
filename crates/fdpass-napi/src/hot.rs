//! The calls that are made for every message, as raw Node-API callbacks (`src/native-types.ts`).

use std::time::Duration;

use fdpass::descriptor;
use fdpass::error::LossCause;
use fdpass::message::{self, ReceiveLimits, TruncationPolicy, Wait};
use fdpass::socket::{Socket, SocketType};
use napi::sys::{napi_callback_info, napi_env, napi_value};

use crate::error::Failure;
use crate::fd;
use crate::js::{self, Call, Exports, Value};

pub(crate) fn register(exports: &Exports<'_>) -> napi::Result<()> {
    exports.function(c"closeFd", Some(close_fd))?;
    exports.function(c"closeMany", Some(close_many))?;
    exports.function(c"hold", Some(hold))?;
    exports.function(c"letGo", Some(let_go))?;
    exports.function(c"readFd", Some(read_fd))?;
    exports.function(c"writeFd", Some(write_fd))?;
    exports.function(c"sendMessage", Some(send_message))?;
    exports.function(c"receiveMessage", Some(receive_message))
}

extern "C" fn close_fd(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        let number = call.int(0);
        if let Some(fd) = fd::own(number) {
            call.state.ledger.borrow_mut().remove(number);
            drop(fd);
        }
        Ok(Value::Undefined)
    })
}

extern "C" fn close_many(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 3>| {
        let (from, to) = (call.count(1), call.count(2));
        let numbers = call.ints(0).get_mut(from..to).unwrap_or_default();
        let mut fds = call.state.arrivals.take();
        let mut ledger = call.state.ledger.borrow_mut();
        for number in numbers {
            if let Some(fd) = fd::own(*number) {
                ledger.remove(*number);
                fds.push(fd);
                *number = -1;
            }
        }
        drop(ledger);
        descriptor::close_all(&mut fds);
        call.state.arrivals.replace(fds);
        Ok(Value::Undefined)
    })
}

extern "C" fn hold(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        let number = call.int(0);
        fd::borrow(number)?;
        Ok(Value::Bool(call.state.ledger.borrow_mut().enter(number)))
    })
}

extern "C" fn let_go(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        let number = call.int(0);
        fd::borrow(number)?;
        call.state.ledger.borrow_mut().remove(number);
        Ok(Value::Undefined)
    })
}

extern "C" fn read_fd(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 2>| {
        let bytes = descriptor::read(fd::borrow(call.int(0))?, call.bytes(1))?;
        Ok(Value::Int(int(bytes)))
    })
}

extern "C" fn write_fd(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 2>| {
        let bytes = descriptor::write(fd::borrow(call.int(0))?, call.bytes(1))?;
        Ok(Value::Int(int(bytes)))
    })
}

extern "C" fn send_message(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 6>| {
        let socket = socket(call.int(0), call.int(1))?;
        let numbers = call.ints(3).get(..call.count(4)).unwrap_or_default();
        let fds = fd::borrow_all(numbers)?;
        let sent = message::send(socket, call.bytes(2), fds, wait(call.int(5)))?;
        Ok(Value::Int(i32::try_from(sent).unwrap_or(i32::MAX)))
    })
}

extern "C" fn receive_message(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 7>| receive(call))
}

fn receive(call: &Call<'_, 7>) -> Result<Value, Failure> {
    let socket = socket(call.int(0), call.int(1))?;
    let limits = ReceiveLimits {
        max_fds: call.count(5),
        truncation: TruncationPolicy::Partial,
        wait: wait(call.int(6)),
    };
    let (slots, meta) = (call.ints(3), call.ints(4));
    let mut fds = call.state.arrivals.take();
    let result = message::receive_reusing(socket, call.bytes(2), &mut fds, &limits);
    let mut ledger = call.state.ledger.borrow_mut();
    let count = fds.len();
    for (slot, fd) in slots.iter_mut().zip(fds.drain(..)) {
        *slot = fd::give(fd);
        ledger.enter(*slot);
    }
    call.state.arrivals.replace(fds);
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
    for (slot, value) in meta.iter_mut().zip(values) {
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

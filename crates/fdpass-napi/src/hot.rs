//! The calls that are made for every descriptor, as raw Node-API callbacks (`src/native-types.ts`).

use fdpass::descriptor;
use napi::sys::{napi_callback_info, napi_env, napi_value};

use crate::fd;
use crate::js::{self, Call, Exports, Value};
use crate::state::State;

pub(crate) fn register(exports: &Exports<'_>) -> napi::Result<()> {
    exports.function(c"closeFd", Some(close_fd))?;
    exports.function(c"closeMany", Some(close_many))?;
    exports.function(c"hold", Some(hold))?;
    exports.function(c"letGo", Some(let_go))?;
    exports.function(c"readFd", Some(read_fd))?;
    exports.function(c"writeFd", Some(write_fd))
}

extern "C" fn close_fd(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        let number = call.int(0);
        if let Some(fd) = fd::own(number) {
            call.state.ledger.borrow_mut().remove(number);
            descriptor::close(fd);
        }
        Ok(Value::Undefined)
    })
}

extern "C" fn close_many(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 3>| {
        let (from, to) = (call.count(1), call.count(2));
        let numbers = call.ints(0).get_mut(from..to).unwrap_or_default();
        close_numbers(call.state, numbers);
        Ok(Value::Undefined)
    })
}

/// Closes those of `numbers` that are none below 0, and leaves -1 in their places.
pub(crate) fn close_numbers(state: &State, numbers: &mut [i32]) {
    let mut fds = state.arrivals.take();
    let mut ledger = state.ledger.borrow_mut();
    for number in numbers {
        if let Some(fd) = fd::own(*number) {
            ledger.remove(*number);
            fds.push(fd);
            *number = -1;
        }
    }
    drop(ledger);
    descriptor::close_all(&mut fds);
    state.arrivals.replace(fds);
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
        Ok(Value::Int(i32::try_from(bytes).unwrap_or(i32::MAX)))
    })
}

extern "C" fn write_fd(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 2>| {
        let bytes = descriptor::write(fd::borrow(call.int(0))?, call.bytes(1))?;
        Ok(Value::Int(i32::try_from(bytes).unwrap_or(i32::MAX)))
    })
}

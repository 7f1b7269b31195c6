//! A panic on demand, to see that it becomes an error of JavaScript. In the portable profile only: nothing that is shipped
//! has it.

use std::cell::Cell;

use napi::Env;
use napi::sys::{napi_callback_info, napi_env, napi_value};
use napi_derive::napi;

use crate::js::{self, Call, Exports, Value};

thread_local! {
    /// Whether the next wake-up of this thread's event loop is to panic.
    static NEXT_WAKE: Cell<bool> = const { Cell::new(false) };
}

/// The raw kind of function.
pub(crate) fn register(exports: &Exports<'_>) -> napi::Result<()> {
    exports.function(c"panicRaw", Some(panic_raw))?;
    exports.function(c"panicInNextWake", Some(panic_in_next_wake))
}

extern "C" fn panic_in_next_wake(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |_: &Call<'_, 0>| {
        NEXT_WAKE.set(true);
        Ok(Value::Undefined)
    })
}

/// A wake-up asks here whether it is to panic.
pub(crate) fn happen() {
    if NEXT_WAKE.take() {
        on_purpose::<()>();
    }
}

extern "C" fn panic_raw(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |_: &Call<'_, 0>| on_purpose())
}

/// The generated kind of function.
#[napi(catch_unwind)]
pub fn panic_generated(_env: Env) -> napi::Result<()> {
    on_purpose()
}

#[expect(clippy::panic, reason = "that is what it is for")]
fn on_purpose<T>() -> T {
    panic!("on purpose");
}

//! Readiness of a listening socket, for JavaScript that accepts by itself.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use fdpass::descriptor;
use napi::sys::{napi_callback_info, napi_env, napi_value};

use crate::engine::{Interest, Pollable, Wake};
use crate::fd;
use crate::js::{self, Call, Exports, Reference, Value};
use crate::state::State;

pub(crate) fn register(exports: &Exports<'_>) -> napi::Result<()> {
    exports.function(c"watchStart", Some(watch_start))?;
    exports.function(c"watchRef", Some(watch_ref))?;
    exports.function(c"watchStop", Some(watch_stop))
}

/// A private duplicate: nobody else can close what is watched.
struct Watch {
    fd: OwnedFd,
    on_ready: Reference,
}

impl Pollable for Watch {
    fn wake(&self, state: &State, wake: Wake) {
        if let (true, Some(entry)) = (wake.readable, state.entry.get()) {
            entry.call(self.on_ready.value(), &[]);
        }
    }

    fn stopped(&self) {
        self.on_ready.delete();
    }
}

fn key(call_argument: i32) -> u32 {
    call_argument.cast_unsigned().wrapping_sub(1)
}

/// `watchStart(fd, onReady, engine)`
extern "C" fn watch_start(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 3>| {
        let on_thread = call.int(2) == 1;
        let event_loop = call.state.start_loop(on_thread)?;
        let watch = Rc::new(Watch {
            fd: descriptor::duplicate(fd::borrow(call.int(0))?)?,
            on_ready: Reference::new(env, call.raw(1))?,
        });
        let key = event_loop.open(call.state, watch.fd.as_fd(), Rc::<Watch>::clone(&watch))?;
        event_loop.set_interest(
            key,
            Interest {
                read: true,
                write: false,
            },
        );
        Ok(Value::Int(key.wrapping_add(1).cast_signed()))
    })
}

extern "C" fn watch_ref(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 2>| {
        if let Some(event_loop) = call.state.event_loop.get() {
            event_loop.set_referenced(key(call.int(0)), call.bool(1));
        }
        Ok(Value::Undefined)
    })
}

extern "C" fn watch_stop(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        if let Some(event_loop) = call.state.event_loop.get() {
            event_loop.close(key(call.int(0)));
        }
        Ok(Value::Undefined)
    })
}

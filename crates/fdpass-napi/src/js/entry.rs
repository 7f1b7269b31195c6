//! How native code enters JavaScript.
#![expect(
    unsafe_code,
    reason = "Node-API is a C interface; each block names the fact that makes its call sound"
)]

use std::ptr;

use napi::sys::{self, Status, napi_env, napi_value};

use super::succeed;
use super::value::string;
use crate::error::Failure;

/// How native code enters JavaScript from the event loop.
#[derive(Debug)]
pub(crate) struct Entry {
    env: napi_env,
    /// Null with the thread engine: its runtimes run micro-tasks after a threadsafe function by themselves.
    context: sys::napi_async_context,
}

impl Entry {
    pub(crate) fn new(env: napi_env, on_thread: bool) -> Result<Self, Failure> {
        let mut context = ptr::null_mut();
        if !on_thread {
            let name = string(env, "fdpass");
            // SAFETY: `context` has a place; it ends with the environment.
            let status =
                unsafe { sys::napi_async_init(env, ptr::null_mut(), name, &raw mut context) };
            succeed(status, "napi_async_init")?;
        }
        Ok(Self { env, context })
    }

    /// Calls `function`; what it throws becomes an uncaught exception, and the loop goes on.
    pub(crate) fn call(&self, function: napi_value, arguments: &[napi_value]) {
        let mut receiver = ptr::null_mut();
        // SAFETY: `receiver` has a place.
        unsafe { sys::napi_get_global(self.env, &raw mut receiver) };
        let mut result = ptr::null_mut();
        let status = if self.context.is_null() {
            // SAFETY: a function and arguments of this environment.
            unsafe {
                sys::napi_call_function(
                    self.env,
                    receiver,
                    function,
                    arguments.len(),
                    arguments.as_ptr(),
                    &raw mut result,
                )
            }
        } else {
            // SAFETY: the same, with the context of `new`.
            unsafe {
                sys::napi_make_callback(
                    self.env,
                    self.context,
                    receiver,
                    function,
                    arguments.len(),
                    arguments.as_ptr(),
                    &raw mut result,
                )
            }
        };
        if status == Status::napi_pending_exception {
            self.report_exception();
        }
    }

    fn report_exception(&self) {
        let mut exception = ptr::null_mut();
        // SAFETY: `exception` has a place.
        let status =
            unsafe { sys::napi_get_and_clear_last_exception(self.env, &raw mut exception) };
        if status == Status::napi_ok {
            self.report(exception);
        }
    }

    /// Makes an uncaught exception of `error`.
    pub(crate) fn report(&self, error: napi_value) {
        // SAFETY: a value of this environment.
        unsafe { sys::napi_fatal_exception(self.env, error) };
    }
}

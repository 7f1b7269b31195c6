//! What the module exports.
#![expect(
    unsafe_code,
    reason = "Node-API is a C interface; each block names the fact that makes its call sound"
)]

use std::ffi::CStr;
use std::ptr;

use napi::sys::{self, napi_callback, napi_env, napi_value};

use super::expect_ok;
use super::value::set_property;
use crate::state::State;

/// The `exports` object while the module initializes.
#[derive(Debug)]
pub(crate) struct Exports<'a> {
    env: napi_env,
    object: napi_value,
    state: &'a State,
}

impl<'a> Exports<'a> {
    pub(crate) const fn new(env: napi_env, object: napi_value, state: &'a State) -> Self {
        Self { env, object, state }
    }

    /// Exports a raw callback. Its data pointer is the environment's state, so that no call has to look it up.
    pub(crate) fn function(&self, name: &CStr, callback: napi_callback) -> napi::Result<()> {
        let mut function = ptr::null_mut();
        let data = ptr::from_ref(self.state).cast_mut().cast();
        // SAFETY: the name is a C string of the length stated; `data` outlives every function of the environment.
        let status = unsafe {
            sys::napi_create_function(
                self.env,
                name.as_ptr(),
                name.count_bytes().cast_signed(),
                callback,
                data,
                &raw mut function,
            )
        };
        expect_ok(status, "napi_create_function")?;
        set_property(self.env, self.object, name, function);
        Ok(())
    }
}

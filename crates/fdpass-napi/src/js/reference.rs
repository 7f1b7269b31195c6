//! Values that outlive the call they came with.
#![expect(
    unsafe_code,
    reason = "Node-API is a C interface; each block names the fact that makes its call sound"
)]

use std::ptr;

use napi::sys::{self, napi_env, napi_value};

use super::succeed;
use crate::error::Failure;
use crate::state::State;

/// A value that outlives the call it came with.
#[derive(Debug)]
pub(crate) struct Reference {
    env: napi_env,
    raw: sys::napi_ref,
}

impl Reference {
    pub(crate) fn new(env: napi_env, value: napi_value) -> Result<Self, Failure> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` has a place. The reference is strong; what `delete` is not called for ends with the environment.
        let status = unsafe { sys::napi_create_reference(env, value, 1, &raw mut raw) };
        succeed(status, "napi_create_reference")?;
        Ok(Self { env, raw })
    }

    pub(crate) fn value(&self) -> napi_value {
        let mut value = ptr::null_mut();
        // SAFETY: a reference of this environment.
        unsafe { sys::napi_get_reference_value(self.env, self.raw, &raw mut value) };
        value
    }

    /// Lets the value go; to be called once, and nothing after it.
    pub(crate) fn delete(&self) {
        // SAFETY: a reference of this environment that was not deleted.
        unsafe { sys::napi_delete_reference(self.env, self.raw) };
    }
}

/// A function that calls `callback`, which finds the environment's state as a registered one does.
pub(crate) fn new_function(
    state: &State,
    callback: extern "C" fn(napi_env, sys::napi_callback_info) -> napi_value,
) -> Result<Reference, Failure> {
    let mut function = ptr::null_mut();
    let data = ptr::from_ref(state).cast_mut().cast();
    // SAFETY: `function` has a place; the state outlives the environment's JavaScript.
    let status = unsafe {
        sys::napi_create_function(
            state.env,
            c"fdpass".as_ptr(),
            6,
            Some(callback),
            data,
            &raw mut function,
        )
    };
    succeed(status, "napi_create_function")?;
    Reference::new(state.env, function)
}

//! Values made for JavaScript.
#![expect(
    unsafe_code,
    reason = "Node-API is a C interface; each block names the fact that makes its call sound"
)]

use std::ffi::CStr;
use std::ptr;

use napi::sys::{self, napi_env, napi_value};

pub(crate) fn int(env: napi_env, value: i32) -> napi_value {
    let mut result = ptr::null_mut();
    // SAFETY: `result` has a place.
    unsafe { sys::napi_create_int32(env, value, &raw mut result) };
    result
}

pub(crate) fn number(env: napi_env, value: f64) -> napi_value {
    let mut result = ptr::null_mut();
    // SAFETY: `result` has a place.
    unsafe { sys::napi_create_double(env, value, &raw mut result) };
    result
}

pub(crate) fn bool(env: napi_env, value: bool) -> napi_value {
    let mut result = ptr::null_mut();
    // SAFETY: `result` has a place.
    unsafe { sys::napi_get_boolean(env, value, &raw mut result) };
    result
}

pub(crate) fn string(env: napi_env, value: &str) -> napi_value {
    let mut result = ptr::null_mut();
    // SAFETY: the text is as long as stated.
    unsafe {
        sys::napi_create_string_utf8(
            env,
            value.as_ptr().cast(),
            value.len().cast_signed(),
            &raw mut result,
        )
    };
    result
}

/// An `Error` with a code.
pub(crate) fn error(env: napi_env, code: &str, message: &str) -> napi_value {
    let mut result = ptr::null_mut();
    let (code, message) = (string(env, code), string(env, message));
    // SAFETY: both are strings.
    unsafe { sys::napi_create_error(env, code, message, &raw mut result) };
    result
}

pub(crate) fn throw(env: napi_env, error: napi_value) {
    // SAFETY: a value of this environment. In one that is being torn down the call does nothing.
    unsafe { sys::napi_throw(env, error) };
}

pub(crate) fn set_property(env: napi_env, object: napi_value, name: &CStr, value: napi_value) {
    // SAFETY: the name is a C string, object and value are of this environment.
    unsafe { sys::napi_set_named_property(env, object, name.as_ptr(), value) };
}

pub(crate) fn undefined(env: napi_env) -> napi_value {
    let mut result = ptr::null_mut();
    // SAFETY: `result` has a place.
    unsafe { sys::napi_get_undefined(env, &raw mut result) };
    result
}

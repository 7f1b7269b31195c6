//! Typed arrays: memory that JavaScript and the binding share.
#![expect(
    unsafe_code,
    reason = "Node-API is a C interface; each block names the fact that makes its call sound"
)]

use std::ffi::c_void;
use std::{ptr, slice};

use napi::sys::{self, Status, napi_env, napi_value};

/// Where the elements of a typed array lie, and how many there are.
pub(crate) type Elements = (*mut c_void, usize);

/// The elements of the typed array `value`, or nothing if it is not of that type.
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
pub(crate) fn typed_array(
    env: napi_env,
    value: napi_value,
    wanted: sys::napi_typedarray_type,
) -> Elements {
    let mut kind = -1;
    let mut length = 0;
    let mut data = ptr::null_mut();
    // SAFETY: every result has a place, or is null where Node-API allows it.
    let status = unsafe {
        sys::napi_get_typedarray_info(
            env,
            value,
            &raw mut kind,
            &raw mut length,
            &raw mut data,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if status != Status::napi_ok || kind != wanted || data.is_null() {
        return (ptr::null_mut(), 0);
    }
    (data, length)
}

/// Number types that typed arrays hold: every bit pattern is a value.
pub(crate) trait Element: Copy {}
impl Element for u8 {}
impl Element for i32 {}
impl Element for f64 {}

/// A view of a typed array's elements for the length of a native call.
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
pub(crate) fn view<'call, T: Element>((data, length): Elements) -> &'call mut [T] {
    if data.is_null() {
        return &mut [];
    }
    // SAFETY: V8 aligned the data for its type and holds `length` elements; JavaScript, and so the collector, does not
    // run while the native call does. `src/` never passes one array for two arguments.
    unsafe { slice::from_raw_parts_mut(data.cast::<T>(), length) }
}

/// A fresh typed array of `count` elements of `T`, to be filled by `fill`. `None` when the environment cannot make it.
pub(crate) fn new_typed_array<T: Element>(
    env: napi_env,
    kind: sys::napi_typedarray_type,
    count: usize,
    fill: impl FnOnce(&mut [T]),
) -> Option<napi_value> {
    let mut data = ptr::null_mut();
    let mut buffer = ptr::null_mut();
    let bytes = count.checked_mul(size_of::<T>())?;
    // SAFETY: both results have a place. V8 owns the memory.
    let status =
        unsafe { sys::napi_create_arraybuffer(env, bytes, &raw mut data, &raw mut buffer) };
    if status != Status::napi_ok {
        return None;
    }
    fill(view((data, count)));
    let mut array = ptr::null_mut();
    // SAFETY: the buffer holds `count` elements.
    let status =
        unsafe { sys::napi_create_typedarray(env, kind, count, buffer, 0, &raw mut array) };
    (status == Status::napi_ok).then_some(array)
}

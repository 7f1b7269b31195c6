//! What an environment keeps for the binding, and what it has: hooks, scopes, the event loop.
#![expect(
    unsafe_code,
    reason = "Node-API is a C interface; each block names the fact that makes its call sound"
)]

use std::ffi::c_void;
use std::ptr;

use napi::sys::{self, Status, napi_env, napi_value};

use super::{expect_ok, succeed};
use crate::error::Failure;

/// Keeps `pointer` with the environment. Node-API frees nothing: the clean-up hook does.
pub(crate) fn set_instance_data(env: napi_env, pointer: *mut c_void) -> napi::Result<()> {
    // SAFETY: the slot is this addon's own (napi-rs leaves it to its users).
    let status = unsafe { sys::napi_set_instance_data(env, pointer, None, ptr::null_mut()) };
    expect_ok(status, "napi_set_instance_data")
}

pub(crate) fn instance_data(env: napi_env) -> napi::Result<*mut c_void> {
    let mut pointer = ptr::null_mut();
    // SAFETY: `pointer` has a place.
    let status = unsafe { sys::napi_get_instance_data(env, &raw mut pointer) };
    expect_ok(status, "napi_get_instance_data")?;
    Ok(pointer)
}

/// Has `hook` called with `data` when the environment ends, newest hook first.
pub(crate) fn add_cleanup_hook(
    env: napi_env,
    hook: extern "C" fn(*mut c_void),
    data: *mut c_void,
) -> napi::Result<()> {
    // SAFETY: the hook takes `data` as it is given here.
    let status = unsafe { sys::napi_add_env_cleanup_hook(env, Some(hook), data) };
    expect_ok(status, "napi_add_env_cleanup_hook")
}

/// Undoes `add_cleanup_hook`.
pub(crate) fn remove_cleanup_hook(
    env: napi_env,
    hook: extern "C" fn(*mut c_void),
    data: *mut c_void,
) {
    // SAFETY: the pair that was added.
    unsafe { sys::napi_remove_env_cleanup_hook(env, Some(hook), data) };
}

/// Has `hook` called when the environment ends, which then waits until the hook is removed.
pub(crate) fn add_async_cleanup_hook(
    env: napi_env,
    hook: unsafe extern "C" fn(sys::napi_async_cleanup_hook_handle, *mut c_void),
    data: *mut c_void,
) -> Result<sys::napi_async_cleanup_hook_handle, Failure> {
    let mut handle = ptr::null_mut();
    // SAFETY: the hook takes `data` as it is given here.
    let status =
        unsafe { sys::napi_add_async_cleanup_hook(env, Some(hook), data, &raw mut handle) };
    succeed(status, "napi_add_async_cleanup_hook")?;
    Ok(handle)
}

/// Lets the environment go on ending.
pub(crate) fn remove_async_cleanup_hook(handle: sys::napi_async_cleanup_hook_handle) {
    // SAFETY: a hook that was added and not removed.
    unsafe { sys::napi_remove_async_cleanup_hook(handle) };
}

/// libuv's loop of the environment.
pub(crate) fn uv_loop(env: napi_env) -> Result<*mut c_void, Failure> {
    let mut found = ptr::null_mut();
    // SAFETY: `found` has a place.
    let status = unsafe { sys::napi_get_uv_event_loop(env, &raw mut found) };
    succeed(status, "napi_get_uv_event_loop")?;
    Ok(found.cast())
}

/// Runs `body` with a handle scope, as code that no JavaScript called needs one.
pub(crate) fn in_scope<T>(env: napi_env, body: impl FnOnce() -> T) -> T {
    let mut scope = ptr::null_mut();
    // SAFETY: closed below. It fails only when the environment is going away, where the body's calls fail too.
    let status = unsafe { sys::napi_open_handle_scope(env, &raw mut scope) };
    let result = body();
    if status == Status::napi_ok {
        // SAFETY: opened above, closed once.
        unsafe { sys::napi_close_handle_scope(env, scope) };
    }
    result
}

/// Has `function` called in the next turn of the runtime's loop; `false` when there is no such thing any more.
pub(crate) fn set_immediate(env: napi_env, function: napi_value) -> bool {
    let (mut global, mut set_immediate) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: `global` has a place.
    unsafe { sys::napi_get_global(env, &raw mut global) };
    let name = c"setImmediate".as_ptr();
    // SAFETY: `set_immediate` has a place; the name is a C string.
    let found = unsafe { sys::napi_get_named_property(env, global, name, &raw mut set_immediate) };
    let mut result = ptr::null_mut();
    found == Status::napi_ok
        // SAFETY: values of this environment.
        && unsafe {
            sys::napi_call_function(env, global, set_immediate, 1, &raw const function, &raw mut result)
        } == Status::napi_ok
}

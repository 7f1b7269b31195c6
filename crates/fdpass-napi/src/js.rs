//! Node-API, called raw: what napi-rs does not offer, or offers too slowly (ARCHITECTURE.md, "Cost of a call").
#![expect(
    unsafe_code,
    reason = "Node-API is a C interface; each block names the fact that makes its call sound"
)]

use std::ffi::{CStr, c_void};
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::slice;

use napi::sys::{self, Status, napi_callback, napi_callback_info, napi_env, napi_value};

use crate::error::Failure;
use crate::state::{self, State};

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

fn expect_ok(status: sys::napi_status, call: &str) -> napi::Result<()> {
    if status == Status::napi_ok {
        return Ok(());
    }
    Err(napi::Error::from_reason(format!(
        "{call} failed with status {status}"
    )))
}

/// The arguments of one raw callback.
#[derive(Debug)]
pub(crate) struct Call<'call, const N: usize> {
    pub(crate) env: napi_env,
    pub(crate) state: &'call State,
    arguments: [napi_value; N],
}

/// What a raw callback returns to JavaScript.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    Undefined,
    Bool(bool),
    Int(i32),
    Number(f64),
}

// With `panic = "abort"` a bug of ours would end the whole process.
#[cfg(not(panic = "unwind"))]
compile_error!(
    "the binding turns panics into errors of JavaScript: build it with panic = \"unwind\""
);

/// The body of every raw callback: fetch the arguments, run, turn an error or a panic into an exception.
#[expect(
    clippy::inline_always,
    reason = "compiled for size, a hot call would make a call of each of these"
)]
#[inline(always)]
pub(crate) fn enter<'call, const N: usize>(
    env: napi_env,
    info: napi_callback_info,
    body: impl FnOnce(&Call<'call, N>) -> Result<Value, Failure>,
) -> napi_value {
    let mut arguments = [ptr::null_mut(); N];
    let mut count = N;
    let mut data = ptr::null_mut();
    // SAFETY: `arguments` has room for `count` values; missing ones are filled with undefined.
    unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &raw mut count,
            arguments.as_mut_ptr(),
            ptr::null_mut(),
            &raw mut data,
        );
    }
    let call = Call {
        env,
        state: state::at(data),
        arguments,
    };
    match panic::catch_unwind(AssertUnwindSafe(|| body(&call))) {
        Ok(Ok(value)) => return value.to_js(env),
        Ok(Err(failure)) => failure.throw(env),
        Err(_panic) => {
            Failure::internal("The native part panicked: this is a bug of fdpass").throw(env);
        }
    }
    ptr::null_mut()
}

impl Value {
    #[expect(
        clippy::inline_always,
        reason = "compiled for size, a hot call would make a call of each of these"
    )]
    #[inline(always)]
    fn to_js(self, env: napi_env) -> napi_value {
        match self {
            Self::Undefined => ptr::null_mut(),
            Self::Bool(value) => bool(env, value),
            Self::Int(value) => int(env, value),
            Self::Number(value) => number(env, value),
        }
    }
}

impl<'call, const N: usize> Call<'call, N> {
    /// The raw argument.
    pub(crate) const fn raw(&self, index: usize) -> napi_value {
        self.arguments[index]
    }

    /// An integer; what is no number is -1, which no function takes for a descriptor.
    #[expect(
        clippy::inline_always,
        reason = "compiled for size, a hot call would make a call of each of these"
    )]
    #[inline(always)]
    pub(crate) fn int(&self, index: usize) -> i32 {
        let mut value = -1;
        // SAFETY: `value` is written only when the argument is a number.
        unsafe { sys::napi_get_value_int32(self.env, self.arguments[index], &raw mut value) };
        value
    }

    /// A number; NaN when it is none.
    pub(crate) fn number(&self, index: usize) -> f64 {
        let mut value = f64::NAN;
        // SAFETY: `value` is written only when the argument is a number.
        unsafe { sys::napi_get_value_double(self.env, self.arguments[index], &raw mut value) };
        value
    }

    /// A boolean; what is none is false.
    pub(crate) fn bool(&self, index: usize) -> bool {
        let mut value = false;
        // SAFETY: `value` is written only when the argument is a boolean.
        unsafe { sys::napi_get_value_bool(self.env, self.arguments[index], &raw mut value) };
        value
    }

    /// A non-negative integer.
    pub(crate) fn count(&self, index: usize) -> usize {
        usize::try_from(self.int(index)).unwrap_or(0)
    }

    /// The bytes of a `Uint8Array`; an empty slice for anything else.
    #[expect(
        clippy::inline_always,
        reason = "compiled for size, a hot call would make a call of each of these"
    )]
    #[inline(always)]
    pub(crate) fn bytes(&self, index: usize) -> &'call mut [u8] {
        view(typed_array(
            self.env,
            self.arguments[index],
            sys::TypedarrayType::uint8_array,
        ))
    }

    /// The integers of an `Int32Array`; an empty slice for anything else.
    pub(crate) fn ints(&self, index: usize) -> &'call mut [i32] {
        view(typed_array(
            self.env,
            self.arguments[index],
            sys::TypedarrayType::int32_array,
        ))
    }

    /// The numbers of a `Float64Array`; an empty slice for anything else.
    pub(crate) fn doubles(&self, index: usize) -> &'call mut [f64] {
        view(typed_array(
            self.env,
            self.arguments[index],
            sys::TypedarrayType::float64_array,
        ))
    }
}

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

fn succeed(status: sys::napi_status, call: &str) -> Result<(), Failure> {
    if status == Status::napi_ok {
        return Ok(());
    }
    Err(Failure::internal(format!(
        "{call} failed with status {status}"
    )))
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
            // SAFETY: a value of this environment.
            unsafe { sys::napi_fatal_exception(self.env, exception) };
        }
    }
}

pub(crate) fn undefined(env: napi_env) -> napi_value {
    let mut result = ptr::null_mut();
    // SAFETY: `result` has a place.
    unsafe { sys::napi_get_undefined(env, &raw mut result) };
    result
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

//! One call from JavaScript: its arguments, and what it returns.
#![expect(
    unsafe_code,
    reason = "Node-API is a C interface; each block names the fact that makes its call sound"
)]

use std::panic::{self, AssertUnwindSafe};
use std::ptr;

use napi::sys::{self, napi_callback_info, napi_env, napi_value};

use super::array::{typed_array, view};
use super::value::{bool, int, number};
use crate::error::Failure;
use crate::state::{self, State};

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
        Ok(Ok(value)) => value.to_js(env),
        Ok(Err(failure)) => failed(env, &failure),
        Err(_panic) => failed(env, &Failure::panicked()),
    }
}

/// Apart from the usual way, which shall be short.
#[cold]
#[inline(never)]
fn failed(env: napi_env, failure: &Failure) -> napi_value {
    failure.throw(env);
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

//! The calls that are made once in a while: generated functions, whose types are in `src/binding.d.ts`.
#![expect(
    unreachable_pub,
    reason = "#[napi] exports to JavaScript, and wants `pub` for it"
)]

mod descriptor;
mod inspect;
mod listener;
#[cfg(fdpass_portable)]
pub(crate) mod mishap;
mod socket;
mod thread;

use napi::Env;

use crate::error::Failure;

/// Turns a result of the core into one of napi-rs, its error thrown with code, errno and system call.
pub(crate) trait OrThrow<T> {
    fn or_throw(self, env: Env) -> napi::Result<T>;
}

impl<T, E: Into<Failure>> OrThrow<T> for Result<T, E> {
    fn or_throw(self, env: Env) -> napi::Result<T> {
        self.map_err(|error| error.into().thrown(env.raw()))
    }
}

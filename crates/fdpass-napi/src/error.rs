//! Errors on their way to JavaScript: `code`, `errno`, `syscall` beside the message.

use std::fmt::Display;

use napi::sys::{napi_env, napi_value};

use crate::js;

/// What an `Error` object of JavaScript is made of.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) errno: Option<i32>,
    pub(crate) syscall: Option<&'static str>,
}

impl Failure {
    pub(crate) fn new(code: &str, message: impl Display) -> Self {
        Self {
            code: code.to_owned(),
            message: message.to_string(),
            errno: None,
            syscall: None,
        }
    }

    /// A bug of the library: a panic was caught, or Node-API refused what it cannot refuse.
    pub(crate) fn internal(message: impl Display) -> Self {
        Self::new("ERR_FDPASS_INTERNAL", message)
    }

    /// A panic was caught.
    pub(crate) fn panicked() -> Self {
        Self::internal("The native part panicked: this is a bug of fdpass")
    }

    /// The `Error` object. `errno` is negative, as in Node's own system errors.
    pub(crate) fn to_js(&self, env: napi_env) -> napi_value {
        let error = js::error(env, &self.code, &self.message);
        if let Some(errno) = self.errno {
            js::set_property(env, error, c"errno", js::int(env, -errno));
        }
        if let Some(syscall) = self.syscall {
            js::set_property(env, error, c"syscall", js::string(env, syscall));
        }
        error
    }

    /// Throws it; the native function must return at once.
    pub(crate) fn throw(&self, env: napi_env) {
        js::throw(env, self.to_js(env));
    }

    /// The same for a `#[napi]` function: thrown already, and this says so.
    pub(crate) fn thrown(&self, env: napi_env) -> napi::Error {
        self.throw(env);
        napi::Error::new(napi::Status::PendingException, String::new())
    }
}

impl From<fdpass::Error> for Failure {
    #[cold]
    #[inline(never)]
    fn from(error: fdpass::Error) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            errno: error.errno(),
            syscall: error.syscall(),
        }
    }
}
